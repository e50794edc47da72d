import type { BigIntStats } from 'node:fs';
import { constants, open, type FileHandle } from 'node:fs/promises';

/** Linux `O_PATH`: a name for a place, without the right to read it; not in Node's constants. */
export const O_PATH = 0o10000000;

/**
 * Which folder it is, by whatever name: numbers in decimal, as text, because they have 64 bits. An inode's
 * number is given again after the folder is gone, often at once; the time of its birth is not.
 */
export interface FolderIdentity {
  device: string;
  inode: string;
  /** Nanoseconds since 1970; `0` where the file system does not keep it. */
  born: string;
}

/** The identity of what is held open. */
export async function identityOf(handle: FileHandle): Promise<FolderIdentity> {
  return identityIn(await handle.stat({ bigint: true }));
}

/** The identity that these say. */
export function identityIn({ dev, ino, birthtimeNs }: BigIntStats): FolderIdentity {
  return { device: String(dev), inode: String(ino), born: birthtimeNs > 0n ? String(birthtimeNs) : '0' };
}

/** Which folder lies at a path now; undefined where none does, or something else. */
export async function folderAt(path: string): Promise<FolderIdentity | undefined> {
  const handle = await open(path, O_PATH | constants.O_DIRECTORY).catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    return await identityOf(handle);
  } finally {
    await handle.close();
  }
}

/**
 * Whether two are one folder. The number of a device may be another after the machine was started again; inode
 * and nanosecond of birth together still say which it is, and nobody without the disk itself can choose them.
 */
export function isSameFolder(one: FolderIdentity, other: FolderIdentity): boolean {
  if (one.inode !== other.inode || one.born !== other.born) return false;
  return one.device === other.device || one.born !== '0';
}
