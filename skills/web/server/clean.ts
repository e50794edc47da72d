/**
 * Characters that nobody sees: controls, marks of direction, soft hyphens, and the tag characters in which whole
 * sentences can be hidden from people and not from models. What joins letters of some scripts stays.
 */
const INVISIBLE =
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;

/** Text without what is invisible, with one kind of line end and no more than one empty line in a row. */
export function clean(text: string): string {
  return text
    .replaceAll(/\r\n?/g, '\n')
    .replaceAll(INVISIBLE, '')
    .replaceAll(/[ \t]+$/gm, '')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim();
}

/** One line of it, for titles and names. */
export function cleanLine(text: string | null | undefined, mostChars = 300): string | undefined {
  const line = clean(text ?? '')
    .replaceAll(/\s+/g, ' ')
    .slice(0, mostChars);
  return line === '' ? undefined : line;
}

/** A block of code, between fences longer than any in it. */
export function fenced(code: string, language = ''): string {
  let longest = 2;
  for (const [ticks] of code.matchAll(/`{3,}/g)) longest = Math.max(longest, ticks.length);
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${code}\n${fence}`;
}
