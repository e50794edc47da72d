import type { Readable } from 'node:stream';

const NEWLINE = 0x0a;

/** One line of a stream: its bytes without the line break, or that it was too long to be kept. */
export type Line = Buffer | 'too-long';

/**
 * The lines of a stream as they come, none kept beyond `maxBytes`: a longer one is told and left out, and the next
 * is read as if nothing had been. Empty lines are no lines. A last line counts without its break, too.
 */
export async function* linesOf(input: Readable, maxBytes: number): AsyncGenerator<Line, void, undefined> {
  let parts: Buffer[] = [];
  let bytes = 0;

  const take = (): Line | undefined => {
    const line = bytes > maxBytes ? 'too-long' : withoutReturn(Buffer.concat(parts));
    parts = [];
    bytes = 0;
    return line.length === 0 ? undefined : line;
  };

  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const data = Buffer.from(chunk as Buffer);
    let from = 0;
    while (from < data.length) {
      const end = data.indexOf(NEWLINE, from);
      const part = data.subarray(from, end < 0 ? data.length : end);
      bytes += part.length;
      if (bytes > maxBytes) parts = [];
      else parts.push(part);
      from += part.length;
      if (end < 0) break;
      from += 1;
      const line = take();
      if (line !== undefined) yield line;
    }
  }
  const last = take();
  if (last !== undefined) yield last;
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
}
