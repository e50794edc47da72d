import type { Rows, TableFacts } from './database.ts';

/** What the server asks of the thread that has the database. */
export type Request =
  | { readonly kind: 'describe'; readonly path: string; readonly sampleRows: number }
  | {
      readonly kind: 'query';
      readonly sql: string;
      readonly tables: Readonly<Record<string, string>>;
      readonly mostRows: number;
    };

/** A file a query used, and the name it had there. */
export interface Used {
  readonly name: string;
  readonly path: string;
  readonly rows: number;
}

export interface Answers {
  describe: TableFacts & { readonly path: string; readonly sample: Rows };
  query: Rows & { readonly tables: readonly Used[] };
}

/** A request with the flag by which it is given up: anything but 0 stops it. */
export interface Job {
  readonly request: Request;
  readonly flag: Int32Array;
}

/** What the thread sends back: news while it works, then one answer. */
export type Reply =
  | { readonly kind: 'news'; readonly text: string }
  | { readonly kind: 'answer'; readonly answer: Answers[Request['kind']] }
  | { readonly kind: 'refusal'; readonly message: string };
