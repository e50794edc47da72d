import type { DestinationStream } from 'pino';
import type { Context } from './command.ts';
import { clockTime, plain } from './output.ts';

const LEVELS: Readonly<Record<number, 'bad' | 'warn' | 'dim'>> = {
  50: 'bad',
  40: 'warn',
  30: 'dim',
  20: 'dim',
};

/** Where a server's log goes: to a person's terminal as one readable line each, anywhere else as the JSON it is. */
export function logLines(context: Context): DestinationStream {
  if (context.json || !context.stderrTerminal) return context.stderr;
  return { write: (line) => void context.stderr.write(`${readable(context, line)}\n`) };
}

function readable(context: Context, line: string): string {
  try {
    const { level, time, name, msg } = JSON.parse(line) as Record<string, unknown>;
    const when = clockTime(String(time), Date.parse(String(time)));
    const paint = context.paintError[LEVELS[Number(level)] ?? 'bad'];
    return `${context.paintError.dim(when)} ${paint(String(name))} ${plain(String(msg)).replaceAll(/\s+/g, ' ')}`;
  } catch {
    return plain(line.trimEnd());
  }
}
