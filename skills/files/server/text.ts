import { createHash } from 'node:crypto';

/** Bytes looked at to tell text from binary. */
const SNIFFED_BYTES = 8192;

/** How lines end in a text. `none` means it has no line break at all. */
export type LineEnding = 'lf' | 'crlf' | 'mixed' | 'none';

/** The name of one exact content; equal contents have equal revisions. */
export function revisionOf(bytes: Uint8Array | string): string {
  return shortRevision(createHash('sha256').update(bytes).digest('hex'));
}

/** Sixty-four bits are plenty to notice a change, and short enough for a model to repeat. */
export function shortRevision(sha256Hex: string): string {
  return sha256Hex.slice(0, 16);
}

/** Git's rule: a NUL among the first bytes means binary. */
export function looksBinary(bytes: Uint8Array): boolean {
  return bytes.subarray(0, SNIFFED_BYTES).includes(0);
}

/** The text of valid UTF-8, with a byte order mark kept so that writing it back gives the same bytes. */
export function decodeExactly(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The text for showing: invalid bytes become U+FFFD and a leading byte order mark goes. */
export function decodeForShow(bytes: Uint8Array): string {
  return new TextDecoder('utf-8').decode(bytes);
}

/** Looks at the line breaks of a text. */
export function lineEndingOf(text: string): LineEnding {
  const crlf = text.split('\r\n').length - 1;
  const all = text.split('\n').length - 1;
  if (all === 0) return 'none';
  if (crlf === 0) return 'lf';
  return crlf === all ? 'crlf' : 'mixed';
}

/** The start of `bytes`, at most `limit` long, that does not end inside a UTF-8 character. */
export function cutAtCharacter(bytes: Buffer, limit: number): Buffer {
  if (bytes.length <= limit) return bytes;
  let end = limit;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
