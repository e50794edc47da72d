/** Most bytes of a patch or file in one answer, if the caller does not say; and at all. */
export const USUAL_BYTES = 64 * 1024;
export const MOST_BYTES = 512 * 1024;

/** The start of a text, at most `limit` bytes long, that ends with a whole line where there is one. */
export function cut(bytes: Buffer, limit: number): { text: string; truncated: boolean } {
  if (bytes.length <= limit) return { text: bytes.toString(), truncated: false };
  const end = bytes.lastIndexOf(0x0a, limit - 1);
  return { text: bytes.subarray(0, end > 0 ? end + 1 : limit).toString(), truncated: true };
}

/** The first characters of a line that somebody wrote. */
export function short(line: string, most: number): string {
  return line.length <= most ? line : `${line.slice(0, most)}…`;
}

/** Pieces that end with NUL. */
export function pieces(bytes: Buffer): string[] {
  const all = bytes.toString().split('\0');
  if (all.at(-1) === '') all.pop();
  return all;
}
