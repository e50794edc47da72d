import type { Readable } from 'node:stream';
import { type Logger, withoutSecrets } from '../../protocol/node/logger.ts';
import type { Clock } from '../clock.ts';
import { redaction } from '../secrets/redact.ts';
import { paced } from './pace.ts';

/** Kept for explaining a failure. */
const TAIL_BYTES = 8 * 1024;
/** What of it an error says. */
const LAST_WORDS_CHARS = 400;
const LINE_CHARS = 2_000;
/** Lines of one child that reach the hub's log in each window; a chatty skill must not fill the disk. */
const LINES_PER_WINDOW = 100;
const WINDOW_MS = 10_000;
/** Shorter values would blot out ordinary words. */
const MIN_SECRET_CHARS = 6;

/** What a skill says on standard error. */
export interface Stderr {
  /** The end of it on one line, without secrets; empty when it said nothing. */
  lastWords(): string;
}

/** Forwards a skill's standard error to the hub's log, bounded, and keeps its end. `secrets` are never repeated. */
export function watchStderr({
  stream,
  secrets,
  clock,
  log,
}: {
  stream: Readable;
  secrets: ReadonlyMap<string, string>;
  clock: Clock;
  log: Logger;
}): Stderr {
  const redacted = redaction(secrets, MIN_SECRET_CHARS) ?? ((text: string) => text);
  const clean = (text: string) => withoutControls(redacted(withoutSecrets(text)));
  const pace = paced(stream, clock);
  let tail = Buffer.alloc(0);
  let unfinished = '';
  let windowEnds = 0;
  let lines = 0;
  let dropped = 0;

  const forward = (line: string): void => {
    if (clock.now() >= windowEnds) {
      if (dropped > 0) log.warn({ dropped }, 'lines of the skill were left out');
      windowEnds = clock.now() + WINDOW_MS;
      lines = 0;
      dropped = 0;
    }
    lines += 1;
    if (lines > LINES_PER_WINDOW) dropped += 1;
    else if (line.trim() !== '') log.info({ stderr: clean(line).slice(0, LINE_CHARS) }, 'the skill says');
  };
  stream.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
    const parts = (unfinished + chunk.toString()).split('\n');
    unfinished = (parts.pop() ?? '').slice(-LINE_CHARS);
    for (const line of parts) forward(line);
    pace(chunk.length, parts.length);
  });
  stream.on('error', () => undefined);

  return {
    lastWords: () =>
      clean(withoutStack(tail.toString())).trim().replaceAll(/\s+/g, ' ').slice(-LAST_WORDS_CHARS),
  };
}

/** What a crashing program says, without the frames that only its author can read. */
function withoutStack(text: string): string {
  const frame = /^\s+at |^(?:node:|file:\/\/)\S*:\d+$|^\s*\^+\s*$|^Node\.js v\d|^\s*throw /;
  return text
    .split('\n')
    .filter((line) => !frame.test(line))
    .join('\n');
}

/** Control characters could forge log lines or drive a terminal. */
function withoutControls(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what has to go
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ' ');
}
