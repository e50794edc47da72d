import { execFile } from 'node:child_process';
import { constants, openSync, readSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { promisify } from 'node:util';
import { AppError } from '../../protocol/errors.ts';
import { executable, installHint } from './prerequisites.ts';
import { SEARCH_PATH } from './spawn-sandbox.ts';
import { traceReader } from './trace-reader.ts';
import type { TraceListener, Tracer, Watch } from './tracer.ts';

/**
 * Of a string, the bytes that are written: a DNS query has 512 at most (RFC 1035 §2.3.4), paths are always written whole.
 */
const STRING_BYTES = 512;
const OPTIONS = [
  // Every process; only the calls below stop, which makes watching cheap; no word beside the calls themselves.
  ...['-f', '--seccomp-bpf', '-qqq', '-e', 'signal=none'],
  // All strings in hexadecimal, so that no name can forge a line; where a relative path begins.
  ...['-xx', '-y', '-s', String(STRING_BYTES)],
  ...['-e', 'trace=%file,connect,sendto,sendmsg,sendmmsg'],
];
const NEEDED = ['--seccomp-bpf', '--strings-in-hex', '--decode-fds', '--quiet'];
/** What one look takes out of the pipe at most, so that a skill that floods it holds up nobody. */
const DRAIN_BYTES = 16 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/**
 * Watches by `strace`, which stands between this process and bubblewrap (docs/adr/0012-learning.md). Its words come
 * through a named pipe that the sandbox does not see; while nobody reads, the watched processes wait. It dies with
 * this process, and bubblewrap with it.
 */
export function createStrace({
  path,
  stateDir,
  seen,
  lost,
}: {
  /** Where programs are looked up. */
  path: string;
  /** A private folder that exists once a sandbox is made. */
  stateDir: string;
  seen: TraceListener;
  /** Lines were too long or too many to be read. */
  lost: (lines: number) => void;
}): Tracer & {
  /** Tells all that was seen until now in every sandbox that is watched. */
  drain(): void;
  /** @throws AppError `learn-unavailable` when nothing can be watched here. */
  check(): Promise<void>;
} {
  let found: Promise<Tools> | undefined;
  const watches = new Set<Watch>();
  return {
    async check() {
      await (found ??= findTools(path));
    },
    drain() {
      for (const watch of watches) watch.drain();
    },
    async watch({ program, bwrap, mark, enter }) {
      const tools = await (found ??= findTools(path));
      const folder = await mkdtemp(join(stateDir, 'learn-'));
      const pipe = join(folder, 'trace');
      await promisify(execFile)(tools.mkfifo, ['-m', '600', pipe], { env: {} });
      const named = await namedByMark(folder, mark, { ...tools, bwrap });
      // What enters a network is found by an argument: the mark is bubblewrap's own to carry there.
      const started = enter.length === 0 ? [named.bwrap] : [...enter, bwrap];
      const watch = watchPipe(pipe, { named, started, folder, program, seen, lost });
      watches.add(watch);
      return {
        ...watch,
        async close() {
          watches.delete(watch);
          await watch.close();
        },
      };
    },
  };
}

interface Tools {
  sh: string;
  strace: string;
  setpriv: string;
  mkfifo: string;
}

async function findTools(path: string): Promise<Tools> {
  const [sh, strace, setpriv, mkfifo] = await Promise.all(
    ['sh', 'strace', 'setpriv', 'mkfifo'].map((name) => executable(name, path)),
  );
  const root = process.geteuid?.() === 0;
  if (strace === undefined) {
    throw new AppError('learn-unavailable', {
      detail: 'strace is not on the PATH; what a skill is refused can only be seen through it.',
      hint: await installHint('strace', path, root),
    });
  }
  if (sh === undefined || setpriv === undefined || mkfifo === undefined) {
    throw new AppError('learn-unavailable', {
      detail: 'sh, setpriv or mkfifo is not on the PATH; watching a skill needs them.',
      hint: await installHint('util-linux', path, root),
    });
  }
  const { stdout } = await promisify(execFile)(strace, ['--help'], { env: {} }).catch(() => ({ stdout: '' }));
  const lacking = NEEDED.filter((option) => !stdout.includes(option));
  if (lacking.length > 0) {
    throw new AppError('learn-unavailable', {
      detail: `${strace} is too old: it lacks ${lacking.join(', ')}.`,
      hint: await installHint('strace', path, root),
    });
  }
  return { sh, strace, setpriv, mkfifo };
}

/** A file's name has 255 bytes at most. */
const MAX_MARK_CHARS = 200;

/**
 * Links by which programs are started under the hub's mark: what stands around a sandbox is found by it when the hub died
 * before the kernel knew that they belong together (guard.ts, processes.ts).
 */
async function namedByMark(
  folder: string,
  mark: string,
  programs: Record<keyof Named, string>,
): Promise<Named> {
  const link = async (name: keyof Named): Promise<string> => {
    const named = `${mark.replaceAll('/', '_').slice(0, MAX_MARK_CHARS)}:${name}`;
    await symlink(programs[name], join(folder, named));
    return named;
  };
  return {
    sh: programs.sh,
    setpriv: await link('setpriv'),
    strace: await link('strace'),
    bwrap: await link('bwrap'),
  };
}

interface Named {
  sh: string;
  setpriv: string;
  strace: string;
  bwrap: string;
}

function watchPipe(
  pipe: string,
  {
    named,
    started,
    folder,
    program,
    seen,
    lost,
  }: {
    named: Named;
    started: readonly string[];
    folder: string;
    program: string;
    seen: TraceListener;
    lost: (lines: number) => void;
  },
): Watch {
  // Opened for writing, too: without a writer a pipe ends, and the tracer comes later. The socket closes it.
  const descriptor = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  const reader = traceReader(program, seen);
  const decoder = new StringDecoder('latin1');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let told = 0;
  let isOpen = true;
  const take = (chunk: Buffer): void => {
    reader.take(decoder.write(chunk));
    const more = reader.lost() - told;
    told += more;
    if (more > 0) lost(more);
  };
  const socket = new Socket({ fd: descriptor, readable: true, writable: false });
  socket.on('data', take);
  socket.on('error', () => undefined);

  function drain(): void {
    for (let taken = 0; isOpen && taken < DRAIN_BYTES;) {
      const length = readNow(descriptor, buffer);
      if (length === 0) return;
      taken += length;
      take(buffer.subarray(0, length));
    }
  }
  return {
    command: [
      // The first line of the options is a gate: the tracer is in its control group before it starts anything.
      ...([named.sh, '-c', 'read -r _ <&3 && exec "$@"', 'berth-learn'] as const),
      ...[named.setpriv, '--pdeathsig', 'KILL'],
      // Bubblewrap's first process keeps a copy of its variables that a skill can read.
      ...[named.strace, ...OPTIONS, '-E', `PATH=${SEARCH_PATH}`, '-o', pipe, ...started],
    ],
    path: `${folder}:${SEARCH_PATH}`,
    drain,
    async close() {
      if (!isOpen) return;
      drain();
      isOpen = false;
      await new Promise<void>((resolve) => socket.once('close', () => resolve()).destroy());
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What is in the pipe now; 0 when that is nothing. */
function readNow(descriptor: number, buffer: Buffer): number {
  try {
    return readSync(descriptor, buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}
