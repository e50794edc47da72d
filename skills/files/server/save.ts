import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openFile } from './read.ts';
import { revisionOf } from './text.ts';
import type { Place } from './workspace.ts';

/** The largest file that is written or edited; a message of the protocol holds little more. */
export const MOST_WRITTEN_BYTES = 8 * 1024 * 1024;

/** A file as it was found. */
export interface Found {
  readonly bytes: Buffer;
  readonly revision: string;
  readonly mode: number;
}

/** The whole file, or undefined when there is none. */
export async function findFile(place: Place): Promise<Found | undefined> {
  const file = await openFile(place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const stats = await file.stat();
    if (stats.size > MOST_WRITTEN_BYTES) {
      throw new Error(
        `"${place.path}" has ${stats.size} bytes; files over ${MOST_WRITTEN_BYTES} are not changed here.`,
      );
    }
    const bytes = await file.readFile();
    return { bytes, revision: revisionOf(bytes), mode: stats.mode & 0o777 };
  } finally {
    await file.close();
  }
}

/** Refuses when the caller saw another content than the one that is there. */
export function expectRevision(place: Place, found: Found | undefined, expected: string | undefined): void {
  if (expected === undefined || found?.revision === expected) return;
  const now = found === undefined ? 'it is gone' : `it is now at revision ${found.revision}`;
  throw new Error(`"${place.path}" changed since you read it: ${now}. Read it again and redo the change.`);
}

/**
 * Puts new content in place so that every reader sees the old file or the new one, never a part, also across a crash:
 * written beside it, flushed, then moved over it. `before` is what the change was made from: if another program has
 * changed the file meanwhile nothing is written. A new file (`before` undefined) never replaces one that appeared.
 */
export async function saveFile(place: Place, bytes: Buffer, before: Found | undefined): Promise<void> {
  await makeFolder(dirname(place.absolute));
  const temporary = join(dirname(place.absolute), `.${randomBytes(8).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', before?.mode ?? 0o666);
    try {
      // The creation mode passes through the umask; what the file had before must not.
      if (before) await file.chmod(before.mode);
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (before === undefined) await placeNew(temporary, place);
    else {
      expectRevision(place, await findFile(place), before.revision);
      await rename(temporary, place.absolute);
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Moves without ever replacing: `link` fails where `rename` would silently overwrite. Folders are renamed. */
export async function placeNew(from: string, to: Place): Promise<void> {
  const taken = (): Error =>
    new Error(`"${to.path}" already exists. Choose another name, or delete it first.`);
  try {
    await link(from, to.absolute);
    await rm(from);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw taken();
    // EPERM is the answer for folders, and for everything on file systems without hard links.
    if (code !== 'EPERM' && code !== 'EOPNOTSUPP' && code !== 'EMLINK') throw error;
    if (await exists(to)) throw taken();
    await rename(from, to.absolute);
  }
}

/** Whether anything, also a dangling link, has this name. */
export async function exists(place: Place): Promise<boolean> {
  return lstat(place.absolute).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

/** Makes a folder and those above it. Unlike the recursive `mkdir` of Node it names the true cause on a read-only disk. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT') throw error;
    await makeFolder(dirname(folder));
    await makeFolder(folder);
  }
}
