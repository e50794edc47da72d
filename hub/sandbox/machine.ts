import { execFile } from 'node:child_process';
import {
  access,
  chmod,
  constants,
  lchown,
  mkdir,
  open,
  readFile,
  realpath,
  rm,
  stat,
} from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { NOBODY } from './accounts.ts';
import { mergeCertificates, type OwnCertificates } from './certificates.ts';
import { type ControlGroups, findControlGroups } from './cgroup.ts';
import { inheritedDescriptors } from './descriptors.ts';
import { startGuard } from './guard.ts';
import { endOrphans, identityOf, type ProcessIdentity } from './processes.ts';
import type { RootEntry } from './libraries.ts';
import { createPrograms, type Programs } from './programs.ts';
import { seccompFilter } from './seccomp.ts';
import { createStandIns, notesOf, type StandIns, sweepStandIns } from './stand-ins.ts';
import { syscallsOf } from './syscalls.ts';

/** What the driver is made with. */
export interface BwrapOptions {
  /** Where programs are looked up, in the form of `PATH`. */
  path: string;
  /** A folder of the driver's own, on a file system that may hold device nodes where the hub is root. */
  stateDir: string;
  /** Folders that no grant may name, lie in or contain: the hub's home. */
  forbidden: readonly string[];
  /** The Node that skills run with; absent: the one that runs the hub. */
  node?: string | undefined;
  /** The Python that skills run with; absent: the first `python3` on the PATH that is recent enough. */
  python?: string | undefined;
  /** Certificates (PEM) that sandboxes trust beside those of the machine. */
  certificates?: string;
}

/** What was found out about this machine, once, at the first report. */
export interface Machine {
  bwrap: string;
  /** Starts a program in a namespace that is there already; absent where hosts cannot be granted. */
  nsenter: string | undefined;
  /** Options that not every version has. */
  has: { disableUserNamespaces: boolean; bindDescriptor: boolean };
  root: boolean;
  hub: ProcessIdentity;
  filters: {
    plain: Buffer;
    /** For a skill that sees folders of the host: a socket in one of them leads to whoever listens there. */
    withoutLocalSockets: Buffer;
  };
  standIns: StandIns;
  programs: Programs;
  groups: ControlGroups | undefined;
  /** Device nodes that nobody inside can change, for skills that keep root's files; empty where none can be made. */
  devices: readonly RootEntry[];
  forbidden: readonly string[];
  /** What sandboxes trust beside the machine's own certificates. */
  certificates: OwnCertificates | undefined;
  /** Descriptors that the hub was started with and skills must not see. */
  covered: readonly number[];
  orphansEnded: number;
}

/** Why there is no sandbox here, and the one command that mends it. */
export interface Problem {
  detail: string;
  hint: string;
}

const NEEDED_OPTIONS = ['--args', '--seccomp', '--json-status-fd', '--size', '--perms', '--die-with-parent'];

/** Programs beside bubblewrap that the driver itself starts, and the packages that hold them. */
const TOOLS = { sh: 'dash', grep: 'grep', prlimit: 'util-linux' };
const ROOT_TOOLS = { setpriv: 'util-linux' };

/** Looks for everything the driver needs. Whether it works together is for the self-test to say. */
export async function lookAtMachine(options: BwrapOptions): Promise<Machine | Problem> {
  const syscalls = syscallsOf(process.arch);
  const hub = await identityOf(process.pid);
  if (process.platform !== 'linux' || hub === undefined) {
    return {
      detail: 'The bubblewrap sandbox needs Linux.',
      hint: 'Run the hub on Linux, or in a Linux virtual machine.',
    };
  }
  if (syscalls === undefined) {
    return {
      detail: `There is no system call filter for this processor (${process.arch}).`,
      hint: 'Run the hub on x64 or arm64.',
    };
  }
  const root = process.geteuid?.() === 0;
  const bwrap = await executable('bwrap', options.path);
  if (bwrap === undefined) {
    return {
      detail: 'bubblewrap (bwrap) is not on the PATH, so there is no sandbox to run skills in.',
      hint: await installHint('bubblewrap', options.path, root),
    };
  }
  const { stdout: help } = await promisify(execFile)(bwrap, ['--help'], { env: {} }).catch(() => ({
    stdout: '',
  }));
  const lacking = NEEDED_OPTIONS.filter((option) => !help.includes(`${option} `));
  if (lacking.length > 0) {
    return {
      detail: `${bwrap} is too old: it lacks ${lacking.join(', ')}.`,
      hint: await installHint('bubblewrap', options.path, root),
    };
  }
  for (const [name, from] of Object.entries({ ...TOOLS, ...(root ? ROOT_TOOLS : {}) })) {
    if ((await executable(name, options.path)) !== undefined) continue;
    return {
      detail: `${name} is not on the PATH; the sandbox needs it.`,
      hint: await installHint(from, options.path, root),
    };
  }

  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  const emptyDir = join(options.stateDir, 'empty');
  await mkdir(emptyDir, { recursive: true, mode: 0o755 });
  const groups = root ? await findControlGroups(hub) : undefined;
  const standIns = join(options.stateDir, 'stand-ins');
  const notes = notesOf(standIns, hub);
  startGuard((await executable('sh', options.path)) ?? '/bin/sh', hub, notes);
  const orphansEnded = await endOrphans();
  await sweepStandIns(standIns);
  await groups?.sweep();
  return {
    bwrap,
    nsenter: await executable('nsenter', options.path),
    has: {
      disableUserNamespaces: help.includes('--disable-userns '),
      bindDescriptor: help.includes('--bind-fd ') && help.includes('--ro-bind-fd '),
    },
    root,
    hub,
    filters: {
      plain: seccompFilter(syscalls),
      withoutLocalSockets: seccompFilter(syscalls, { localSockets: false }),
    },
    standIns: createStandIns(standIns, hub),
    programs: createPrograms({
      path: options.path,
      node: options.node ?? process.execPath,
      python: options.python,
      emptyDir,
    }),
    groups,
    devices: root ? await makeDevices(join(options.stateDir, 'devices'), options.path) : [],
    forbidden: await Promise.all(options.forbidden.map((folder) => realpath(folder).catch(() => folder))),
    certificates:
      options.certificates === undefined
        ? undefined
        : await mergeCertificates(options.stateDir, options.certificates),
    covered: await inheritedDescriptors(),
    orphansEnded,
  };
}

