import { type FSWatcher, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../hub/clock.ts';

/** Editors write a file in several steps; a build waits for the last. */
const PAUSE_MS = 80;
const MAX_FOLDERS = 2_000;
/** Folders whose files are somebody else's, or made by what is started here. */
const IGNORED = new Set(['node_modules', 'dist']);

/**
 * Calls back some moments after something in a project changed. Hidden folders and `node_modules` are not looked at.
 * The answer ends it.
 */
export async function watchProject(
  project: string,
  { clock, changed }: { clock: Clock; changed: () => void },
): Promise<() => void> {
  const watchers = new Map<string, FSWatcher>();
  let ended = false;
  let stopWaiting = (): void => undefined;

  function touched(): void {
    stopWaiting();
    if (ended) return;
    stopWaiting = clock.after(PAUSE_MS, () => {
      // There may be new folders; those that are gone end by themselves.
      void follow(project).then(() => ended || changed());
    });
  }

  async function follow(folder: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined || ended) return;
    if (!watchers.has(folder) && watchers.size < MAX_FOLDERS) {
      const one = watch(folder, { persistent: false }, (_event, name) => {
        if (name?.startsWith('.') !== true) touched();
      });
      one.on('error', () => forget(folder));
      watchers.set(folder, one);
    }
    for (const entry of entries) {
      const isOurs = entry.isDirectory() && !entry.name.startsWith('.') && !IGNORED.has(entry.name);
      if (isOurs) await follow(join(folder, entry.name));
    }
  }

  function forget(folder: string): void {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  }

  await follow(project);
  return () => {
    ended = true;
    stopWaiting();
    for (const folder of watchers.keys()) forget(folder);
  };
}
