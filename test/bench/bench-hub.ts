import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../..');
const berth = join(root, 'cli/berth.js');
const CLOCK_TICKS_PER_SECOND = 100;

/** A whole Berth in a process and a home of its own, driven through its CLI. */
export interface BenchHub {
  mcp: string;
  home: string;
  /** The folder of the echo skill that the benchmarks call. */
  echo: string;
  /** Runs a command and answers with its `data`. */
  cli(...args: string[]): unknown;
  cpuSeconds(): Promise<number>;
  residentKb(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts `berth up` with fresh state and waits for its ready line. */
export async function startBenchHub(): Promise<BenchHub> {
  const home = await mkdtemp(join(tmpdir(), 'berth-bench-'));
  const env = { ...process.env, BERTH_HOME: home };
  const hub = spawn(process.execPath, [berth, 'up', '--json', '--hub-port', '0', '--registry-port', '0'], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = new Promise<void>((resolve) => hub.once('exit', () => resolve()));
  const firstLine = await new Promise<string>((resolve, reject) => {
    createInterface({ input: hub.stdout }).once('line', resolve);
    hub.once('exit', (code) => reject(new Error(`berth up ended with ${code}`)));
  });
  hub.stdout.resume();
  const { mcp } = JSON.parse(firstLine) as { mcp: string };
  return {
    mcp,
    home,
    echo: join(root, 'test/bench/echo'),
    cli(...args) {
      const output = execFileSync(process.execPath, [berth, ...args, '--json'], {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
        maxBuffer: 64 * 1024 * 1024,
      });
      return (JSON.parse(output.toString('utf8')) as { data: unknown }).data;
    },
    async cpuSeconds() {
      // proc(5): utime and stime are the 14th and 15th field; the second may hold spaces.
      const fields = (await readFile(`/proc/${hub.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
    },
    async residentKb() {
      const status = await readFile(`/proc/${hub.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
    },
    async stop() {
      hub.kill('SIGTERM');
      await exited;
      await rm(home, { recursive: true, force: true });
    },
  };
}
