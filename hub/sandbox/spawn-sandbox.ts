import { type ChildProcess, spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import type { ControlGroup } from './cgroup.ts';
import { holdOutput } from './held-output.ts';
import { identityOf, killExactly, type ProcessIdentity, signal, whenGone } from './processes.ts';
import type { SandboxedProcess, SandboxExit } from './sandbox.ts';
import type { Watch } from './tracer.ts';

/** What bubblewrap is started with. */
export interface SpawnOrder {
  /** For messages. */
  label: string;
  bwrap: string;
  /** What bubblewrap is started by, to be in another network from the start; empty for one of its own. */
  enter: readonly string[];
  /** Shown as the name of the outermost process, or among its options. */
  mark: string;
  /** Options that bubblewrap reads from a pipe. */
  options: readonly string[];
  command: readonly string[];
  filter: Buffer;
  /** Written to the descriptors from `FIRST_DESCRIPTOR` on. */
  contents: readonly string[];
  /** Inherited as the descriptors that follow. */
  descriptors: readonly number[];
  /** Descriptors that this process was itself started with, and that the child must not see. */
  covered: readonly number[];
  group: ControlGroup | undefined;
  /**
   * What is wrong with it as it was made, in words, before the program is started; undefined when nothing is.
   */
  faultOf: (first: ProcessIdentity) => Promise<string | undefined>;
  /** Its priority below the hub, from 0 (the same) to 19, where no group gives it a weight. */
  niceness: number;
  /** Stands around the sandbox in learn runs; undefined in every other. */
  watch: Watch | undefined;
}

/** A sandbox whose network, if it has one, is for the driver to open and shut. */
export interface SpawnedSandbox extends Omit<SandboxedProcess, 'enter'> {
  /** What is printed is held until this is called, by the last who sees to the start (held-output.ts). */
  handOver(): void;
}

const OPTIONS = 3;
const FILTER = 4;
const STATUS = 5;
/** The first descriptor that is free for files and folders. */
export const FIRST_DESCRIPTOR = 6;

/** The one variable of bubblewrap's own. */
export const SEARCH_PATH = '/usr/bin:/bin';

/**
 * Starts bubblewrap and answers once the sandbox's first process exists.
 *
 * The pipes are gates. Bubblewrap reads its options first, so it is in its control group before it
 * makes anything; and it reads the filter last, after it has bound its life to ours and mounted
 * everything, so that a hub that dies halfway, or finds fault with what was mounted, leaves an empty
 * filter, with which it refuses to run the program.
 *
 * @throws AppError `skill-start-failed`.
 */
export async function spawnSandbox(order: SpawnOrder): Promise<SpawnedSandbox> {
  const nothing = await open('/dev/null', 'r+');
  try {
    return await begin(order, spawnBwrap(order, nothing.fd));
  } catch (error) {
    await order.watch?.close();
    await order.group?.remove();
    throw error instanceof AppError ? error : startFailed(order, error);
  } finally {
    await nothing.close();
  }
}

function spawnBwrap(order: SpawnOrder, nothing: number): ChildProcess {
  const own = ['--args', String(OPTIONS), '--seccomp', String(FILTER), '--json-status-fd', String(STATUS)];
  // What enters a network becomes bubblewrap, under its own name: there an option without effect carries the mark.
  const [program = '', ...options] = [
    ...(order.watch?.command ?? [...order.enter, order.bwrap]),
    ...(order.enter.length === 0 ? [] : ['--unsetenv', order.mark]),
    ...own,
  ];
  return spawn(program, [...options, '--', ...order.command], {
    argv0: order.mark,
    cwd: '/',
    // Not ours: the first process of the sandbox keeps a readable copy (`/proc/1/environ`).
    env: { PATH: order.watch?.path ?? SEARCH_PATH },
    // A group of its own, so that a Ctrl-C on the hub's terminal is the hub's to handle.
    detached: true,
    stdio: stdioOf(order, nothing),
  });
}

/** Takes the fresh child through its gates. Listens before anything else: its failure is an event, too. */
async function begin(order: SpawnOrder, child: ChildProcess): Promise<SpawnedSandbox> {
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signalName) => resolve({ code, signal: signalName }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
  const failed = new Promise<never>((_, reject) =>
    child.once('error', (cause) => reject(startFailed(order, cause))),
  );
  failed.catch(() => undefined);
  // A process may go away at any time; that is told by `exited`, not by a pipe.
  for (const stream of child.stdio) stream?.on('error', () => undefined);

  const status = readStatus(child);
  const output = { stdout: pipeOf(child, 1), stderr: pipeOf(child, 2) };
  const handOver = holdOutput(output);
  try {
    const { pid } = child;
    if (pid === undefined) return await failed;
    await order.group?.add(pid);
    if (order.niceness > 0) setPriority(pid, order.niceness);
    if (order.watch !== undefined) pipeOf(child, OPTIONS).write('\n');
    pipeOf(child, OPTIONS).end(order.options.map((option) => `${option}\0`).join(''));
    order.contents.forEach((content, index) => pipeOf(child, FIRST_DESCRIPTOR + index).end(content));
    const firstPid = await Promise.race([status.firstPid, ended.then(() => undefined)]);
    const first = firstPid === undefined ? undefined : await identityOf(firstPid);
    if (first === undefined) throw startFailed(order, await firstWords(child));
    const fault = await order.faultOf(first);
    if (fault !== undefined) {
      // It may have ended by itself, and says why.
      signal(-pid);
      const words = await firstWords(child);
      throw startFailed(order, words === '' ? fault : words);
    }
    pipeOf(child, FILTER).end(order.filter);
    return { ...supervised(order, child, pid, first, ended, status.exitCode), handOver };
  } catch (error) {
    if (child.pid !== undefined) signal(-child.pid);
    await ended;
    // Nobody will read what is left in them.
    output.stdout.destroy();
    output.stderr.destroy();
    throw error;
  }
}

function supervised(
  order: SpawnOrder,
  child: ChildProcess,
  pid: number,
  first: ProcessIdentity,
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>,
  exitCode: Promise<number | undefined>,
): Omit<SpawnedSandbox, 'handOver'> {
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new Error('the child has no pipes');
  let running = true;
  let weighed: Promise<unknown> = Promise.resolve();
  const exited = (async (): Promise<SandboxExit> => {
    const outer = await ended;
    // The outermost process reports the program's end; the kernel then ends the others with the first one.
    await whenGone(first);
    running = false;
    await order.watch?.close();
    const reason = await reasonOf(order, outer, await exitCode);
    await order.group?.remove();
    return { ...exitOf(outer, await exitCode), ...(reason === undefined ? {} : { reason }) };
  })();
  return {
    pid,
    stdin,
    stdout,
    stderr,
    exited,
    weigh(weight) {
      // One after the other, for the last word counts; a group that is gone has nothing left to weigh.
      weighed = weighed.then(() => (running ? order.group?.weigh(weight) : undefined)).catch(() => undefined);
    },
    async kill() {
      if (running) {
        await killExactly(first);
        if (child.exitCode === null && child.signalCode === null) signal(-pid);
        await order.group?.kill();
      }
      await exited;
    },
  };
}

async function reasonOf(
  order: SpawnOrder,
  outer: { code: number | null },
  exitCode: number | undefined,
): Promise<string | undefined> {
  if (await order.group?.ranOutOfMemory()) return 'out of memory';
  if (exitCode === undefined && outer.code !== null && outer.code !== 0)
    return 'the sandbox could not be set up';
  return undefined;
}

/** Bubblewrap and podman answer with 128 plus the signal for a program that was ended by one. */
export function exitOf(
  outer: { code: number | null; signal: NodeJS.Signals | null },
  exitCode: number | undefined,
): { code: number | null; signal: NodeJS.Signals | null } {
  if (exitCode === undefined || exitCode <= 128) return outer;
  const names = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128);
  return names === undefined ? outer : { code: null, signal: names[0] as NodeJS.Signals };
}

