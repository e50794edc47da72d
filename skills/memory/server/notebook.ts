import { createHash, randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { newNoteId, noteId, parseNote, writeNote, type Note } from './note.ts';

/** How long a forgotten note can be restored, and how long a request id is remembered. */
export const KEPT_DAYS = 30;
const KEPT_MS = KEPT_DAYS * 24 * 60 * 60 * 1000;

/** The whole index is in memory, so what it can hold bounds what can be kept. */
const MOST_NOTES = 10_000;
const MOST_TOTAL_CHARS = 4_000_000;

/** A temporary file this old belongs to a process that is gone. */
const STALE_MS = 60 * 60 * 1000;
/** How long a replaced revision stays: longer than any process takes from reading a note to replacing it. */
const SETTLED_MS = 60 * 1000;
/** Rounds of reading the folder before giving up on a quiet moment. */
const MOST_ROUNDS = 20;
const READ_AT_ONCE = 64;

const FILE = /^([0-9a-z]{26})\.(\d{1,9})\.md$/;
const TEMPORARY = /^\.[0-9a-f]{16}\.tmp$/;
const claimSchema = z.object({ id: noteId, content: z.string() });

type Revision = Pick<Note, 'id' | 'revision'>;

/** What changed since the last look. */
interface Seen {
  readonly changed: readonly Note[];
  readonly gone: readonly string[];
}

/** A change somebody else was quicker with. */
export class Outrun extends Error {
  constructor() {
    super('Others kept changing the note at the same time. Nothing was changed; try again.');
  }
}

/**
 * The notes on disk. Each is one file, `<id>.<revision>.md`, that is never changed: a change puts the next revision
 * beside it with `link`, which fails if that name is taken; the old one goes a while later. So a crash leaves whole
 * notes, two processes cannot overwrite each other, and the names in the folder alone say what is new.
 */
export interface Notebook {
  /** Reads what is new in the folder, then answers by id; forgotten notes are included. */
  notes(): Promise<ReadonlyMap<string, Note>>;
  /** Files in the folder that look like notes but cannot be read. */
  unreadable(): number;
  /** Called with every difference `notes` finds, before it answers. */
  onSeen(listener: (seen: Seen) => void): void;
  /** Keeps a new note. The same request id answers the note it made the first time. */
  add(
    draft: Pick<Note, 'title' | 'text' | 'tags'>,
    requestId: string | undefined,
  ): Promise<{ note: Note; created: boolean }>;
  /** Changes a note that `notes` has just answered. Throws `Outrun` when it is not the latest any more. */
  change(before: Note, change: Partial<Pick<Note, 'title' | 'text' | 'tags' | 'forgottenAt'>>): Promise<Note>;
}

/** Opens the notebook in a folder, and takes away what is past its time there. */
export async function openNotebook({ now }: { readonly now: () => Date }, folder: string): Promise<Notebook> {
  const notesFolder = join(folder, 'notes');
  const requestsFolder = join(folder, 'requests');
  for (const made of [notesFolder, requestsFolder]) {
    await mkdir(made, { recursive: true });
    await sweep(made, now().getTime());
  }

  const byId = new Map<string, Note>();
  const broken = new Set<string>();
  const listeners: ((seen: Seen) => void)[] = [];
  let looking: Promise<unknown> = Promise.resolve();
  let lookedAt = 0;

  const fileOf = ({ id, revision }: Revision): string => join(notesFolder, `${id}.${revision}.md`);

  const look = async (): Promise<void> => {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      lookedAt = now().getTime();
      const { latest, older } = newestOf(await readdir(notesFolder));
      const gone = [...byId.keys()].filter((id) => !latest.has(id));
      for (const id of gone) byId.delete(id);
      const { changed, missed } = await readNew(latest);
      for (const note of changed) byId.set(note.id, note);
      if (changed.length + gone.length > 0) for (const listener of listeners) listener({ changed, gone });
      // Replaced or removed between the two looks: the next round sees what came instead.
      if (missed) continue;
      await dropOlder(older);
      await forgetForGood(older);
      return;
    }
    throw new Error('The notes change faster than they can be read. Try again.');
  };

  const readNew = async (
    latest: ReadonlyMap<string, number>,
  ): Promise<{ changed: Note[]; missed: boolean }> => {
    const names = new Set([...latest].map(([id, revision]) => fileOf({ id, revision })));
    for (const name of broken) if (!names.has(name)) broken.delete(name);
    const fresh = [...latest].filter(
      ([id, revision]) => byId.get(id)?.revision !== revision && !broken.has(fileOf({ id, revision })),
    );
    const changed: Note[] = [];
    let missed = false;
    for (let at = 0; at < fresh.length; at += READ_AT_ONCE) {
      const batch = fresh.slice(at, at + READ_AT_ONCE).map(async ([id, revision]) => {
        const name = fileOf({ id, revision });
        const content = await readFile(name, 'utf8').catch(ifMissing);
        const note = content === undefined ? undefined : parseNote(content);
        if (content === undefined) missed = true;
        else if (note?.id === id && note.revision === revision) changed.push(note);
        else broken.add(name);
      });
      await Promise.all(batch);
    }
    return { changed, missed };
  };

  /**
   * Takes away what newer revisions replaced, once that is a while ago. Until then the old names stay taken, so that a
   * process that is about to replace an old revision finds its place occupied; and a folder that is read while it
   * changes, which may show neither what came nor what went, always shows one revision of a note.
   */
  const dropOlder = async (older: readonly Revision[]): Promise<void> => {
    const limit = now().getTime() - SETTLED_MS;
    for (const old of older) {
      const latest = byId.get(old.id);
      // The newest turned out unreadable: what is below it may be all there is of the note.
      if (latest === undefined || latest.revision <= old.revision) continue;
      if (latest.revision === old.revision + 1 && Date.parse(latest.updatedAt) > limit) continue;
      const stats = await stat(fileOf(old)).catch(ifMissing);
      if (stats && stats.mtimeMs < limit) await rm(fileOf(old), { force: true });
    }
  };

  /** Takes away notes whose time to be restored is over: the latest revision last, or an older one would come back. */
  const forgetForGood = async (older: readonly Revision[]): Promise<void> => {
    const limit = now().getTime() - KEPT_MS;
    const over = [...byId.values()].filter(
      ({ forgottenAt }) => forgottenAt !== undefined && Date.parse(forgottenAt) < limit,
    );
    for (const note of over) {
      for (const old of older) if (old.id === note.id) await rm(fileOf(old), { force: true });
      await rm(fileOf(note), { force: true });
    }
  };

  const notes = async (): Promise<ReadonlyMap<string, Note>> => {
    // One look after the other, each begun after it was asked for: an answer is never older than its question.
    const mine = looking.then(look, look);
    looking = mine.catch(() => undefined);
    await mine;
    return byId;
  };

  const add: Notebook['add'] = async (draft, requestId) => {
    const at = now();
    const content = createHash('sha256')
      .update(JSON.stringify([draft.title, draft.text, draft.tags]))
      .digest('hex');
    const claim = { id: newNoteId(at), content };
    const held = requestId === undefined ? claim : await claimRequest(requestId, claim);
    if (held.content !== content) {
      throw new Error(`The requestId "${requestId}" already made another note (${held.id}). Use a new one.`);
    }
    const known = (await notes()).get(held.id);
    if (known) return { note: known, created: false };
    expectRoom(draft.text.length, 1);
    const time = at.toISOString();
    const note: Note = { id: held.id, revision: 1, ...draft, createdAt: time, updatedAt: time };
    const created = await putWhole(notesFolder, fileOf(note), writeNote(note));
    return created ? { note, created } : { note: (await notes()).get(held.id) ?? note, created };
  };

  /** Binds a request id to the note it makes, before that note is written: a retry after a crash finishes that one. */
  const claimRequest = async (
    requestId: string,
    claim: z.output<typeof claimSchema>,
  ): Promise<typeof claim> => {
    const name = createHash('sha256').update(requestId).digest('hex').slice(0, 32);
    const path = join(requestsFolder, `${name}.json`);
    if (await putWhole(requestsFolder, path, JSON.stringify(claim))) return claim;
    return claimSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  };

  /** Refuses what would make the memory hold more than its index can. */
  const expectRoom = (moreChars: number, moreNotes: number): void => {
    const alive = [...byId.values()].filter(({ forgottenAt }) => forgottenAt === undefined);
    const chars = alive.reduce((sum, { text }) => sum + text.length, 0);
    if (alive.length + moreNotes <= MOST_NOTES && chars + moreChars <= MOST_TOTAL_CHARS) return;
    throw new Error(
      `The memory is full (${alive.length} notes, ${chars} characters). Forget notes that are not needed, or merge some.`,
    );
  };

  const change: Notebook['change'] = async (before, changed) => {
    const since = lookedAt;
    const more = (changed.text ?? before.text).length - before.text.length;
    if (more > 0) expectRoom(more, 0);
    const note: Note = {
      ...before,
      ...changed,
      revision: before.revision + 1,
      updatedAt: now().toISOString(),
    };
    if (!(await putWhole(notesFolder, fileOf(note), writeNote(note)))) throw new Outrun();
    // Asleep for so long that the name may have been taken, replaced and freed again: whether it was is not known.
    if (now().getTime() - since > SETTLED_MS / 2) {
      await rm(fileOf(note), { force: true });
      throw new Outrun();
    }
    return note;
  };

  return {
    notes,
    unreadable: () => broken.size,
    onSeen: (listener) => void listeners.push(listener),
    add,
    change,
  };
}

