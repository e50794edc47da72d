import { posix } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { SHARED_MEMORY_BYTES } from './bwrap-arguments.ts';
import { MAX_OPEN_FILES, SHARED_PROCESSES } from './launch.ts';
import type { RootEntry } from './libraries.ts';
import type { SandboxPlan } from './sandbox.ts';

/** One container as podman is to make it. */
export interface ContainerOrder {
  plan: SandboxPlan;
  name: string;
  image: string;
  /** As it is numbered inside. */
  user: { uid: number; gid: number };
  /** Read-only files and folders: programs, libraries, the package, secrets as files. */
  entries: readonly RootEntry[];
  mounts: readonly { source: string; target: string; mode: 'r' | 'rw' }[];
  /** Files with the environment and the system call filter. */
  envFile: string;
  seccomp: string;
  command: readonly string[];
  /** What its limit on data has beyond its memory. */
  reservedMb: number;
  /** How user namespaces are made, for an account that is not root. */
  userns: string | undefined;
  /** Whether control groups can be set here; where not, podman refuses to be asked for them. */
  limited: boolean;
}

const MEBIBYTE = 1024 * 1024;
/** Docker's shares of a processor; a skill counts half of what the hub counts. */
const CPU_SHARES = '512';

/**
 * The arguments of `podman create`. They can be read by every account of the machine: paths and limits stand in them,
 * no value of the environment and no secret.
 * @throws AppError `binding-refused` for a path that podman would read as something else.
 */
export function containerArguments(order: ContainerOrder): string[] {
  const { plan, user, limited } = order;
  const { limits } = plan;
  const scratchBytes = limits.diskMb * MEBIBYTE;
  const dataBytes = (limits.memoryMb + order.reservedMb) * MEBIBYTE;
  const tmpfs = (target: string, mode: string) => [
    '--tmpfs',
    `${mountable(target)}:rw,nosuid,nodev,notmpcopyup,size=${scratchBytes},mode=${mode}`,
  ];
  return [
    ...['create', '--name', order.name, '--pull', 'never', '--interactive', '--log-driver', 'none'],
    ...['--network', 'none', '--no-hosts', '--hostname', 'skill', '--systemd', 'false'],
    ...['--image-volume', 'ignore', '--read-only', '--read-only-tmpfs=false'],
    ...['--ipc', 'private', '--pid', 'private', '--uts', 'private', '--cgroupns', 'private'],
    ...(order.userns === undefined ? [] : ['--userns', order.userns]),
    ...['--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
    ...['--security-opt', `seccomp=${order.seccomp}`, '--security-opt', 'mask=/sys'],
    ...['--user', `${user.uid}:${user.gid}`, '--workdir', '/skill'],
    ...['--unsetenv-all', '--env-file', order.envFile],
    ...['--shm-size', String(SHARED_MEMORY_BYTES), ...tmpfs('/tmp', '1777')],
    ...plan.scratch.flatMap((target) => tmpfs(target, '0777')),
    ...['--ulimit', 'core=0:0', '--ulimit', `nofile=${MAX_OPEN_FILES}:${MAX_OPEN_FILES}`],
    ...['--ulimit', `nproc=${SHARED_PROCESSES}:${SHARED_PROCESSES}`],
    ...['--ulimit', `data=${dataBytes}:${dataBytes}`],
    ...(limited
      ? [
          ...['--memory', `${limits.memoryMb}m`, '--memory-swap', `${limits.memoryMb}m`],
          ...['--cpus', String(limits.cpus), '--cpu-shares', CPU_SHARES, '--pids-limit', String(limits.pids)],
        ]
      : ['--pids-limit', '0']),
    ...order.entries.flatMap(({ source, target }) => volume(source, target, 'r')),
    // Parents first: what is mounted later lies in what was mounted before.
    ...order.mounts
      .toSorted((a, b) => (a.target < b.target ? -1 : 1))
      .flatMap(({ source, target, mode }) => volume(source, target, mode)),
    ...['--entrypoint', JSON.stringify(order.command.slice(0, 1)), order.image],
    ...order.command.slice(1),
  ];
}

function volume(source: string, target: string, mode: 'r' | 'rw'): string[] {
  const access = mode === 'r' ? 'ro' : 'rw';
  return ['--volume', `${mountable(source)}:${mountable(target)}:${access},nosuid,nodev,rprivate,rbind`];
}

/** Podman tells the parts of a mount apart by colons, and takes a source that is no absolute path for the name of a store. */
function mountable(path: string): string {
  if (posix.isAbsolute(path) && !path.includes(':') && !path.includes('\0')) return path;
  throw new AppError('binding-refused', {
    detail: `The container sandbox cannot mount ${JSON.stringify(path)}: podman would misread the colon in it.`,
    hint: 'Grant a folder without a colon in its path, or use the setting sandbox: bwrap.',
  });
}

/**
 * The environment as podman reads it from a file, one variable a line.
 * @throws AppError `binding-refused` for a value with a line break, which cannot be written in one.
 */
export function environmentFile(label: string, env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => {
      if (!/[\n\r\0]/.test(value)) return `${name}=${value}\n`;
      throw new AppError('binding-refused', {
        detail: `${label} was given a value for ${name} with a line break in it, which a container cannot be handed in its environment.`,
        hint: 'A secret of several lines has to be injected as a file ("inject": "file"); or use the setting sandbox: bwrap.',
      });
    })
    .join('');
}
