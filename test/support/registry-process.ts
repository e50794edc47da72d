import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { onTestFinished } from 'vitest';
import type { NamespaceKey } from '../../registry/store/store.ts';
import { onSmallDisk } from './small-disk.ts';

/** A registry in a process of its own. */
export interface RegistryProcess {
  url: string;
  /** The next event that has the field; the events before it are dropped. */
  event(field: string): Promise<Record<string, unknown>>;
  /** Asks the process for something and waits until it is done. */
  tell(order: 'fill' | 'free' | 'list'): Promise<{ incoming: string[] }>;
  /** Ends it as a power cut would: SIGKILL, nothing flushed by the process. */
  kill(): Promise<void>;
}

const ROOT = new URL('../..', import.meta.url).pathname;

/**
 * Makes the program runnable, in a temporary folder that leads to our dependencies, which stay
 * outside of it; `remove` takes the folder away.
 */
export async function bundleRegistryProgram(): Promise<{ program: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-program-'));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const outfile = join(folder, 'registry.mjs');
  await build({
    entryPoints: [join(ROOT, 'test', 'support', 'registry-program.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  });
  return { program: outfile, remove: () => rm(folder, { recursive: true }) };
}

/** Starts the program; with `diskBytes` its data folder is a file system of that size. */
export async function startRegistryProcess(
  program: string,
  options: { config: { dataDir: string; [key: string]: unknown }; keys: NamespaceKey[]; pauseAt?: string },
  { diskBytes }: { diskBytes?: number } = {},
): Promise<RegistryProcess> {
  const command = [process.execPath, program, JSON.stringify(options)];
  const child =
    diskBytes === undefined ? start(command) : start(onSmallDisk(command, options.config.dataDir, diskBytes));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill);
  const event = async (field: string) => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`The registry process ended before it said "${field}".`);
      const said = JSON.parse(value) as Record<string, unknown>;
      if (field in said) return said;
    }
  };
  const { url } = await event('url');
  return {
    url: String(url),
    event,
    kill,
    tell: async (order) => {
      child.stdin!.write(`${order}\n`);
      return (await event('done')) as { incoming: string[] };
    },
  };
}

function start([program = '', ...args]: string[]): ChildProcess {
  return spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
}
