import { posix } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { INSIDE, type Standing } from './accounts.ts';
import type { RootEntry } from './libraries.ts';

/** One sandbox as bubblewrap is to make it. Everything that is not here does not exist inside. */
export interface BwrapOrder {
  standing: Standing;
  /** A network of its own with nothing in it, or the one that it was started in. */
  network: 'none' | 'given';
  /** `--disable-userns`, which older versions lack; the system call filter refuses the same. */
  disableUserNamespaces: boolean;
  /** Read-only files and folders: programs, libraries, the package. */
  entries: readonly RootEntry[];
  /** Granted folders, each by path or by a descriptor that the child inherits. */
  mounts: readonly { source: string | number; target: string; mode: 'r' | 'rw' }[];
  /** Device nodes to use in place of the host's: name, path. */
  devices: readonly RootEntry[];
  /** Contents that come through inherited descriptors. */
  files: readonly { descriptor: number; target: string }[];
  scratch: readonly string[];
  diskMb: number;
  env: Readonly<Record<string, string>>;
}

export const SHARED_MEMORY_BYTES = 16 * 1024 * 1024;
const MEBIBYTE = 1024 * 1024;

/**
 * The options for bubblewrap, without the command. They travel through a pipe, so that no secret
 * and no path stands in a process listing.
 * @throws AppError `binding-refused` for a value that would end its option.
 */
export function bwrapArguments(order: BwrapOrder): string[] {
  const options = [
    ...namespaces(order),
    '--clearenv',
    ...Object.entries({ ...order.env, ...BASE_ENV }).flatMap(([name, value]) => ['--setenv', name, value]),
    ...fileSystem(order),
    '--chdir',
    '/skill',
  ];
  // They are told apart by NUL: a value with one in it would be read as options of its own.
  if (options.some((option) => option.includes('\0'))) {
    throw new AppError('binding-refused', {
      detail: 'A value or path for the sandbox holds a NUL character.',
    });
  }
  return options;
}

export const BASE_ENV = { PATH: '/usr/bin', HOME: '/tmp', TMPDIR: '/tmp', LANG: 'C.UTF-8' };

function namespaces({ standing, network, disableUserNamespaces }: BwrapOrder): string[] {
  const shared = [
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup'],
    ...(network === 'none' ? ['--unshare-net'] : []),
    ...['--hostname', 'skill', '--new-session', '--die-with-parent', '--cap-drop', 'ALL'],
  ];
  if (standing.kind === 'account') {
    // Just enough to become that account, which `setpriv` does first and gives up with it.
    return [...shared, ...['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'].flatMap((name) => ['--cap-add', name])];
  }
  return [
    ...shared,
    ...['--unshare-user', '--uid', String(INSIDE.uid), '--gid', String(INSIDE.gid)],
    ...(disableUserNamespaces ? ['--disable-userns'] : []),
  ];
}

function fileSystem(order: BwrapOrder): string[] {
  const folders = new Set<string>(['/', '/tmp']);
  /** Folders that are there already, or whose inside is a skill's and not to be made by us. */
  const covered = ['/proc', '/dev', ...order.mounts.map(({ target }) => target)];
  const isThere = (folder: string) =>
    folders.has(folder) || covered.some((one) => folder === one || folder.startsWith(`${one}/`));
  /** Each parent folder first: bubblewrap run by root would make them for root alone. */
  const parentsOf = (target: string): string[] => {
    const parent = posix.dirname(target);
    if (isThere(parent)) return [];
    const above = parentsOf(parent);
    folders.add(parent);
    return [...above, '--perms', '0755', '--dir', parent];
  };
  const placed = (target: string, ...options: string[]) => [...parentsOf(target), ...options, target];
  const tmpfs = (target: string, bytes: number, mode: string) =>
    placed(target, '--size', String(bytes), '--perms', mode, '--tmpfs');

  return [
    ...['--proc', '/proc', '--remount-ro', '/proc', '--dev', '/dev'],
    ...tmpfs('/dev/shm', SHARED_MEMORY_BYTES, '1777'),
    ...order.devices.flatMap(({ source, target }) => ['--dev-bind', source, target]),
    ...['--remount-ro', '/dev'],
    ...tmpfs('/tmp', order.diskMb * MEBIBYTE, '1777'),
    ...order.scratch.flatMap((target) => tmpfs(target, order.diskMb * MEBIBYTE, '0777')),
    ...order.entries.flatMap(({ source, target }) => placed(target, '--ro-bind', source)),
    ...order.files.flatMap(({ descriptor, target }) =>
      placed(target, '--perms', '0444', '--file', String(descriptor)),
    ),
    ...order.mounts.flatMap(({ source, target, mode }) => {
      const option = `--${mode === 'r' ? 'ro-' : ''}bind${typeof source === 'number' ? '-fd' : ''}`;
      return placed(target, option, String(source));
    }),
    ...['--remount-ro', '/'],
  ];
}
