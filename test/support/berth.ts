import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { onSmallDisk, withHosts } from './small-disk.ts';

const root = join(import.meta.dirname, '../..');
const program = join(root, 'cli/berth.js');
/** Whether hubs take the fast lane, or leave all to the SDK; what tests say of them has to hold on both ways. */
export const hasFastLane = process.env['BERTH_TEST_FAST_LANE'] !== 'off';
const lane = hasFastLane
  ? []
  : ['--import', pathToFileURL(join(root, 'test/support/without-fast-lane.mjs')).href];

/** What a command came to. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  /** The envelope of `--json`. */
  json: { ok: boolean; data: Record<string, any>; error: Record<string, any>; warnings: string[] };
}

/** A running `berth up` in a home of its own. */
export interface Berth {
  home: string;
  urls: { hub: string; registry: string; mcp: string };
  /** The admin API of its hub. */
  admin: { socketPath: string };
  process: ChildProcess;
  /** Resolves once the process is gone, however. */
  gone: Promise<unknown>;
  /** Everything it said on standard error. */
  log(): string;
  /** Runs a command against it with `--json`. */
  run(...args: string[]): Promise<Ran>;
  /** The same, expected to go well; answers with its data. */
  ok(...args: string[]): Promise<Record<string, any>>;
  /** SIGKILL, and waits for the process to be gone. */
  kill(): Promise<void>;
  /** Clean stop; answers with the exit code. */
  stop(): Promise<number | null>;
}

/** An empty home; removed by `removeHome`. */
export async function newHome(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'berth-e2e-'));
}

export async function removeHome(home: string): Promise<void> {
  await rm(home, { recursive: true, force: true });
}

/** Runs one command as a user would: the built program, no terminal. */
export async function berth(
  home: string,
  args: readonly string[],
  { input, env = {} }: { input?: string; env?: Record<string, string> } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env['PATH'], HOME: home, BERTH_HOME: home, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    cwd: home,
  });
  child.stdin?.end(input);
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit(child)]);
  return {
    code: code ?? -1,
    stdout,
    stderr,
    get json() {
      return JSON.parse(stdout) as Ran['json'];
    },
  };
}

/** Starts `berth up --json` on free ports and waits for its ready line. */
export async function startBerth(
  home: string,
  {
    nodeArgs = [],
    args = ['up', '--json', '--hub-port', '0', '--registry-port', '0'],
    env = {},
    diskBytes,
    hosts,
  }: {
    /** Its home is a file system of this size, which others see at `/proc/<pid>/root`. */
    diskBytes?: number;
    /** A file that is its machine's `/etc/hosts`. */
    hosts?: string;
    nodeArgs?: readonly string[];
    args?: readonly string[];
    env?: Record<string, string>;
  } = {},
): Promise<Berth> {
  const command = [process.execPath, ...lane, ...nodeArgs, program, ...args];
  const resolving = hosts === undefined ? command : withHosts(command, hosts);
  const [file = '', ...rest] = diskBytes === undefined ? resolving : onSmallDisk(resolving, home, diskBytes);
  const child = spawn(file, rest, {
    env: { PATH: process.env['PATH'], HOME: home, BERTH_HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: home,
  });
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString('utf8')));
  const gone = exit(child);
  const ready = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', resolve);
    void gone.then((code) => reject(new Error(`berth up ended with ${code}: ${log}`)));
  });
  child.stdout?.resume();
  const run = (...words: string[]) => berth(home, [...words, '--json'], { env });
  const said = JSON.parse(ready) as Berth['urls'] & { data: Berth['urls'] };
  return {
    home,
    admin: {
      socketPath: join(
        diskBytes === undefined ? home : `/proc/${child.pid}/root${home}`,
        'hub',
        'admin.sock',
      ),
    },
    urls: said.data,
    process: child,
    gone,
    log: () => log,
    run,
    async ok(...words) {
      const ran = await run(...words);
      if (ran.code !== 0)
        throw new Error(`berth ${words.join(' ')} → ${ran.code}\n${ran.stdout}${ran.stderr}\n${log}`);
      return ran.json.data;
    },
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
    async stop() {
      child.kill('SIGTERM');
      return gone;
    },
  };
}

function exit(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', (code) => resolve(code)));
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  let all = '';
  for await (const chunk of stream ?? []) all += chunk.toString();
  return all;
}
