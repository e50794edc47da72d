import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { nameOf, type Standing } from './accounts.ts';
import { bwrapArguments } from './bwrap-arguments.ts';
import type { Machine } from './machine.ts';
import type { HeldMount } from './mounts.ts';
import { markOf } from './processes.ts';
import type { RootEntry } from './programs.ts';
import type { SandboxedProcess, SandboxPlan } from './sandbox.ts';
import { FIRST_DESCRIPTOR, spawnSandbox } from './spawn-sandbox.ts';

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

/** Files that programs expect to be there, and that say nothing about the host. */
export const PLAIN_FILES = {
  '/etc/passwd': 'nobody:x:65534:65534::/tmp:/nonexistent\nskill:x:1000:1000::/tmp:/nonexistent\n',
  '/etc/group': 'nogroup:x:65534:\nskill:x:1000:\n',
  '/etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

/** Certificates that clients of TLS look for, by distribution. */
const CERTIFICATE_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];
const TIME_ZONES = '/usr/share/zoneinfo';

/**
 * Starts a plan under an account, with folders that were checked for it: gathers what has to exist
 * inside, and the chain of programs that ends in the skill's.
 * @throws AppError `skill-start-failed`.
 */
export async function launch(
  machine: Machine,
  plan: SandboxPlan,
  standing: Standing,
  held: readonly HeldMount[],
): Promise<SandboxedProcess> {
  await refuseUnreadablePackage(plan, standing);
  const program = await programOf(machine, plan);
  const launchers = await launchersOf(machine, standing, plan);
  const granted = await Promise.all(plan.programs.map((name) => machine.programs.named(name)));
  const files = Object.entries({ ...PLAIN_FILES, ...plan.files });
  const folders = machine.has.bindDescriptor ? held.map(({ handle }) => handle.fd) : [];
  const firstFolder = FIRST_DESCRIPTOR + files.length;

  const options = bwrapArguments({
    standing,
    disableUserNamespaces: machine.has.disableUserNamespaces,
    entries: withoutRepetition([
      ...launchers.entries,
      ...granted.flatMap(({ entries }) => entries),
      ...program.entries,
      ...(await publicFiles()),
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
    env: plan.env,
  });
  const group = await machine.groups?.create(plan.limits);
  return spawnSandbox({
    label: plan.label,
    bwrap: machine.bwrap,
    mark: markOf(machine.hub, plan.label),
    options,
    command: [...launchers.command, ...program.command, ...plan.runtime.args],
    filter: machine.filter,
    contents: files.map(([, content]) => content),
    descriptors: folders,
    covered: machine.covered,
    group,
    niceness: machine.groups?.enforces.includes('cpu') === true ? 0 : NICENESS,
  });
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

export async function programOf(
  { programs }: Pick<Machine, 'programs'>,
  { runtime, packageDir, limits }: SandboxPlan,
): Promise<Command> {
  const entry = `/skill/${runtime.entry}`;
  switch (runtime.kind) {
    case 'node': {
      const { path, entries } = await programs.node();
      return {
        command: [path, `--max-old-space-size=${Math.floor(limits.memoryMb * NODE_HEAP_SHARE)}`, entry],
        entries,
      };
    }
    case 'python': {
      const { path, entries } = await programs.python();
      return { command: [path, entry], entries };
    }
    case 'binary':
      return { command: [entry], entries: await programs.librariesOf(join(packageDir, runtime.entry)) };
  }
}

/**
 * What stands between bubblewrap and the program: limits, which count from inside the user namespace
 * only, so that a busy desktop does not use up a skill's share; then the change of account.
 */
async function launchersOf(
  machine: Machine,
  standing: Standing,
  { limits, runtime }: Pick<SandboxPlan, 'limits' | 'runtime'>,
): Promise<Command> {
  const prlimit = await machine.programs.named('prlimit');
  const dataBytes = (limits.memoryMb + reservedMb(runtime.kind)) * 1024 * 1024;
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

/** What a runtime's limit on data has beyond its memory. Skills run on the Node that the hub runs on. */
export function reservedMb(kind: SandboxPlan['runtime']['kind']): number {
  const major = Number(process.versions.node.split('.')[0]);
  return STACK_RESERVE_MB + (kind === 'node' && major >= FIRST_NODE_WITH_CODE_RESERVE ? CODE_RESERVE_MB : 0);
}

/** The kernel counts by account and user namespace, and does not bind the real root by it. */
function processLimit(machine: Machine, standing: Standing, pids: number): number | undefined {
  if (standing.kind === 'own') return pids + OWN_PROCESSES;
  return machine.groups?.enforces.includes('pids') === true ? undefined : SHARED_PROCESSES;
}

/** By real paths: bubblewrap would follow a link inside the root that it is building. */
export async function publicFiles(): Promise<RootEntry[]> {
  const found = await Promise.all(
    [...CERTIFICATE_FILES, TIME_ZONES].map(async (target): Promise<RootEntry[]> => {
      const source = await realpath(target).catch(() => undefined);
      return source === undefined ? [] : [{ source, target }];
    }),
  );
  return found.flat();
}

/** The last of several for one place: a program's own file wins over a launcher's. */
export function withoutRepetition(entries: readonly RootEntry[]): RootEntry[] {
  return [...new Map(entries.map((entry) => [entry.target, entry] as const)).values()];
}
