import type { Readable, Writable } from 'node:stream';
import { CommanderError } from 'commander';
import { AppError } from '../protocol/errors.ts';
import type { Command, Context, Outcome } from './command.ts';
import { readSettings } from './config.ts';
import { faultInWords } from './faults.ts';
import { Interrupted } from './interrupted.ts';
import { paintFor, show, showError, showText, type Screen } from './output.ts';
import { buildProgram, type Invocation } from './program.ts';
import { clientsFor } from './servers.ts';
import { shellWord } from './shell-word.ts';
import { berthVersion } from './version.ts';

/** What a process is to the CLI: a test hands in its own. */
export interface Terminal {
  /** Without the interpreter and the script. */
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable & { isTTY?: boolean; columns?: number };
  stderr: Writable & { isTTY?: boolean };
  /** Aborts when the person wants to stop. */
  signal: AbortSignal;
  /** Aborts when they want it over. */
  hasten: AbortSignal;
}

const INTERRUPTED = 130;

/** Runs the CLI in this process and ends it: called by `berth.js`. */
export async function main(process: NodeJS.Process): Promise<void> {
  const stop = new AbortController();
  const hasten = new AbortController();
  let finished = false;
  const interrupt = (): void => {
    // The third time means: now, whatever is left undone.
    if (hasten.signal.aborted || finished) process.exit(INTERRUPTED);
    if (stop.signal.aborted) hasten.abort();
    else stop.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  // A reader that went away (`berth list | head -1`) is not a fault.
  process.stdout.on('error', () => process.exit(0));
  const code = await run({
    argv: process.argv.slice(2),
    env: process.env,
    cwd: process.cwd(),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stop.signal,
    hasten: hasten.signal,
  });
  finished = true;
  process.stdout.write('', () => process.exit(code));
}

/** Runs one command line and answers with its exit code. Never throws. */
export async function run(terminal: Terminal): Promise<number> {
  const { argv, env, stdin, stdout, stderr, signal, hasten } = terminal;
  // Looked for before parsing, so that a faulty command line is answered in the form that was asked for.
  const beforeRest = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const json = beforeRest.includes('--json');
  const colored = (stream: { isTTY?: boolean }): boolean =>
    stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  const screen: Screen = {
    stdout,
    stderr,
    json,
    paint: paintFor(colored(stdout)),
    paintError: paintFor(colored(stderr)),
  };

  let home: string | undefined;
  try {
    const invocation = await parse(argv);
    if ('help' in invocation) return showText(screen, invocation.help);
    if ('version' in invocation) return showText(screen, `berth ${berthVersion()}\n`);
    const { globals } = invocation;
    const settings = readSettings(env, globals);
    ({ home } = settings);
    const context: Context = {
      settings,
      home: settings.home,
      json,
      asks: !json && !settings.ci && stdin.isTTY === true && stderr.isTTY === true,
      paint: screen.paint,
      paintError: screen.paintError,
      stderrTerminal: stderr.isTTY === true,
      terminal: stdout.isTTY === true,
      width: stdout.isTTY === true ? stdout.columns || Infinity : Infinity,
      stdin,
      stdout,
      stderr,
      signal,
      hasten,
      workingDirectory: terminal.cwd,
      ...clientsFor({ settings, readable: !json }),
    };
    const outcome = await interruptible(invocation.command, context, invocation.given);
    return outcome === undefined ? 0 : show(screen, withGlobals(outcome, globals));
  } catch (error) {
    if (error instanceof Interrupted) {
      if (error.message !== '') stderr.write(`${error.message}\n`);
      return INTERRUPTED;
    }
    if (!(error instanceof AppError) && env['BERTH_DEBUG'])
      stderr.write(`${(error as Error)?.stack ?? String(error)}\n`);
    return showError(screen, faultInWords(error, home));
  }
}

/** A command that doesn't end itself on a signal is left where it stands: no half answer is shown. */
async function interruptible(
  command: Command,
  context: Context,
  given: Record<string, unknown>,
): Promise<Outcome | undefined> {
  const work = command.run(context, given as never);
  if (command.endsItself) return work;
  const { signal } = context;
  return Promise.race([
    work,
    new Promise<never>((_resolve, reject) => {
      if (signal.aborted) reject(new Interrupted());
      signal.addEventListener('abort', () => reject(new Interrupted()), { once: true });
    }),
  ]);
}

async function parse(argv: readonly string[]): Promise<Invocation> {
  const program = buildProgram();
  try {
    return await program.parse(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander's sentence is "error: … \n(Did you mean …?)".
    const [detail = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
    throw new AppError('usage-invalid', {
      detail: `${detail.charAt(0).toUpperCase()}${detail.slice(1)}${/[.?!]$/.test(detail) ? '' : '.'}`,
      hint: [rest.join(' ').replace(/^\(|\)$/g, ''), `See: ${program.helpFor(argv)}`]
        .filter(Boolean)
        .join(' '),
      cause: error,
    });
  }
}

/** Commands that are named as the way back or on lead to the home and the servers that were named here. */
function withGlobals(outcome: Outcome, globals: Readonly<Record<string, string | undefined>>): Outcome {
  const said = Object.entries(globals).flatMap(([name, value]) =>
    value === undefined ? [] : [[`--${name}`, shellWord(value)] as const],
  );
  if (said.length === 0) return outcome;
  const whole = (line: string): string =>
    line
      .split(' && ')
      .map((part) =>
        said.reduce(
          (command, [flag, value]) =>
            !command.startsWith('berth ') || command.includes(` ${flag} `)
              ? command
              : `${command} ${flag} ${value}`,
          part,
        ),
      )
      .join(' && ');
  return {
    ...outcome,
    ...(outcome.undo === undefined ? {} : { undo: whole(outcome.undo) }),
    ...(outcome.next === undefined ? {} : { next: outcome.next.map(whole) }),
  };
}
