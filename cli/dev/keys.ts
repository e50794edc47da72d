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
/** Pressed while something else goes on. */
const MAX_KEYS = 32;

interface KeyParts {
  context: Pick<Context, 'stdin' | 'stderr' | 'paintError' | 'signal'>;
  session: DevSession;
  record: boolean;
  call: (line: string, signal: AbortSignal) => Promise<unknown>;
  say: (line: string) => void;
}

/**
 * Takes keys until the author is done: a number gives what was refused under it, `c` calls a tool. Ctrl-C ends it at any
 * time, a call in flight with it. Only for a terminal.
 */
export async function takeKeys(parts: KeyParts): Promise<void> {
  const { context, say } = parts;
  const stop = new AbortController();
  const keys = keysOf(context.stdin, AbortSignal.any([context.signal, stop.signal]), () => stop.abort());
  showKeys(parts);
  for (let key = await keys.next(); key !== undefined && key !== 'q'; key = await keys.next()) {
    try {
      await obey(key, { ...parts, stop: stop.signal, typing: keys.typing });
    } catch (error) {
      const { message, hint = '' } = asAppError(error);
      say(context.paintError.bad(plain(`${message} ${hint}`)));
    }
  }
  keys.end();
}

/** While a line is typed, keys are the line's. */
interface Typing {
  stop: AbortSignal;
  typing: <T>(work: () => Promise<T>) => Promise<T>;
}

async function obey(key: string, parts: KeyParts & Typing): Promise<void> {
  if (/^[1-9]$/.test(key)) return give(parts, Number(key));
  if (key === 'l' || key === '?') return showKeys(parts);
  if (key === 'c') return askForCall(parts);
  if (key === 'u' && !parts.record) return parts.session.undo();
  if (key === 'r') return parts.session.load();
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

async function give(parts: KeyParts & Typing, number: number): Promise<void> {
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

async function askForCall(parts: KeyParts & Typing): Promise<void> {
  const line = await ask(parts, 'Call which tool, with which JSON?', (text) =>
    text === undefined || text.trim() === '' ? 'Such as: greet {"name": "Ada"}' : undefined,
  );
  if (line !== undefined) await parts.call(line, parts.stop);
}

/** Undefined when it was left without an answer. */
async function ask(
  { context: { stdin, stderr, signal }, typing }: KeyParts & Typing,
  message: string,
  validate: (text: string | undefined) => string | undefined,
): Promise<string | undefined> {
  const clack = await import('@clack/prompts');
  const answer = await typing(() => clack.text({ message, validate, input: stdin, output: stderr, signal }));
  return clack.isCancel(answer) ? undefined : (answer ?? '');
}

/** Keys as they are pressed, one after the other; undefined once there are no more. `interrupt` hears of Ctrl-C at once. */
function keysOf(stdin: Readable & { isTTY?: boolean }, signal: AbortSignal, interrupt: () => void) {
  const waiting: string[] = [];
  let over = false;
  let wake = (): void => undefined;
  const raw = (on: boolean) => (stdin as NodeJS.ReadStream).setRawMode?.(on);
  const pressed = (chunk: Buffer | string): void => {
    for (const key of String(chunk)) {
      if (key === INTERRUPT || key === END) return finish();
      if (waiting.length < MAX_KEYS) waiting.push(key);
    }
    wake();
  };
  const finish = (): void => {
    if (!over) interrupt();
    over = true;
    wake();
  };
  const listen = (): void => {
    raw(true);
    stdin.on('data', pressed).resume();
  };
  const pause = (): void => {
    stdin.off('data', pressed).pause();
    raw(false);
  };
  signal.addEventListener('abort', finish, { once: true });
  stdin.once('end', finish);
  listen();
  return {
    async next(): Promise<string | undefined> {
      while (waiting.length === 0 && !over) await new Promise<void>((resolve) => (wake = resolve));
      return over ? undefined : waiting.shift();
    },
    async typing<T>(work: () => Promise<T>): Promise<T> {
      pause();
      try {
        return await work();
      } finally {
        listen();
      }
    },
    end() {
      stdin.off('end', finish);
      pause();
    },
  };
}
