import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TRASH, type Place } from './workspace.ts';

/** Folders that are shown but not entered, unless the walk starts inside them: big, and seldom what is meant. */
const NOT_ENTERED = new Set(['.git', 'node_modules', TRASH]);

/** One entry met on a walk. */
export interface Step extends Place {
  /** Relative to the folder the walk started in; what globs are matched against. */
  readonly below: string;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
}

/**
 * Walks a folder in a stable order (names sorted, a folder before its content). Links are reported, never entered, so
 * a walk ends and stays inside. A folder that cannot be read is skipped: one locked folder should not hide the rest.
 */
export async function* walk(
  start: Place,
  depth: number,
  signal: AbortSignal,
  below = '',
): AsyncGenerator<Step> {
  const entries = await readdir(start.absolute, { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (below === '') throw error;
      return [] as Dirent[];
    },
  );
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    signal.throwIfAborted();
    const step: Step = {
      path: start.path === '.' ? entry.name : `${start.path}/${entry.name}`,
      absolute: join(start.absolute, entry.name),
      below: below === '' ? entry.name : `${below}/${entry.name}`,
      kind: kindOf(entry),
    };
    yield step;
    if (step.kind === 'folder' && depth > 1 && !NOT_ENTERED.has(entry.name)) {
      yield* walk(step, depth - 1, signal, step.below);
    }
  }
}

function kindOf(entry: Dirent): Step['kind'] {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  return entry.isSymbolicLink() ? 'link' : 'other';
}
