import type { Readable } from 'node:stream';
import { asAppError } from '../../protocol/errors.ts';
import { lineSchema } from '../../protocol/permissions/declared.ts';
import type { Context } from '../command.ts';
import { plain } from '../output.ts';
import { wishInWords } from './learn-event.ts';
import type { DevSession } from './session.ts';

const INTERRUPT = '\u0003';
const END = '\u0004';
const MAX_REASON_CHARS = 200;

interface KeyParts {
  context: Pick<Context, 'stdin' | 'stderr' | 'paintError' | 'signal'>;
  session: DevSession;
  record: boolean;
  call: (line: string) => Promise<void>;
  say: (line: string) => void;
}

/**
 * Takes keys until the author is done: a number gives what was refused under it, `c` calls a tool. Only for a terminal.
 */
export async function takeKeys(parts: KeyParts): Promise<void> {
  const { context, session, say } = parts;
  showKeys(parts);
  for (;;) {
    const key = await nextKey(context.stdin, context.signal);
    if (key === undefined || key === INTERRUPT || key === END || key === 'q') return;
    try {
      if (/^[1-9]$/.test(key)) await give(parts, Number(key));
      else if (key === 'l' || key === '?') showKeys(parts);
      else if (key === 'c') await askForCall(parts);
      else if (key === 'u' && !parts.record) await session.undo();
      else if (key === 'r') await session.load();
    } catch (error) {
      const { message, hint = '' } = asAppError(error);
      say(context.paintError.bad(plain(`${message} ${hint}`)));
    }
  }
}

function showKeys({ context: { paintError: paint }, session, record, say }: KeyParts): void {
  session
    .wishes()
    .slice(0, 9)
    .forEach((wish, at) =>
      say(`  ${paint.strong(String(at + 1))} ${plain(wishInWords(wish)).replaceAll(/\s+/g, ' ')}`),
    );
  const number = record ? '1-9 open for this session' : '1-9 add to skill.json · u undo';
  say(paint.dim(`keys: ${number} · c call a tool · l list · r restart · q quit`));
}

async function give(parts: KeyParts, number: number): Promise<void> {
  const wish = parts.session.wishes()[number - 1];
  if (wish === undefined) return showKeys(parts);
  const words = plain(wishInWords(wish)).replaceAll(/\s+/g, ' ');
  if (parts.record) return parts.session.grant(wish, undefined);
  const reason = await ask(parts, `Why does it need to ${words}?`, (text) =>
    text === undefined || text === '' || lineSchema(MAX_REASON_CHARS).safeParse(text).success
      ? undefined
      : `One line of at most ${MAX_REASON_CHARS} visible characters.`,
  );
  if (reason === undefined) return;
  await parts.session.grant(wish, reason === '' ? undefined : reason);
  parts.say(`${parts.context.paintError.dim('undo:')} u`);
}

async function askForCall(parts: KeyParts): Promise<void> {
  const line = await ask(parts, 'Call which tool, with which JSON?', (text) =>
    text === undefined || text.trim() === '' ? 'Such as: greet {"name": "Ada"}' : undefined,
  );
  if (line !== undefined) await parts.call(line);
}

/** Undefined when it was left without an answer. */
async function ask(
  { context: { stdin, stderr, signal } }: KeyParts,
  message: string,
  validate: (text: string | undefined) => string | undefined,
): Promise<string | undefined> {
  const clack = await import('@clack/prompts');
  const answer = await clack.text({ message, validate, input: stdin, output: stderr, signal });
  return clack.isCancel(answer) ? undefined : (answer ?? '');
}

/** The next key, or undefined when there are no more. */
function nextKey(stdin: Readable & { isTTY?: boolean }, signal: AbortSignal): Promise<string | undefined> {
  const raw = (on: boolean) => (stdin as NodeJS.ReadStream).setRawMode?.(on);
  return new Promise((resolve) => {
    const done = (key: string | undefined): void => {
      stdin.off('data', pressed).off('end', ended);
      signal.removeEventListener('abort', ended);
      raw(false);
      stdin.pause();
      resolve(key);
    };
    const pressed = (chunk: Buffer | string): void => done(String(chunk).slice(0, 1));
    const ended = (): void => done(undefined);
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener('abort', ended, { once: true });
    raw(true);
    stdin.on('data', pressed).once('end', ended).resume();
  });
}
