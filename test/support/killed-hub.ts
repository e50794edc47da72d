import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type Berth, newHome, removeHome, startBerth } from './berth.ts';

const killer = join(import.meta.dirname, 'kill-at.mjs');

/** A home and a folder to grant, for all tests of a file. */
export function ownFolders(): { readonly home: string; readonly workspace: string } {
  const folders = { home: '', workspace: '' };
  beforeAll(async () => {
    folders.home = await newHome();
    folders.workspace = await newHome();
  });
  afterAll(async () => {
    await removeHome(folders.home);
    await removeHome(folders.workspace);
  });
  return folders;
}

/** Processes of this machine whose command line holds the text. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
}

/** Children, grandchildren and so on of a process. */
export function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])] as const];
      } catch {
        return [];
      }
    });
  const below = (of: number): number[] =>
    parents.filter(([, parent]) => parent === of).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** From now on the process counts its steps. */
export async function arm(up: Berth): Promise<void> {
  up.process.kill('SIGUSR2');
  await until(() => up.log().includes('armed'));
}

/** The hub alone, which kills itself before its `at`-th step once armed. */
export function killedHub(folder: string, registry: string, at: number): Promise<Berth> {
  return startBerth(folder, {
    nodeArgs: ['--import', killer],
    args: ['serve', 'hub', '--json', '--port', '0', '--registry', registry],
    env: { KILL_AT: String(at) },
  });
}

export async function until(holds: () => boolean, withinMs = 10_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('it did not come to hold');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
