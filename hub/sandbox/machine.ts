import { execFile } from 'node:child_process';
import { chmod, lchown, mkdir, open, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NOBODY } from './accounts.ts';
import { mergeCertificates, type OwnCertificates } from './certificates.ts';
import { type ControlGroups, findControlGroups } from './cgroup.ts';
import { inheritedDescriptors } from './descriptors.ts';
import { startGuard } from './guard.ts';
import { endOrphans, identityOf, type ProcessIdentity } from './processes.ts';
import type { RootEntry } from './libraries.ts';
import { executable, lookForPrerequisites, prerequisiteChecks } from './prerequisites.ts';
import { createPrograms, type Programs } from './programs.ts';
import type { Capability, SandboxCheck } from './sandbox.ts';
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
  /** What the admin demands of every sandbox; absent: nothing beyond what each skill needs. */
  requires?: readonly Capability[];
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

/**
 * Looks for everything the driver needs; without a machine one of the checks is bad. Whether it works together is for
 * the self-test to say.
 */
export async function lookAtMachine(
  options: BwrapOptions,
): Promise<{ checks: readonly SandboxCheck[]; machine: Machine | undefined }> {
  const { help, ...facts } = await lookForPrerequisites(options.path);
  const checks = prerequisiteChecks(facts);
  const { root, bwrap } = facts;
  const syscalls = syscallsOf(process.arch);
  const hub = await identityOf(process.pid);
  const usable =
    checks.every(({ state }) => state !== 'bad') &&
    syscalls !== undefined &&
    bwrap !== undefined &&
    hub !== undefined;
  if (!usable) return { checks, machine: undefined };

  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  const emptyDir = join(options.stateDir, 'empty');
  await mkdir(emptyDir, { recursive: true, mode: 0o755 });
  const groups = await findControlGroups(hub);
  const standIns = join(options.stateDir, 'stand-ins');
  const notes = notesOf(standIns, hub);
  startGuard((await executable('sh', options.path)) ?? '/bin/sh', hub, notes);
  const orphansEnded = await endOrphans();
  await sweepStandIns(standIns);
  await groups?.sweep();
  const machine: Machine = {
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
  return { checks, machine };
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
