import type { Readable } from 'node:stream';
import { AppError } from '../protocol/errors.ts';

/** Longest text that is taken from standard input, in bytes. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * All of standard input as text, without a last line break. `what` names it in errors, `hint` says
 * how to give it.
 * @throws AppError `usage-invalid` when it is empty or comes from a keyboard, `request-too-large`.
 */
export async function readStdin(
  stdin: Readable & { isTTY?: boolean },
  what: string,
  hint = 'Pipe it in, such as: … < file',
): Promise<string> {
  if (stdin.isTTY === true) {
    throw new AppError('usage-invalid', {
      detail: `Standard input is a terminal; ${what} is expected there.`,
      hint,
    });
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const part = Buffer.from(chunk as Uint8Array | string);
    bytes += part.length;
    if (bytes > MAX_BYTES) {
      throw new AppError('request-too-large', {
        detail: `Standard input holds more than ${MAX_BYTES} bytes.`,
      });
    }
    chunks.push(part);
  }
  const text = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (text === '')
    throw new AppError('usage-invalid', {
      detail: `Standard input is empty; ${what} is expected there.`,
      hint,
    });
  return text;
}
