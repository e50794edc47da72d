import { randomBytes } from 'node:crypto';
import * as z from 'zod';

/** Bounds of one note. */
export const MOST_TEXT_CHARS = 32 * 1024;
export const MOST_TITLE_CHARS = 200;
export const MOST_TAGS = 20;

/** Crockford's base 32: no letters that are read for digits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_CHARS = 10;
const RANDOM_CHARS = 16;
const TITLE_FROM_TEXT_CHARS = 80;

/** A ULID in lower case: sorts by the time it was made, with 80 random bits behind. */
export const noteId = z.string().regex(/^[0-9a-hjkmnp-tv-z]{26}$/, 'is not the id of a note');

/** A tag; folded to one spelling, so that `Work` and ` work` are the same. */
export const tagSchema = z
  .string()
  .transform((tag) => tag.normalize('NFC').trim().toLowerCase())
  .pipe(z.string().min(1, 'must not be empty').max(64));

/** A note as it is kept. A forgotten one stays until its time is over, and is found by nothing but `restore`. */
export interface Note {
  readonly id: string;
  /** Grows by one with every change. */
  readonly revision: number;
  readonly title: string;
  readonly tags: readonly string[];
  readonly text: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly forgottenAt?: string | undefined;
}

const headSchema = z.strictObject({
  id: noteId,
  revision: z.int().min(1),
  title: z.string(),
  tags: z.array(z.string()),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  forgottenAt: z.iso.datetime().optional(),
});

/** Makes an id. Takes the time, so that ids sort as notes were made. */
export function newNoteId(now: Date): string {
  let time = now.getTime();
  let head = '';
  for (let at = 0; at < TIME_CHARS; at += 1) {
    head = `${ALPHABET[time % 32]}${head}`;
    time = Math.floor(time / 32);
  }
  return head + [...randomBytes(RANDOM_CHARS)].map((byte) => ALPHABET[byte % 32]).join('');
}

/** A note as a Markdown file with one line of JSON as its head. */
export function writeNote({ text, ...head }: Note): string {
  return `---\n${JSON.stringify(head)}\n---\n${text}`;
}

/** The note in a file; undefined when it is not one. */
export function parseNote(file: string): Note | undefined {
  const [, head = '', text = ''] = /^---\n([^\n]*)\n---\n([\s\S]*)$/.exec(file) ?? [];
  try {
    return { ...headSchema.parse(JSON.parse(head)), text };
  } catch {
    // Somebody's own file, or a damaged one: counted by the caller, never guessed at.
    return undefined;
  }
}

/** The first line that says something, without Markdown's marks. */
export function titleFromText(text: string): string {
  const line = text.split('\n').find((candidate) => candidate.trim() !== '') ?? '';
  const bare = line.replace(/^[\s#>*-]+/, '').trim() || line.trim();
  return bare.length > TITLE_FROM_TEXT_CHARS ? `${cut(bare, 0, TITLE_FROM_TEXT_CHARS - 1)}…` : bare;
}

/** A part of a text that neither begins nor ends inside a character. */
export function cut(text: string, from: number, length: number): string {
  return text.slice(from, from + length).replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, '');
}
