import type { Context } from '../command.ts';
import { plain } from '../output.ts';
import { wishInWords } from './learn-event.ts';
import type { DevEvent } from './session.ts';

/** What may come of one session in so short a time; a skill that floods the screen is cut short. */
const LINES_PER_WINDOW = 200;
const WINDOW_MS = 5_000;
const MAX_LINE_CHARS = 2_000;

/** Where a session says what happens: lines for a person, JSON lines for a program. Bounded, and safe on a terminal. */
export function tellTo(
  { paintError: paint, stderr, stdout, json }: Pick<Context, 'paintError' | 'stderr' | 'stdout' | 'json'>,
  now: () => number,
): { tell(event: DevEvent | CallEvent): void; say(line: string): void } {
  let windowEnds = 0;
  let lines = 0;
  const isAllowed = (): boolean => {
    if (now() >= windowEnds) {
      windowEnds = now() + WINDOW_MS;
      lines = 0;
    }
    lines += 1;
    if (lines === LINES_PER_WINDOW) say(paint.dim('… more than can be shown'));
    return lines < LINES_PER_WINDOW;
  };
  const say = (line: string): void => {
    if (!json) stderr.write(`${line}\n`);
  };
  return {
    say,
    tell(event) {
      const isLoud = event.event === 'stderr' || event.event === 'refused' || event.event === 'note';
      if (isLoud && !isAllowed()) return;
      if (json) stdout.write(`${JSON.stringify(event)}\n`);
      else for (const line of inWords(event)) say(paint[line.as](oneLine(line.text)));
    },
  };
}

/** What came of a call that the author made here. */
export type CallEvent = {
  event: 'result';
  tool: string;
  result?: unknown;
  error?: { code: string; detail: string };
};

function inWords(event: DevEvent | CallEvent): { as: 'good' | 'bad' | 'warn' | 'dim'; text: string }[] {
  switch (event.event) {
    case 'started':
      return [
        { as: 'good', text: `${event.skill} ${event.version} runs: ${event.tools.join(', ') || 'no tools'}` },
      ];
    case 'failed':
      return [
        { as: 'bad', text: `${event.detail} (${event.code})` },
        ...(event.hint === undefined ? [] : [{ as: 'dim' as const, text: event.hint }]),
      ];
    case 'refused':
      return [{ as: 'warn', text: `refused: ${wishInWords(event.wish)}` }];
    case 'note':
      return [{ as: 'warn', text: `note: ${event.text}` }];
    case 'stderr':
      return [{ as: 'dim', text: `| ${event.text}` }];
    case 'opened':
      return [{ as: 'good', text: `opened for this session: ${wishInWords(event.wish)}` }];
    case 'granted':
      return [{ as: 'good', text: `skill.json now asks to ${wishInWords(event.wish)}` }];
    case 'undone':
      return [{ as: 'good', text: 'skill.json is what it was before' }];
    case 'recorded':
      return [];
    case 'result':
      return [
        event.error === undefined
          ? { as: 'good', text: `${event.tool}: ${JSON.stringify(event.result)}` }
          : { as: 'bad', text: `${event.tool}: ${event.error.detail} (${event.error.code})` },
      ];
  }
}

/** One line of visible text, whatever a skill put into a name. */
function oneLine(text: string): string {
  const clean = plain(text).replaceAll(/\s+/g, ' ');
  return clean.length > MAX_LINE_CHARS ? `${clean.slice(0, MAX_LINE_CHARS)}…` : clean;
}
