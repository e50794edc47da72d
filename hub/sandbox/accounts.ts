import { AppError } from '../../protocol/errors.ts';

/** A number pair that the kernel judges access by. */
export interface Account {
  uid: number;
  gid: number;
}

/**
 * Under whose rights a sandbox stands on the host:
 * - `own`: the hub is an ordinary user; a user namespace of it, which holds nothing more.
 * - `account`: the hub is root; bubblewrap prepares as root, then the process becomes this account for good.
 * - `root-files`: the hub is root; the process is the owner of root's files and nothing else of root (a
 *   user namespace in which it has no capability). Only for folders that no other account may use.
 */
export type Standing = { kind: 'own' } | ({ kind: 'account' } & Account) | { kind: 'root-files' };

/** What the mode of a granted folder says, as far as it decides. */
export interface FolderRights {
  /** For messages. */
  path: string;
  uid: number;
  gid: number;
  /** Permission bits, `0o755`. */
  permissions: number;
  wanted: 'r' | 'rw';
  /** A single file, which nobody has to enter. */
  isFile?: boolean;
}

const READ = 0o4;
const WRITE = 0o2;
const ENTER = 0o1;

/** The user namespaces' own number for the process; it means nothing outside. */
export const INSIDE: Account = { uid: 1000, gid: 1000 };

/**
 * How a hub that is root holds a skill with these folders: as the unprivileged account where that can
 * use them all; else as the ordinary account that owns one of them; as owner of root's files last.
 * @throws AppError `binding-refused` when no single account can use all of them.
 */
export function standingFor(unprivileged: Account, folders: readonly FolderRights[]): Standing {
  const owners = folders.map(({ uid, gid }) => ({ uid, gid })).filter(({ uid }) => uid !== 0);
  const fitting = [unprivileged, ...owners].find((account) =>
    folders.every((folder) => mayUse(account, folder)),
  );
  if (fitting !== undefined) return { kind: 'account', ...fitting };
  const root = { uid: 0, gid: 0 };
  const refusing = folders.find((folder) => !mayUse(root, folder));
  if (refusing === undefined) return { kind: 'root-files' };
  throw new AppError('binding-refused', {
    detail: `No single account may ${refusing.wanted === 'rw' ? 'read and write' : 'read'} every granted folder; ${refusing.path} belongs to account ${refusing.uid}.`,
    hint: `Grant folders of one owner, or open this one: chmod ${refusing.wanted === 'rw' ? 'a+rwx' : 'a+rx'} ${refusing.path}`,
  });
}

/** By the permission bits alone, as for an account without capabilities. */
function mayUse({ uid, gid }: Account, folder: FolderRights): boolean {
  const needed = READ | (folder.wanted === 'rw' ? WRITE : 0) | (folder.isFile === true ? 0 : ENTER);
  const shift = uid === folder.uid ? 6 : gid === folder.gid ? 3 : 0;
  return ((folder.permissions >> shift) & needed) === needed;
}

/** The account that owns on the host what the process writes. */
export function ownerOf(standing: Standing): Account | undefined {
  switch (standing.kind) {
    case 'own':
      return undefined;
    case 'account':
      return { uid: standing.uid, gid: standing.gid };
    case 'root-files':
      return { uid: 0, gid: 0 };
  }
}

/** One sentence for `info` and `doctor`. */
export function describeStanding(standing: Standing, unprivileged: Account): string {
  switch (standing.kind) {
    case 'own':
      return 'with the file rights of the account that runs the hub';
    case 'account':
      return standing.uid === unprivileged.uid
        ? `as the unprivileged account ${nameOf(standing.uid)}`
        : `as its owner, account ${standing.uid}, because ${nameOf(unprivileged.uid)} may not use it`;
    case 'root-files':
      return "with root's file ownership, because only root may use it; without capabilities";
  }
}

/** `nobody (65534)` where the number has its usual name. */
export function nameOf(uid: number): string {
  return uid === NOBODY.uid ? `nobody (${uid})` : String(uid);
}

/** The account that owns nothing (docs/adr/0002-sandbox-as-root.md). */
export const NOBODY: Account = { uid: 65_534, gid: 65_534 };
