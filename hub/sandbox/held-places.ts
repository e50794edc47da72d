import type { FileHandle } from 'node:fs/promises';
import { posix, sep } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { HELD_BACK, heldBackIn } from '../../protocol/permissions.ts';
import { identityOf } from './folder-identity.ts';
import type { HeldMount } from './mounts.ts';
import type { SandboxMount } from './sandbox.ts';
import type { StandIns, Stood } from './stand-ins.ts';

/**
 * Whether a mount says nothing but that a place is not held back: the folder right around it may be written
 * and is mounted, so the place comes with it, there or not. One with places of its own in it is mounted by
 * itself, which keeps it from being renamed away.
 */
export function joinsParent(mount: SandboxMount, mounts: readonly SandboxMount[]): boolean {
  const parent = mounts.find(
    ({ target, mode, root }) =>
      target === posix.dirname(mount.target) && mode === 'rw' && root === mount.root,
  );
  if (mount.mode !== 'rw' || parent === undefined) return false;
  const name = posix.basename(mount.target);
  const isPlace = placesOf(parent.source).some(({ below }) => below[0] === name);
  return isPlace && !HELD_BACK.some(({ path }) => path.length > 1 && path[0] === name);
}

/** What of a folder is held back, by the name under which the host knows it. */
function placesOf(source: string) {
  return heldBackIn(source.split(sep));
}

/** What holds grants back in one sandbox. */
export interface HeldPlaces {
  /** To be mounted read-only, over the folders that they lie in. */
  mounts: HeldMount[];
  /** Folders to write in, each with the names in it that are held back. */
  watched: { folder: HeldMount; names: ReadonlySet<string> }[];
  /** Closes the handles. */
  close(): Promise<void>;
  /** Once nothing of the sandbox is left: takes stand-ins away. */
  release(): Promise<void>;
}

/**
 * Opens, or stands in for, every place that the granted folders leave out, unless a grant names it.
 * @throws AppError `binding-refused` for a link in such a place: what it leads to can be replaced.
 */
export async function holdPlaces(
  standIns: StandIns,
  granted: readonly HeldMount[],
  named: readonly SandboxMount[],
): Promise<HeldPlaces> {
  const mounts: HeldMount[] = [];
  const watched: HeldPlaces['watched'] = [];
  const stood: Stood[] = [];
  const handles: FileHandle[] = [];
  const close = async (): Promise<void> => void (await Promise.all(handles.map((handle) => handle.close())));
  const release = async (): Promise<void> => void (await Promise.all(stood.map((one) => one.release())));
  const isNamed = new Set(named.filter(({ mode }) => mode === 'rw').map(({ target }) => target));
  try {
    for (const folder of granted.filter(
      ({ mode, isData, isFolder }) => mode === 'rw' && isFolder && !isData,
    )) {
      const places = placesOf(folder.source).flatMap(({ below: [name = ''], place }) => {
        const target = posix.join(folder.target, name);
        return isNamed.has(target) ? [] : [{ name, place, target, path: posix.join(folder.source, name) }];
      });
      const found = await standIns.stand(folder.handle, places);
      stood.push(...found.flatMap((one) => one ?? []));
      const opened = found.flatMap((one, index) => {
        const at = places[index];
        return one === undefined || at === undefined ? [] : [{ ...at, handle: one.handle }];
      });
      handles.push(...opened.map(({ handle }) => handle));
      for (const one of opened) mounts.push(await placed(folder, one));
      const names = new Set(opened.map(({ name }) => name));
      watched.push({ folder, names });
    }
    return { mounts, watched, close, release };
  } catch (error) {
    await close();
    await release();
    throw error;
  }
}

async function placed(
  { isData }: HeldMount,
  { handle, path, target }: { handle: FileHandle; path: string; target: string },
): Promise<HeldMount> {
  const found = await handle.stat();
  if (found.isSymbolicLink()) {
    throw new AppError('binding-refused', {
      detail: `${path} is a link, and nothing can keep a skill from putting something else in its place, which other programs would run.`,
      hint: 'Put what it leads to in its place, or grant another folder.',
    });
  }
  return {
    handle,
    source: path,
    target,
    mode: 'r',
    identity: await identityOf(handle),
    isFolder: found.isDirectory(),
    rights: undefined,
    isData,
  };
}