const DEVICES = {
  null: [1, 3],
  zero: [1, 5],
  full: [1, 7],
  random: [1, 8],
  urandom: [1, 9],
  tty: [5, 0],
} as const;

/**
 * Copies of the harmless devices, owned by nobody. A skill that keeps root's file ownership owns the
 * host's own `/dev/null` and could close it to everybody else; of these it owns nothing.
 */
async function makeDevices(folder: string, path: string): Promise<RootEntry[]> {
  const mknod = await executable('mknod', path);
  if (mknod === undefined) return [];
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    for (const [name, [major, minor]] of Object.entries(DEVICES)) {
      const node = join(folder, name);
      if (await isOurDevice(node, major, minor)) continue;
      await rm(node, { force: true });
      await promisify(execFile)(mknod, [node, 'c', String(major), String(minor)], { env: {} });
      await lchown(node, NOBODY.uid, NOBODY.gid);
      await chmod(node, 0o666);
    }
    // A file system without devices makes the nodes and then does not open them.
    await (await open(join(folder, 'null'), 'r+')).close();
    return Object.keys(DEVICES).map((name) => ({ source: join(folder, name), target: `/dev/${name}` }));
  } catch {
    return [];
  }
}

/** Left by an earlier hub, and perhaps in use by one that is just ending. */
async function isOurDevice(path: string, major: number, minor: number): Promise<boolean> {
  const node = await stat(path).catch(() => undefined);
  return (
    node?.isCharacterDevice() === true &&
    node.rdev === major * 256 + minor &&
    node.uid === NOBODY.uid &&
    (node.mode & 0o777) === 0o666
  );
}

/** The command that mends a sandbox which is there but does not start. */
export async function startHint(path: string, root: boolean): Promise<string> {
  const setting = async (name: string) =>
    (await readFile(`/proc/sys/${name}`, 'utf8').catch(() => '')).trim();
  const sudo = root ? '' : 'sudo ';
  if (!root && (await setting('kernel/apparmor_restrict_unprivileged_userns')) === '1') {
    const profile =
      'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) {\\n  userns,\\n}\\n';
    return `AppArmor keeps bwrap from making user namespaces. Allow it: printf '${profile}' | sudo tee /etc/apparmor.d/bwrap && sudo systemctl reload apparmor`;
  }
  if ((await setting('kernel/unprivileged_userns_clone')) === '0' && !root) {
    return 'sudo sysctl -w kernel.unprivileged_userns_clone=1';
  }
  if ((await setting('user/max_user_namespaces')) === '0')
    return `${sudo}sysctl -w user.max_user_namespaces=15000`;
  if (await exists('/.dockerenv'))
    return 'Start the container with --privileged, or run the hub outside of it.';
  return (await executable('bwrap', path)) === undefined
    ? installHint('bubblewrap', path, root)
    : 'Run `bwrap --unshare-all --ro-bind / / true`; what it prints is what the system refuses.';
}

const INSTALLERS = {
  'apt-get': 'apt-get install -y',
  dnf: 'dnf install -y',
  apk: 'apk add',
  pacman: 'pacman -S --noconfirm',
  zypper: 'zypper install -y',
} as const;

/** The command that installs a package of the system. */
export async function installHint(name: string, path: string, root: boolean): Promise<string> {
  for (const [installer, command] of Object.entries(INSTALLERS)) {
    if ((await executable(installer, path)) !== undefined) return `${root ? '' : 'sudo '}${command} ${name}`;
  }
  return `${root ? '' : 'sudo '}apt-get install -y ${name}`;
}

/** The first program of a name on a search path. */
export async function executable(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(':').filter(isAbsolute)) {
    const file = join(folder, name);
    const usable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable && (await stat(file)).isFile()) return file;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
