import { AppError } from '../../protocol/errors.ts';
import { refuseDeepJson } from '../../protocol/json-depth.ts';
import type { Clock } from '../clock.ts';
import type { SandboxedProcess } from '../sandbox/sandbox.ts';
import { paced } from './pace.ts';

/** Nested objects and arrays in one message of a skill. */
export const MAX_DEPTH = 128;
const NEWLINE = 0x0a;

/** The two directions of a skill's stdio, one JSON message a line (MCP stdio transport). */
export interface Pipe {
  /**
   * Writes one message; those of one tick leave together.
   * @throws AppError `skill-busy` when the skill has left too much unread.
   */
  send(message: object): void;
  /** Tells the skill that nothing more will come, which MCP servers take as the order to end. */
  endInput(): void;
}

/**
 * Reads and writes a skill's stdio within `maxMessageBytes`: that long may one line be, and so much may
 * wait unread in the other direction; it is read no faster than leaves the hub to others. What is not one
 * JSON value a line ends the conversation: `broken` is told once why, and nothing more is read.
 */
export function openPipe({
  process,
  skill,
  clock,
  maxMessageBytes,
  message,
  broken,
}: {
  process: Pick<SandboxedProcess, 'stdin' | 'stdout'>;
  skill: string;
  clock: Clock;
  maxMessageBytes: number;
  /** Takes one message; says whether somebody waited for it. */
  message: (value: unknown) => boolean;
  broken: (error: AppError) => void;
}): Pipe {
  const { stdin, stdout } = process;
  let line: Buffer[] = [];
  let bytes = 0;
  let reading = true;
  const pace = paced(stdout, clock);

  const giveUp = (error: AppError): void => {
    reading = false;
    line = [];
    stdout.destroy();
    broken(error);
  };
  const hold = (part: Buffer): boolean => {
    bytes += part.length;
    if (bytes > maxMessageBytes) {
      giveUp(
        new AppError('skill-output-too-large', {
          detail: `${skill} sent a message of more than ${maxMessageBytes} bytes and was ended.`,
          hint: 'Ask for less at once, for example a range or fewer rows.',
        }),
      );
      return false;
    }
    if (part.length > 0) line.push(part);
    return true;
  };
  /** Whether the line was waited for. */
  const take = (): boolean => {
    const whole = line.length === 1 && line[0] !== undefined ? line[0] : Buffer.concat(line);
    line = [];
    bytes = 0;
    const text = whole.toString().trim();
    if (text === '') return false;
    let value: unknown;
    try {
      refuseDeepJson(whole, MAX_DEPTH);
      value = JSON.parse(text);
    } catch (cause) {
      giveUp(notMcp(skill, 'printed a line that is not a JSON-RPC message on its standard output', cause));
      return false;
    }
    return message(value);
  };

  stdout.on('data', (chunk: Buffer) => {
    let from = 0;
    // Answers come as fast as they are asked for; only what else is said has to be kept within bounds.
    let unasked = 0;
    while (reading) {
      const end = chunk.indexOf(NEWLINE, from);
      if (!hold(chunk.subarray(from, end === -1 ? chunk.length : end)) || end === -1) break;
      if (!take()) unasked += 1;
      from = end + 1;
    }
    if (reading) pace(chunk.length, unasked);
  });
  // A skill that is gone shows by its exit; a write that came too late says nothing new.
  stdin.on('error', () => undefined);
  stdout.on('error', () => undefined);

  let corked = false;
  return {
    send(value) {
      if (stdin.writableLength > maxMessageBytes) {
        throw new AppError('skill-busy', { detail: `${skill} does not read what it is sent.` });
      }
      if (!corked) {
        corked = true;
        stdin.cork();
        queueMicrotask(() => {
          corked = false;
          stdin.uncork();
        });
      }
      stdin.write(`${JSON.stringify(value)}\n`);
    },
    endInput: () => void stdin.end(),
  };
}

/** What a skill did that MCP does not allow, as the failure of whoever waits for it. */
export function notMcp(skill: string, what: string, cause?: unknown): AppError {
  return new AppError('skill-output-invalid', { detail: `${skill} ${what}.`, cause });
}
