import {
  access,
  constants,
  lchown,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  stat,
  type FileHandle,
} from 'node:fs/promises';
import { join, sep } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import type { Account, FolderRights } from './accounts.ts';
import { type FolderIdentity, identityOf, isSameFolder, O_PATH } from './folder-identity.ts';
import { isWithin, liesIn, type Mount, type Place, placesIn } from './mount-table.ts';
import { joinsParent } from './held-places.ts';
import type { SandboxMount } from './sandbox.ts';

/** A folder or file for a sandbox, looked at and held open so that nothing can be put in its place. */
export interface HeldMount {
  handle: FileHandle;
  /** Real path at the time of looking. */
  source: string;
  target: string;
  mode: 'r' | 'rw';
  /** What the sandbox has to have there; its birth does not count. */
  identity: FolderIdentity;
  isFolder: boolean;
  /** Undefined for what is mounted to hold a grant back, which decides nothing about accounts. */
  rights: FolderRights | undefined;
  /** Lies in the hub's own folder for the skill. */
  isData: boolean;
}

/** Folders whose contents are the machine's own and never a skill's. */
const SYSTEM_FOLDERS = ['/proc', '/sys', '/dev', '/etc'];

export interface MountRules {
  /** Real paths that may not be granted, nor anything in them or around them: the hub's home. */
  forbidden: readonly string[];
  /** The hub's own folder for the skill, which may lie in its home. */
  dataDir?: string | undefined;
  /** What is mounted where on this machine now. */
  table: readonly Mount[];
}

/**
 * Opens what is granted and checks what it really is. What a folder around it holds anyhow is left out. The
 * caller closes the handles.
 * @throws AppError `binding-refused` with a remedy.
 */
export async function holdMounts(rules: MountRules, mounts: readonly SandboxMount[]): Promise<HeldMount[]> {
  const held: HeldMount[] = [];
  try {
    for (const mount of mounts) if (!joinsParent(mount, mounts)) held.push(await hold(rules, mount));
    refuseNested(rules, mounts, held);
    return held;
  } catch (error) {
    await releaseMounts(held);
    throw error;
  }
}

/** Closes what `holdMounts` opened. */
export async function releaseMounts(held: readonly HeldMount[]): Promise<void> {
  await Promise.all(held.map(({ handle }) => handle.close()));
}

/**
 * What one of several granted folders is by itself, as a skill with this grant alone would have it; undefined where it
 * comes with another. Together they may exclude each other.
 * @throws AppError `binding-refused` with a remedy.
 */
export async function holdAsGranted<T>(
  rules: MountRules,
  mount: SandboxMount,
  all: readonly SandboxMount[],
  look: (held: readonly HeldMount[]) => Promise<T>,
): Promise<T | undefined> {
  if (joinsParent(mount, all)) return undefined;
  const held = await holdMounts(rules, [mount]);
  try {
    if (all.length > 1) await releaseMounts(await holdMounts(rules, all));
    return await look(held);
  } finally {
    await releaseMounts(held);
  }
}

