import {
  constants,
  access,
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
import type { SandboxMount } from './sandbox.ts';

/** A granted folder, looked at and held open so that nothing can be put in its place. */
export interface HeldMount {
  handle: FileHandle;
  /** Real path at the time of looking. */
  source: string;
  target: string;
  mode: 'r' | 'rw';
  rights: FolderRights;
}

/** Folders whose contents are the machine's own and never a skill's. */
const SYSTEM_FOLDERS = ['/proc', '/sys', '/dev', '/etc'];
/** Linux `O_PATH`: a name for a place, without the right to read it; not in Node's constants. */
const O_PATH = 0o10000000;

interface MountRules {
  /** Real paths that may not be granted, nor anything in them or around them: the hub's home. */
  forbidden: readonly string[];
  /** The hub's own folder for the skill, which may lie in its home. */
  dataDir?: string | undefined;
}

/**
 * Opens each granted folder and checks what it really is. The caller closes the handles.
 * @throws AppError `binding-refused` with a remedy.
 */
export async function holdMounts(rules: MountRules, mounts: readonly SandboxMount[]): Promise<HeldMount[]> {
  const held: HeldMount[] = [];
  try {
    for (const mount of mounts) held.push(await hold(rules, mount));
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

async function hold(
  rules: MountRules,
  { source, target, mode, root = source }: SandboxMount,
): Promise<HeldMount> {
  const handle = await open(source, O_PATH | constants.O_DIRECTORY).catch((error: unknown) => {
    throw new AppError('binding-refused', {
      detail: `${source} is not a folder that can be opened.`,
      hint: 'Create it, or name an existing folder.',
      cause: error,
    });
  });
  try {
    // The path of the open folder itself, whatever its name leads to by now.
    const real = await readlink(`/proc/self/fd/${handle.fd}`);
    const realRoot = await realpath(root).catch(() => undefined);
    if (realRoot === undefined || !isWithin(real, realRoot)) {
      throw new AppError('binding-refused', {
        detail: `${source} is a link that leads out of ${root}, to ${real}.`,
        hint: 'Name the folder that is meant itself.',
      });
    }
    if (root !== rules.dataDir) refuseForbidden(real, rules.forbidden);
    const { uid, gid, mode: bits } = await handle.stat();
    return {
      handle,
      source: real,
      target,
      mode,
      rights: { path: real, uid, gid, permissions: bits & 0o7777, wanted: mode },
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function refuseForbidden(folder: string, forbidden: readonly string[]): void {
  const system = SYSTEM_FOLDERS.find((one) => overlap(one, folder));
  if (system !== undefined || folder === sep) {
    throw new AppError('binding-refused', {
      detail: `${folder} holds the machine's own files and cannot be granted.`,
      hint: 'Grant the one folder that the skill is to work in.',
    });
  }
  const own = forbidden.find((one) => overlap(one, folder));
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

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** @throws AppError `binding-refused` when the hub's own account may not use the folder in that way. */
export async function refuseUnusable({ source, mode }: HeldMount): Promise<void> {
  const needed = constants.R_OK | constants.X_OK | (mode === 'rw' ? constants.W_OK : 0);
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
