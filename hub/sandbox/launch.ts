import { realpath, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { nameOf, type Standing } from './accounts.ts';
import { bwrapArguments } from './bwrap-arguments.ts';
import { CERTIFICATE_FILES } from './certificates.ts';
import type { Machine } from './machine.ts';
import type { Mount } from './mount-table.ts';
import type { HeldMount } from './mounts.ts';
import type { SandboxNetwork } from './network.ts';
import { markOf, type ProcessIdentity } from './processes.ts';
import type { RootEntry } from './libraries.ts';
import type { SandboxPlan } from './sandbox.ts';
import { FIRST_DESCRIPTOR, type SpawnedSandbox, spawnSandbox } from './spawn-sandbox.ts';
import { faultOfMounts } from './verify-mounts.ts';
import type { Tracer } from './tracer.ts';

/** Address space that a runtime reserves for stacks and never touches; it counts as data. */
const STACK_RESERVE_MB = 64;
/**
 * What V8 reserves for machine code from Node 23 on, for each thread and in a way that counts as data though it is
 * not used: here for the main thread and one worker. What is not reserved can be used as memory; where control
 * groups bound the whole skill, that does not matter.
 */
const CODE_RESERVE_MB = 2 * 512;
const FIRST_NODE_WITH_CODE_RESERVE = 23;
/** The share of a skill's memory that V8's heap may have; the rest is buffers, code and stacks. */
const NODE_HEAP_SHARE = 0.7;
export const MAX_OPEN_FILES = 1024;
/** Where root has no control groups all skills share one account, and this many processes. */
export const SHARED_PROCESSES = 1024;
/** Of a skill without a group of its own: about an eighth of what the hub counts (sched(7)). */
export const NICENESS = 10;
/** Bubblewrap's own process inside, and the launcher that becomes the program. */
const OWN_PROCESSES = 2;

/** Nothing of an account's own, and no bytecode: the package is read-only, and what runs is what was signed. */
export const PYTHON_FLAGS = ['-s', '-B'];
/** Beside the entry of a Python skill: the packages that it brings (cli/pack makes it out of wheels). */
export const SITE_FOLDER = 'site';

/** Files that programs expect to be there, and that say nothing about the host. */
export const PLAIN_FILES = {
  '/etc/passwd': 'nobody:x:65534:65534::/tmp:/nonexistent\nskill:x:1000:1000::/tmp:/nonexistent\n',
  '/etc/group': 'nogroup:x:65534:\nskill:x:1000:\n',
  '/etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

/** The certificates that an admin added, by themselves. */
const OWN_CERTIFICATES_FILE = '/etc/ssl/certs/own-certificates.crt';
const TIME_ZONES = '/usr/share/zoneinfo';

/**
 * Starts a plan under an account, with folders that were checked for it: gathers what has to exist
 * inside, and the chain of programs that ends in the skill's. It runs once the folders are seen to be those;
 * `made` is told its first process, which has them mounted. Without a network there is none; a tracer watches what the
 * program does.
 * @throws AppError `skill-start-failed`, `learn-unavailable`.
 */
export async function launch(
  machine: Machine,
  plan: SandboxPlan,
  standing: Standing,
  { held, own, network, tracer, made = () => undefined }: LaunchPlaces,
): Promise<SpawnedSandbox> {
  await refuseUnreadablePackage(plan, standing);
  const program = await programOf(machine, plan);
  const launchers = await launchersOf(machine, standing, plan, program.reservedMb);
  const granted = await Promise.all(plan.programs.map((name) => machine.programs.named(name)));
  const files = Object.entries({
    ...PLAIN_FILES,
    ...(network === undefined ? {} : networkFiles(machine)),
    ...plan.files,
  });
  const folders = machine.has.bindDescriptor ? held.map(({ handle }) => handle.fd) : [];
  const firstFolder = FIRST_DESCRIPTOR + files.length;
  const known = await publicFiles(machine);

  const options = bwrapArguments({
    standing,
    network: network === undefined ? 'none' : 'given',
    disableUserNamespaces: machine.has.disableUserNamespaces,
    entries: withoutRepetition([
      ...launchers.entries,
      ...granted.flatMap(({ entries }) => entries),
      ...program.entries,
      ...known,
      { source: await realpath(plan.packageDir), target: '/skill' },
    ]),
    mounts: held.map(({ source, target, mode }, index) => ({
      source: machine.has.bindDescriptor ? firstFolder + index : source,
      target,
      mode,
    })),
    devices: standing.kind === 'root-files' ? machine.devices : [],
    files: files.map(([target], index) => ({ descriptor: FIRST_DESCRIPTOR + index, target })),
    scratch: plan.scratch,
    diskMb: plan.limits.diskMb,
    env: { ...(network === undefined ? {} : trustOf(machine, known)), ...withPaths(plan.env, program.env) },
  });
  const mark = markOf(machine.hub, plan.label);
  const enter = network?.enter ?? [];
  const watch = await tracer?.watch({ program: program.command[0] ?? '', bwrap: machine.bwrap, mark, enter });
  const group = await machine.groups?.create(plan.limits);
  return spawnSandbox({
    label: plan.label,
    bwrap: machine.bwrap,
    enter,
    mark,
    options,
    command: [...launchers.command, ...program.command, ...plan.runtime.args],
    filter: held.some(({ isData }) => !isData) ? machine.filters.withoutLocalSockets : machine.filters.plain,
    async faultOf(first) {
      const fault =
        held.length === 0
          ? undefined
          : await faultOfMounts(first, { held, own, forbidden: machine.forbidden });
      if (fault === undefined) made(first);
      return fault;
    },
    contents: files.map(([, content]) => content),
    descriptors: folders,
    covered: machine.covered,
    group,
    niceness: machine.groups?.enforces.includes('cpu') === true ? 0 : NICENESS,
    watch,
  });
}

/** What of the host a sandbox gets. */
export interface LaunchPlaces {
  /** Parents before what lies in them. */
  held: readonly HeldMount[];
  /** What is mounted where for the hub. */
  own: readonly Mount[];
  /** Where it runs; absent: in one of its own, without a way out. */
  network?: Pick<SandboxNetwork, 'enter'> | undefined;
  tracer?: Tracer | undefined;
  made?: (first: ProcessIdentity) => void;
}

/** What a runtime needs beside what a plan sets; where both say where Python finds modules, the plan's come first. */
export function withPaths(
  planned: Readonly<Record<string, string>>,
  needed: Readonly<Record<string, string>>,
): Record<string, string> {
  const paths = [planned['PYTHONPATH'], needed['PYTHONPATH']].filter((path) => path !== undefined);
  return { ...planned, ...needed, ...(paths.length === 0 ? {} : { PYTHONPATH: paths.join(':') }) };
}

/** An account that is not the hub's reads the package by its permission bits. */
export async function refuseUnreadablePackage(
  { packageDir, runtime, label }: SandboxPlan,
  standing: Standing,
): Promise<void> {
  const file = join(packageDir, runtime.entry);
  const entry = await stat(file).catch(() => undefined);
  if (entry?.isFile() !== true) {
    throw new AppError('skill-start-failed', { detail: `${label} has no file ${runtime.entry} to start.` });
  }
  if (standing.kind !== 'account') return;
  const folder = await stat(packageDir);
  const needed = runtime.kind === 'binary' ? 0o5 : 0o4;
  if ((folder.mode & 0o5) === 0o5 && (entry.mode & needed) === needed) return;
  throw new AppError('skill-start-failed', {
    detail: `${label} is not readable for the account ${nameOf(standing.uid)} that it is to run under.`,
    hint: 'Unpack its folders with mode 0755 and its files with 0644 or 0755.',
  });
}

interface Command {
  command: readonly string[];
  entries: readonly RootEntry[];
}

interface Program extends Command {
  env: Readonly<Record<string, string>>;
  /** What its limit on data has beyond its memory. */
  reservedMb: number;
}

export async function programOf(
  { programs }: Pick<Machine, 'programs'>,
  { runtime, packageDir, limits }: SandboxPlan,
): Promise<Program> {
  const entry = `/skill/${runtime.entry}`;
  switch (runtime.kind) {
    case 'node': {
      const { path, entries, version } = await programs.node();
      return {
        command: [path, `--max-old-space-size=${Math.floor(limits.memoryMb * NODE_HEAP_SHARE)}`, entry],
        entries,
        env: {},
        reservedMb: reservedMb('node', version),
      };
    }
    case 'python': {
      const { path, entries } = await programs.python();
      return {
        command: [path, ...PYTHON_FLAGS, entry],
        entries: [...(await programs.librariesOfModules(packageDir)), ...entries],
        // For the processes that it starts, too; no variable of Python's can be granted.
        env: { PYTHONPATH: posix.join(posix.dirname(entry), SITE_FOLDER) },
        reservedMb: reservedMb('python'),
      };
    }
    case 'binary':
      return {
        command: [entry],
        entries: await programs.librariesOf(join(packageDir, runtime.entry), packageDir),
        env: {},
        reservedMb: reservedMb('binary'),
      };
  }
}

/**
 * What stands between bubblewrap and the program: limits, which count from inside the user namespace
 * only, so that a busy desktop does not use up a skill's share; then the change of account.
 */
async function launchersOf(
  machine: Machine,
  standing: Standing,
  { limits }: Pick<SandboxPlan, 'limits'>,
  reserved: number,
): Promise<Command> {
  const prlimit = await machine.programs.named('prlimit');
  const dataBytes = (limits.memoryMb + reserved) * 1024 * 1024;
  const processes = processLimit(machine, standing, limits.pids);
  const limiting = [
    prlimit.path,
    '--core=0',
    `--nofile=${MAX_OPEN_FILES}`,
    `--data=${dataBytes}`,
    ...(processes === undefined ? [] : [`--nproc=${processes}`]),
    '--',
  ];
  if (standing.kind !== 'account') return { command: limiting, entries: prlimit.entries };
  const setpriv = await machine.programs.named('setpriv');
  const becoming = [
    setpriv.path,
    ...['--reuid', String(standing.uid), '--regid', String(standing.gid), '--clear-groups'],
    ...['--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all', '--no-new-privs', '--'],
  ];
  return { command: [...limiting, ...becoming], entries: [...prlimit.entries, ...setpriv.entries] };
}

/** What a runtime's limit on data has beyond its memory; `version` is that of Node. */
export function reservedMb(
  kind: SandboxPlan['runtime']['kind'],
  version: string = process.versions.node,
): number {
  const major = Number(version.split('.')[0]);
  return STACK_RESERVE_MB + (kind === 'node' && major >= FIRST_NODE_WITH_CODE_RESERVE ? CODE_RESERVE_MB : 0);
}

/** The kernel counts by account and user namespace, and does not bind the real root by it. */
function processLimit(machine: Machine, standing: Standing, pids: number): number | undefined {
  if (standing.kind === 'own') return pids + OWN_PROCESSES;
  return machine.groups?.enforces.includes('pids') === true ? undefined : SHARED_PROCESSES;
}

/** The hub answers for every name, at port 53 of the sandbox's own loopback. */
function networkFiles({ certificates }: Machine): Record<string, string> {
  return {
    '/etc/resolv.conf': 'nameserver 127.0.0.1\n',
    ...(certificates === undefined ? {} : { [OWN_CERTIFICATES_FILE]: certificates.own }),
  };
}

/** By real paths: bubblewrap would follow a link inside the root that it is building. */
export async function publicFiles({ certificates }: Pick<Machine, 'certificates'>): Promise<RootEntry[]> {
  const found = await Promise.all(
    [...CERTIFICATE_FILES, TIME_ZONES].map(async (target): Promise<RootEntry[]> => {
      const source = await realpath(target).catch(() => undefined);
      return source === undefined ? [] : [{ source, target }];
    }),
  );
  const entries = found.flat();
  if (certificates === undefined) return entries;
  const usual = CERTIFICATE_FILES.filter((file) => entries.some(({ target }) => target === file));
  const places = usual.length === 0 ? CERTIFICATE_FILES.slice(0, 1) : usual;
  return [...entries, ...places.map((target) => ({ source: certificates.bundle, target }))];
}

/**
 * What tells programs where their certificates are: Python looks elsewhere on many machines, and Node has its own list,
 * to which it adds only what it is told to.
 */
function trustOf({ certificates }: Machine, entries: readonly RootEntry[]): Record<string, string> {
  const bundle = CERTIFICATE_FILES.find((file) => entries.some(({ target }) => target === file));
  if (bundle === undefined) return {};
  return {
    SSL_CERT_FILE: bundle,
    ...(certificates === undefined
      ? {}
      : { REQUESTS_CA_BUNDLE: bundle, CURL_CA_BUNDLE: bundle, NODE_EXTRA_CA_CERTS: OWN_CERTIFICATES_FILE }),
  };
}

/** The last of several for one place: a program's own file wins over a launcher's. */
export function withoutRepetition(entries: readonly RootEntry[]): RootEntry[] {
  return [...new Map(entries.map((entry) => [entry.target, entry] as const)).values()];
}
