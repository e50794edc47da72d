import { randomUUID } from 'node:crypto';
import {
  constants,
  type FileHandle,
  lchown,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  realpath,
  rmdir,
  symlink,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { HELD_BACK, type HeldBackPlace } from '../../protocol/permissions.ts';
import { identityOf, O_PATH } from './folder-identity.ts';
import { isAlive, type ProcessIdentity } from './processes.ts';

/** Something in a granted folder, held open: the user's own, or a stand-in for what is not there. */
export interface Stood {
  handle: FileHandle;
  /** Takes the stand-in away again with its last user. Never rejects. */
  release(): Promise<void>;
}

/**
 * Stand-ins for places that are held back and do not exist. Linux mounts only on what is there, so while a
 * sandbox runs something has to be: an empty folder, which git does not see, or a file that changes nothing.
 * It is in the user's folder for that time and taken away by whoever is left: the hub when the last sandbox
 * that needs it has ended, the guard when the hub was killed, the next hub when the machine went down. Taken
 * away is only what is still as it was made.
 */
export interface StandIns {
  /**
   * What stands in each of these places of a folder from now on; undefined where nothing can be made by anybody.
   * @throws AppError `binding-refused` where none can be made and something else could; none is left then.
   */
  stand(folder: FileHandle, places: readonly Wanted[]): Promise<(Stood | undefined)[]>;
}

/** A place in a folder, by its path. */
export interface Wanted {
  path: string;
  place: HeldBackPlace;
}

/** `releaseNow` is for whoever has the turn. */
type Held = Stood & { releaseNow(): Promise<void> };

const nothing = async (): Promise<void> => undefined;

interface Standing {
  users: number;
  folder: FileHandle;
  name: string;
  note: string;
}

/** Makes them, with a note of each, for a hub, in the folder where every hub keeps its own. */
export function createStandIns(allNotes: string, hub: ProcessIdentity): StandIns {
  const notes = notesOf(allNotes, hub);
  const standing = new Map<string, Standing>();
  /** One after the other: two sandboxes that start in one folder at once share what the first one makes. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  };

  async function stand(folder: FileHandle, path: string, place: HeldBackPlace): Promise<Held | undefined> {
    const name = basename(path);
    const { device, inode } = await identityOf(folder);
    const key = `${device}:${inode}:${name}`;
    const there = await lookAt(folder, name);
    const ours = standing.get(key);
    if (there !== undefined) {
      const used = ours ?? (await takeOver(folder, path));
      if (used === undefined) return { handle: there, release: nothing, releaseNow: nothing };
      used.users += 1;
      standing.set(key, used);
      return held(there, key, used);
    }
    const made = ours ?? (await make(folder, path, place));
    if (made === undefined) return undefined;
    // Ours, and gone: somebody took it away, and with it the mounts of those that run.
    if (ours !== undefined) await put(folder, path, place);
    made.users += 1;
    standing.set(key, made);
    const handle = await lookAt(folder, name);
    if (handle === undefined) throw refused(path, 'it vanished while it was being made');
    return held(handle, key, made);
  }

  function held(handle: FileHandle, key: string, used: Standing): Held {
    const releaseNow = () => release(key, used);
    return { handle, releaseNow, release: () => inTurn(releaseNow) };
  }

  async function make(folder: FileHandle, path: string, place: HeldBackPlace): Promise<Standing | undefined> {
    const kind = place.standIn === 'folder' ? 'folder' : 'file';
    const note = join(notes, `${kind}.${randomUUID()}`);
    await mkdir(notes, { recursive: true, mode: 0o700 });
    // First the note: a hub that dies in between leaves one that leads to nothing.
    await symlink(path, note);
    let isThere = false;
    try {
      isThere = await put(folder, path, place);
    } finally {
      if (!isThere) await unlink(note);
    }
    if (!isThere) return undefined;
    return { users: 0, folder: await openAgain(folder), name: basename(path), note };
  }

  /** What a hub that was killed has left, and its guard is about to take away, is this hub's from now on. */
  async function takeOver(folder: FileHandle, path: string): Promise<Standing | undefined> {
    const notesLeft = (await Promise.all((await foldersLeft(allNotes)).map(notesIn))).flat();
    for (const left of notesLeft) {
      if ((await readlink(left).catch(() => undefined)) !== path) continue;
      await mkdir(notes, { recursive: true, mode: 0o700 });
      const note = join(notes, basename(left));
      const taken = await rename(left, note).then(
        () => true,
        () => false,
      );
      if (taken) return { users: 0, folder: await openAgain(folder), name: basename(path), note };
    }
    return undefined;
  }

  async function release(key: string, used: Standing): Promise<void> {
    used.users -= 1;
    if (used.users > 0) return;
    standing.delete(key);
    await takeAway(throughOpen(used.folder, used.name)).catch(() => undefined);
    await unlink(used.note).catch(() => undefined);
    await used.folder.close();
  }

  async function standAll(folder: FileHandle, places: readonly Wanted[]): Promise<(Stood | undefined)[]> {
    const results = await Promise.allSettled(places.map(({ path, place }) => stand(folder, path, place)));
    const failed = results.find((result) => result.status === 'rejected');
    const stood = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    if (failed === undefined) return stood;
    for (const one of stood) {
      await one?.handle.close();
      // Not in turn: this is a turn.
      await one?.releaseNow();
    }
    throw failed.reason;
  }

  return { stand: (folder, places) => inTurn(() => standAll(folder, places)) };
}

/** What is there by that name, itself where it is a link; undefined where nothing is. */
async function lookAt(folder: FileHandle, name: string): Promise<FileHandle | undefined> {
  return open(throughOpen(folder, name), O_PATH | constants.O_NOFOLLOW).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
}

/** False where nobody can make anything, and so nothing has to be kept from being made. */
async function put(folder: FileHandle, path: string, { standIn }: HeldBackPlace): Promise<boolean> {
  const there = throughOpen(folder, basename(path));
  try {
    if (standIn === 'folder') await mkdir(there, { mode: 0o755 });
    else {
      const file = await open(there, 'wx', 0o644);
      try {
        await file.writeFile(standIn.content);
      } finally {
        await file.close();
      }
    }
    // Whose folder it is uses what is in it, now as before.
    const { uid, gid } = await folder.stat();
    if (process.getuid?.() === 0) await lchown(there, uid, gid);
    return true;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return true;
    if (code === 'EROFS') return false;
    throw refused(path, message);
  }
}

function refused(path: string, why: string): AppError {
  return new AppError('binding-refused', {
    detail: `Nothing keeps a skill from making ${path}, which other programs would run: ${why}.`,
    hint: `Make it yourself, empty, or grant a folder in which the hub may: mkdir ${path}`,
  });
}

function openAgain(folder: FileHandle): Promise<FileHandle> {
  return open(throughOpen(folder), O_PATH | constants.O_DIRECTORY);
}

/** The folder itself, or a name in it, whatever its path leads to by now. */
function throughOpen(folder: FileHandle, name?: string): string {
  const self = `/proc/self/fd/${folder.fd}`;
  return name === undefined ? self : `${self}/${name}`;
}

/** Removes what is as it was made: an empty folder, or a file that holds what a stand-in for it holds. */
async function takeAway(path: string): Promise<void> {
  const found = await lstat(path);
  if (found.isDirectory()) return rmdir(path);
  const written = HELD_BACK.filter((place) => place.path.at(-1) === basename(path)).map(
    ({ standIn }) => standIn,
  );
  if (!found.isFile() || found.size > MAX_CONTENT) return;
  const content = await readFile(path, 'utf8');
  if (written.some((standIn) => standIn !== 'folder' && standIn.content === content)) await unlink(path);
}
const MAX_CONTENT = 16;

/** Where the notes of one hub lie in the folder of all: the guard of a hub looks after its own alone. */
export function notesOf(folder: string, hub: ProcessIdentity): string {
  return join(folder, `${hub.pid}-${hub.startTime}`);
}

/** The folders of notes of hubs that are gone. */
async function foldersLeft(allNotes: string): Promise<string[]> {
  const found = await Promise.all(
    (await readdir(allNotes).catch(() => [])).map(async (name) => {
      const [pid, startTime] = name.split('-');
      if (pid === undefined || startTime === undefined) return [];
      return (await isAlive({ pid: Number(pid), startTime })) ? [] : [join(allNotes, name)];
    }),
  );
  return found.flat();
}

async function notesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).map((note) => join(folder, note));
}

/** Takes away what hubs that are gone have left. */
export async function sweepStandIns(allNotes: string): Promise<void> {
  for (const folder of await foldersLeft(allNotes)) {
    for (const note of await notesIn(folder)) {
      const path = await readlink(note).catch(() => undefined);
      // Only where it was made: a folder on the way may be a link to somewhere else by now.
      const above = path === undefined ? undefined : await realpath(dirname(path)).catch(() => undefined);
      if (path !== undefined && above === dirname(path)) await takeAway(path).catch(() => undefined);
      await unlink(note).catch(() => undefined);
    }
    await rmdir(folder).catch(() => undefined);
  }
}