/** The highest revision of each note, and the ones below. */
function newestOf(names: readonly string[]): {
  latest: Map<string, number>;
  older: Revision[];
} {
  const latest = new Map<string, number>();
  const older: Revision[] = [];
  for (const name of names) {
    const [, id, digits] = FILE.exec(name) ?? [];
    if (id === undefined) continue;
    const revision = Number(digits);
    const other = latest.get(id);
    if (other !== undefined) older.push({ id, revision: Math.min(other, revision) });
    latest.set(id, Math.max(other ?? 0, revision));
  }
  return { latest, older };
}

/**
 * Puts a file in place whole and on the disk, or answers false when the name is taken. It is written under another
 * name, flushed, and linked: at no moment, also after a crash, does the name stand for a part of it.
 */
async function putWhole(folder: string, path: string, content: string): Promise<boolean> {
  const temporary = join(folder, `.${randomBytes(8).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return true;
}

/** Removes what killed processes left behind, and request ids past their time. */
async function sweep(folder: string, now: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const kept = TEMPORARY.test(name) ? STALE_MS : name.endsWith('.json') ? KEPT_MS : Infinity;
    if (kept === Infinity) continue;
    const path = join(folder, name);
    const stats = await stat(path).catch(ifMissing);
    if (stats && now - stats.mtimeMs > kept) await rm(path, { force: true });
  }
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
