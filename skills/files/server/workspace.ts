import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';

/** The folder inside the workspace that holds what `delete` took away. */
export const TRASH = '.trash';

/** Linux refuses longer paths; ours are refused first, with a sentence instead of an errno. */
const MAX_PATH_BYTES = 4096;

/** Clients that know where the sandbox mounts the folder may say so; it means the same as a relative path. */
const MOUNT_POINT = '/workspace';

/** One place inside the workspace. */
export interface Place {
  /** Relative to the workspace root with `/` separators; `.` is the root itself. */
  readonly path: string;
  /** The real path on disk: no symbolic link is left in its folders. */
  readonly absolute: string;
}

/**
 * The only door to paths. Whatever a caller writes (`..`, absolute paths, symbolic links) either comes out as a
 * place whose real path lies inside the folder, or is refused. The sandbox is the wall behind this door; the door
 * is there so that a mistake gets a sentence instead of an errno.
 */
export interface Workspace {
  readonly root: string;
  /** The directory entry itself. Its folders are resolved, a symbolic link at the end is not followed. */
  entry(path: string): Promise<Place>;
  /** What the path leads to. A symbolic link at the end is followed, and must stay inside. */
  target(path: string): Promise<Place>;
  /** As `target`, for a change: the root and everything in the trash are refused. */
  changeable(path: string): Promise<Place>;
  /** As `entry`, for a change. */
  changeableEntry(path: string): Promise<Place>;
}

/** Opens the folder this skill was started with; fails when it isn't there. */
export async function openWorkspace(folder: string): Promise<Workspace> {
  const root = await realpath(folder);

  const placeAt = (absolute: string, asked: string): Place => {
    const inside = relative(root, absolute);
    if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) throw outside(asked);
    return { path: inside === '' ? '.' : inside.split(sep).join('/'), absolute };
  };

  const entry = async (asked: string): Promise<Place> => {
    const wanted = placeAt(lexical(root, asked), asked).absolute;
    if (wanted === root) return placeAt(root, asked);
    return placeAt(join(await realFolder(dirname(wanted)), basename(wanted)), asked);
  };

  const target = async (asked: string): Promise<Place> => {
    const place = await entry(asked);
    const stats = await lstat(place.absolute).catch(ifMissing);
    if (!stats?.isSymbolicLink()) return place;
    const real = await realpath(place.absolute).catch(ifMissing);
    if (real === undefined) throw new Error(`"${place.path}" is a symbolic link that leads nowhere.`);
    return placeAt(real, asked);
  };

  const forChange = (place: Place): Place => {
    if (place.path === '.')
      throw new Error('The workspace root itself cannot be changed; name something in it.');
    if (place.path === TRASH || place.path.startsWith(`${TRASH}/`)) {
      throw new Error(
        `"${place.path}" is in the trash. Bring it back with the tool "restore", then change it.`,
      );
    }
    return place;
  };

  return {
    root,
    entry,
    target,
    changeable: async (asked) => forChange(await target(asked)),
    changeableEntry: async (asked) => forChange(await entry(asked)),
  };
}

/** Turns what the caller wrote into an absolute path, without looking at the disk. */
function lexical(root: string, asked: string): string {
  if (asked.includes('\0')) throw new Error('A path cannot contain a NUL character.');
  if (Buffer.byteLength(asked) > MAX_PATH_BYTES)
    throw new Error(`A path is at most ${MAX_PATH_BYTES} bytes long.`);
  for (const base of [root, MOUNT_POINT]) {
    if (asked === base || asked.startsWith(`${base}/`)) return resolve(root, `.${asked.slice(base.length)}`);
  }
  if (isAbsolute(asked)) throw outside(asked);
  return resolve(root, asked);
}

/** The real path of a folder that may not exist yet: links are resolved as far as it does. */
async function realFolder(folder: string): Promise<string> {
  const real = await realpath(folder).catch(ifMissing);
  if (real !== undefined) return real;
  // A link that leads nowhere must not pass for a folder that is still to be made: it could come to lead outside.
  const stats = await lstat(folder).catch(ifMissing);
  if (stats !== undefined) throw new Error(`"${basename(folder)}" is a symbolic link that leads nowhere.`);
  return join(await realFolder(dirname(folder)), basename(folder));
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

function outside(asked: string): Error {
  return new Error(
    `"${asked}" is outside the workspace. Use a path relative to its root; the tool "list" shows what is there.`,
  );
}
