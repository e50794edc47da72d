import { type FSWatcher, watch } from 'node:fs';
import { AppError } from '../../protocol/errors.ts';
import type { HeldPlaces } from './held-places.ts';
import type { ProcessIdentity } from './processes.ts';
import type { SpawnedSandbox } from './spawn-sandbox.ts';
import { areMounted } from './verify-mounts.ts';

/**
 * Starts a sandbox and ends it as soon as a place that is held back is not mounted any more. The kernel takes a
 * mount away with what it lies on: whoever saves `.envrc` by renaming, or removes a folder that stands in, opens
 * the place for a sandbox that runs. The next start holds it again. Stand-ins go when nothing of the sandbox is left.
 * @throws AppError `skill-start-failed` where folders cannot be watched, and what `start` throws.
 */
export async function stayingMounted(
  places: HeldPlaces,
  start: (made: (first: ProcessIdentity) => void) => Promise<SpawnedSandbox>,
): Promise<SpawnedSandbox> {
  let process: SpawnedSandbox | undefined;
  let first: ProcessIdentity | undefined;
  let reason: string | undefined;
  let changed = false;

  async function look(name: string): Promise<void> {
    changed = true;
    if (first === undefined || process === undefined || reason !== undefined) return;
    if (await areMounted(first, places.mounts)) return;
    reason ??= `${name} was replaced while it ran, and is what it must not write`;
    await process.kill();
  }

  const watchers: FSWatcher[] = [];
  const close = (): void => watchers.forEach((watcher) => watcher.close());
  try {
    for (const { folder, names } of places.watched) {
      // Through what is held open, whatever lies at its path by now.
      const watcher = watch(`/proc/self/fd/${folder.handle.fd}`, { persistent: false }, (_event, name) => {
        if (name === null || names.has(name)) void look(name ?? 'something');
      });
      watcher.on('error', () => void look('something'));
      watchers.push(watcher);
    }
    process = await start((made) => (first = made));
  } catch (error) {
    close();
    throw asStartFailure(error);
  }
  if (changed) void look('something');
  const { exited: gone } = process;
  const exited = gone.then(async (exit) => {
    close();
    await places.release();
    return reason === undefined ? exit : { ...exit, reason };
  });
  const { kill } = process;
  return {
    ...process,
    exited,
    async kill() {
      await kill();
      await exited;
    },
  };
}

function asStartFailure(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EMFILE') return error;
  return new AppError('skill-start-failed', {
    detail:
      'The hub cannot watch any more folders, and does not let a skill write in one that it cannot watch.',
    hint: 'sudo sysctl -w fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024',
    cause: error,
  });
}