const statusLine = z.union([
  z.object({ 'child-pid': z.int().positive() }),
  z.object({ 'exit-code': z.int().min(0).max(255) }),
]);

/** Bubblewrap's own reports: one JSON object a line. */
function readStatus(child: ChildProcess) {
  const lines = createInterface({ input: pipeOf(child, STATUS) });
  let exit: number | undefined;
  let told = (_pid: number): void => undefined;
  const firstPid = new Promise<number>((resolve) => (told = resolve));
  const exitCode = new Promise<number | undefined>((resolve) => lines.once('close', () => resolve(exit)));
  lines.on('line', (line) => {
    const parsed = statusLine.safeParse(asJson(line));
    if (!parsed.success) return;
    if ('child-pid' in parsed.data) told(parsed.data['child-pid']);
    else exit = parsed.data['exit-code'];
  });
  return { firstPid, exitCode };
}

function asJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/**
 * The three pipes of the skill, ours, and `/dev/null` over every descriptor that this process got
 * from its own parent without being told to close it: a shell's, a supervisor's.
 */
function stdioOf(
  { contents, descriptors, covered }: SpawnOrder,
  nothing: number,
): ('pipe' | 'ignore' | number)[] {
  const stdio: ('pipe' | 'ignore' | number)[] = [
    ...Array.from({ length: FIRST_DESCRIPTOR + contents.length }, () => 'pipe' as const),
    ...descriptors,
  ];
  for (const number of covered.filter((one) => one >= stdio.length)) {
    while (stdio.length < number) stdio.push('ignore');
    stdio[number] = nothing;
  }
  return stdio;
}

function pipeOf(child: ChildProcess, descriptor: number): Duplex {
  const pipe = (child.stdio as readonly unknown[])[descriptor];
  if (pipe === null || pipe === undefined) throw new Error(`the child has no pipe ${descriptor}`);
  return pipe as Duplex;
}

const MAX_WORDS = 2000;

/** What bubblewrap said before it gave up. */
async function firstWords(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stderr ?? []) text = (text + String(chunk)).slice(0, MAX_WORDS);
  return text.trim();
}

function startFailed({ label }: SpawnOrder, cause: unknown): AppError {
  const why = typeof cause === 'string' ? cause : cause instanceof Error ? cause.message : '';
  return new AppError('skill-start-failed', {
    detail: `No sandbox could be made for ${label}${why === '' ? '' : `: ${why}`}.`,
    hint: 'Run `berth doctor`; it looks at the sandbox of this machine.',
    cause,
  });
}
