/** What the server asks of its thread, and what comes back. */
export type Job =
  | {
      readonly kind: 'page';
      readonly bytes: Uint8Array;
      readonly contentType: string;
      readonly url: string;
      readonly mode: Mode;
    }
  | { readonly kind: 'robots'; readonly text: string; readonly url: string; readonly agent: string };

/** The readable part of a page, or all of it, or its words alone without any form. */
export type Mode = 'article' | 'page' | 'words';

/** A page or document as Markdown. */
export interface Reading {
  readonly kind: 'article' | 'page' | 'text' | 'pdf';
  readonly title?: string | undefined;
  readonly byline?: string | undefined;
  readonly published?: string | undefined;
  readonly language?: string | undefined;
  readonly pages?: number | undefined;
  readonly markdown: string;
  /** What of it is not as a reader would expect. */
  readonly notes: readonly string[];
}

export interface Answers {
  readonly page: Reading;
  readonly robots: boolean;
}

export type Reply =
  | { readonly kind: 'answer'; readonly answer: Answers[Job['kind']] }
  | { readonly kind: 'refusal'; readonly message: string };
