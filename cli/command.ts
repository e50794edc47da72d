import type { Readable, Writable } from 'node:stream';
import type { Settings } from './config.ts';
import type { Clients } from './servers.ts';

/** Where a command stands in `berth --help`. */
export const GROUPS = [
  'Start here',
  'Use skills',
  'Write skills',
  'Publish',
  'Decide',
  'Look back',
  'Servers',
] as const;

export interface ArgumentSpec {
  /** One line for `--help`. */
  about: string;
  /** May be left out. Default: required. */
  optional?: true;
  /** All words behind `--`, as they are; none when there is no `--`. Only the last argument. */
  rest?: true;
}

export type OptionSpec =
  | { type: 'flag'; about: string; short?: string }
  | { type: 'text'; value: string; about: string; short?: string }
  /** A whole number from `min` to `max`, both included. */
  | { type: 'number'; value: string; about: string; min: number; max: number }
  /** May be given several times. */
  | { type: 'list'; value: string; about: string };

type ArgumentValues<A> = {
  [K in keyof A]: A[K] extends { rest: true }
    ? string[]
    : A[K] extends { optional: true }
      ? string | undefined
      : string;
};
type OptionValues<O> = {
  [K in keyof O]: O[K] extends { type: 'flag' }
    ? boolean
    : O[K] extends { type: 'list' }
      ? string[]
      : O[K] extends { type: 'number' }
        ? number | undefined
        : string | undefined;
};

/**
 * A command is data: what it is called, what it takes, and one function. The file of `berth audit
 * verify` is `commands/audit/verify.ts`; no rule of Berth lives there, only asking and telling.
 */
export interface Command<
  A extends Record<string, ArgumentSpec> = Record<string, ArgumentSpec>,
  O extends Record<string, OptionSpec> = Record<string, OptionSpec>,
> {
  /** The words after `berth`, such as `audit verify`. Empty for bare `berth`. */
  name: string;
  /** Other last words for the same, such as `ls`. */
  aliases?: readonly string[];
  group: (typeof GROUPS)[number];
  /** One line. */
  summary: string;
  /** One line about the word that leads to this command and others (`audit`); said by the first of them. */
  groupSummary?: string;
  /** In the order in which they are written. */
  arguments: A;
  options: O;
  /** At least one; each a line that can be typed as it stands. */
  examples: readonly string[];
  /** It watches `context.signal` and ends in order; any other command is left where it stands. */
  endsItself?: true;
  run(context: Context, given: ArgumentValues<A> & OptionValues<O>): Promise<Outcome | undefined>;
}

/** Declares a command; the types of what `run` is given follow from the declaration. */
export function command<
  const A extends Record<string, ArgumentSpec>,
  const O extends Record<string, OptionSpec>,
>(declared: Command<A, O>): Command {
  return declared;
}

/** What a command answers; `output.ts` turns it into text or JSON. A command that streamed answers nothing more. */
export interface Outcome {
  /** What scripts read, in `data` of the envelope. */
  data: unknown;
  /** What a person reads on stdout. Nothing when left out. */
  text?: string;
  /** What a person reads on stderr beside it. */
  notes?: readonly string[];
  /** Worth knowing though it worked; in the envelope's `warnings`, on stderr for a person. */
  warnings?: readonly string[];
  /** The command that takes the change back, as it can be typed, or a sentence that says why none can. Set by each change. */
  undo?: string;
  /** Commands worth typing next. */
  next?: readonly string[];
  /** Exit code when it is not 0 though nothing failed, such as 5 for what waits. */
  exit?: number;
}

/** Everything a command may touch, made once in `main.ts`; a test makes its own. */
export interface Context extends Clients {
  settings: Settings;
  home: string;
  json: boolean;
  /** True when a person sits at both ends, `--json` is off and this is not CI: only then is anything asked. */
  asks: boolean;
  /** For stdout. */
  paint: Paint;
  /** For stderr. */
  paintError: Paint;
  /** Whether stdout is a terminal: columns are aligned, and nothing raw is written to it. */
  terminal: boolean;
  /** Whether stderr is one. */
  stderrTerminal: boolean;
  /** Columns of the terminal; without end where there is none. */
  width: number;
  stdin: Readable & { isTTY?: boolean };
  /** For what streams while a command runs (`up`, `serve`); everything else is an `Outcome`. */
  stdout: Writable;
  stderr: Writable;
  /** Aborts at the first SIGINT or SIGTERM. */
  signal: AbortSignal;
  /** Aborts at the second, for commands that take their time to end. A third ends the process at once. */
  hasten: AbortSignal;
  workingDirectory: string;
}

/** Colours by meaning; plain text where colours do not belong. */
export interface Paint {
  strong(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
}