async function hold(
  rules: MountRules,
  { source, target, mode, root = source, identity: approved }: SandboxMount,
): Promise<HeldMount> {
  const handle = await open(source, O_PATH).catch((error: unknown) => {
    throw notThere(source, error);
  });
  try {
    // The path of what is open itself, whatever its name leads to by now.
    const real = await readlink(`/proc/self/fd/${handle.fd}`);
    const realRoot = await realpath(root).catch(() => undefined);
    const { uid, gid, mode: bits, ...kind } = await statOf(handle);
    // A single file can be granted in a folder that was; a folder is what an admin names.
    if (!kind.isFolder && !(kind.isFile && source !== root)) throw notThere(source);
    if (realRoot === undefined || !isWithin(real, realRoot)) {
      throw new AppError('binding-refused', {
        detail: `${source} is a link that leads out of ${root}, to ${real}.`,
        hint: 'Name the folder that is meant itself.',
      });
    }
    const isData = root === rules.dataDir;
    if (!isData) refuseForbidden(rules, real);
    const identity = await identityOf(handle);
    if (!isData && !isApproved(approved, kind.isFolder, identity)) throw replaced(source, root);
    const rights = { path: real, uid, gid, permissions: bits & 0o7777, wanted: mode, isFile: !kind.isFolder };
    return { handle, source: real, target, mode, identity, isFolder: kind.isFolder, rights, isData };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function statOf(handle: FileHandle) {
  const found = await handle.stat();
  return {
    uid: found.uid,
    gid: found.gid,
    mode: found.mode,
    isFolder: found.isDirectory(),
    isFile: found.isFile(),
  };
}

function notThere(source: string, cause?: unknown): AppError {
  return new AppError('binding-refused', {
    detail: `${source} is not a folder that can be opened.`,
    hint: 'Create it, or name an existing folder.',
    cause,
  });
}

/** Without a record, as for the folders of a self-test, nothing is compared. */
function isApproved(approved: SandboxMount['identity'], isFolder: boolean, found: FolderIdentity): boolean {
  if (approved === undefined) return true;
  return approved === 'no folder' ? !isFolder : isFolder && isSameFolder(approved, found);
}

/** What was approved is gone, and what lies there now was never looked at. */
function replaced(source: string, root: string): AppError {
  return new AppError('binding-refused', {
    detail: `Something else lies at ${source} now than the folder that was granted.`,
    hint: 'Put the folder back, or grant what lies there now by installing with the same settings again.',
    data: { replaced: source, root },
  });
}

/** By place and not by name: a bind mount is another name of the same place. */
function refuseForbidden({ forbidden, table }: MountRules, folder: string): void {
  const places = placesIn(table, folder);
  const system = SYSTEM_FOLDERS.find((one) => overlap(one, folder) || isShown(table, one, places));
  if (system !== undefined || folder === sep) {
    throw new AppError('binding-refused', {
      detail: `${folder} holds the machine's own files and cannot be granted.`,
      hint: 'Grant the one folder that the skill is to work in.',
    });
  }
  const own = forbidden.find((one) => overlap(one, folder) || isShown(table, one, places));
  if (own !== undefined) {
    throw new AppError('binding-refused', {
      detail: `${folder} cannot be granted: the hub keeps its keys and records in ${own}.`,
      hint: 'Grant a folder outside of it that does not contain it.',
    });
  }
}

function overlap(one: string, other: string): boolean {
  return isWithin(one, other) || isWithin(other, one);
}

/** Whether one of the places shows something of a folder, or lies in it. */
function isShown(table: readonly Mount[], folder: string, places: readonly Place[]): boolean {
  return placesIn(table, folder).some((own) =>
    places.some((place) => liesIn(place, own) || liesIn(own, place)),
  );
}

/**
 * A grant to write in a folder around another would open in that one what is held back at its top. Folders of
 * one root are nested on purpose: the manifest says so, and an admin saw it.
 */
function refuseNested(
  { table }: MountRules,
  mounts: readonly SandboxMount[],
  held: readonly HeldMount[],
): void {
  const rootOf = new Map(mounts.map(({ target, source, root = source }) => [target, root]));
  const written = held.filter(({ mode, isData }) => mode === 'rw' && !isData);
  for (const inner of written) {
    const [place] = placesIn(table, inner.source);
    const outer = written.find(
      ({ source, target }) =>
        rootOf.get(target) !== rootOf.get(inner.target) &&
        source !== inner.source &&
        place !== undefined &&
        placesIn(table, source).some((around) => liesIn(place, around) && place.path !== around.path),
    );
    if (outer === undefined) continue;
    throw new AppError('binding-refused', {
      detail: `${inner.source} lies in ${outer.source}, and the skill was granted to write in both.`,
      hint: 'Name folders of which none contains the other.',
    });
  }
}

/** @throws AppError `binding-refused` when the hub's own account may not use the folder in that way. */
export async function refuseUnusable({ source, mode, isFolder }: HeldMount): Promise<void> {
  const needed = constants.R_OK | (isFolder ? constants.X_OK : 0) | (mode === 'rw' ? constants.W_OK : 0);
  await access(source, needed).catch((error: unknown) => {
    throw new AppError('binding-refused', {
      detail: `The account that runs the hub may not ${mode === 'rw' ? 'read and write' : 'read'} ${source}.`,
      hint: 'Give that account access, or grant another folder.',
      cause: error,
    });
  });
}

/** Makes a private folder of this account; one that is there stays as it is. */
export async function makeFolder(path: string, owner: Account | undefined): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw error;
  }
  if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
}

/**
 * Hands a folder of the hub's own with all that is in it to an account, where it is another's. The
 * caller sees to it that no skill runs in it meanwhile. Links are handed over, never followed.
 */
export async function handOver(path: string, owner: Account): Promise<void> {
  if ((await stat(path)).uid === owner.uid) return;
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    await lchown(join(entry.parentPath, entry.name), owner.uid, owner.gid);
  }
  await lchown(path, owner.uid, owner.gid);
}
