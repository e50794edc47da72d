import { mkdir } from 'node:fs/promises';
import { AppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import {
  type Account,
  describeStanding,
  nameOf,
  NOBODY,
  ownerOf,
  type Standing,
  standingFor,
} from './accounts.ts';
import { launch, NICENESS, SHARED_PROCESSES } from './launch.ts';
import { type BwrapOptions, lookAtMachine, type Machine, type Problem, startHint } from './machine.ts';
import { handOver, type HeldMount, holdMounts, makeFolder, refuseUnusable, releaseMounts } from './mounts.ts';
import type { Capability, SandboxDriver, SandboxPlan, SandboxReport } from './sandbox.ts';
import type { Tracer } from './tracer.ts';
import { faultOf, probePlan } from './self-test.ts';

/** What root's skills run as where nothing else is needed (docs/adr/0002-sandbox-as-root.md). */
const UNPRIVILEGED: Account = NOBODY;

/** The loader obeys these, and the launcher inside starts before it has given up its rights. */
const LOADER_VARIABLE = /^(?:LD_|GLIBC_|GCONV_PATH$|LOCPATH$|NLSPATH$)/;

/**
 * The sandbox of Linux: bubblewrap, a system call filter, resource limits and, where the hub is root,
 * control groups and an unprivileged account. It answers for what it reports, because its first
 * report runs a probe in it; nothing runs while that fails.
 */
export function createBwrapDriver({
  log,
  tracer,
  ...options
}: BwrapOptions & {
  log: Logger;
  /** Watches what is started, for learn runs alone; a hub that serves has none. */
  tracer?: Tracer;
}): SandboxDriver {
  let looked: Promise<Found> | undefined;
  const dataFolders = new Map<string, { uid: number; users: number }>();
  const found = () => (looked ??= findOut(options));

  async function usable(): Promise<Found & { machine: Machine }> {
    const { machine, report, ...more } = await found();
    if (machine !== undefined && report.usable) return { machine, report, ...more };
    throw new AppError('sandbox-unavailable', {
      detail: report.problem?.detail ?? 'There is no usable sandbox.',
      ...(report.problem === undefined ? {} : { hint: report.problem.hint }),
    });
  }

  return {
    name: 'bwrap',
    report: async () => (await found()).report,

    async start(plan) {
      const { machine, report, rootFiles } = await usable();
      refuseUnenforceable(plan, report.enforces);
      await makeDataMounts(plan);
      const held = await holdMounts({ forbidden: machine.forbidden, dataDir: plan.dataDir }, plan.mounts);
      try {
        const standing = await standingOf(machine, rootFiles, held, plan);
        const leave = await enterDataFolder(dataFolders, plan, standing);
        try {
          const process = await launch(machine, plan, standing, held, tracer);
          void process.exited.then(leave);
          log.debug({ skill: plan.label, pid: process.pid, standing: standing.kind }, 'sandbox started');
          return process;
        } catch (error) {
          leave();
          throw error;
        }
      } finally {
        await releaseMounts(held);
      }
    },

    async makeOwned(path) {
      const { machine } = await usable();
      await makeFolder(path, machine.root ? UNPRIVILEGED : undefined);
    },

    async describeMount(mount) {
      const { machine, rootFiles } = await usable();
      const held = await holdMounts({ forbidden: machine.forbidden }, [mount]);
      try {
        return describeStanding(await standingOf(machine, rootFiles, held, {}), UNPRIVILEGED);
      } finally {
        await releaseMounts(held);
      }
    },
  };
}

interface Found {
  /** Undefined where something is missing. */
  machine: Machine | undefined;
  report: SandboxReport;
  /** Whether a skill may keep root's file ownership here. */
  rootFiles: boolean;
}

async function findOut(options: BwrapOptions): Promise<Found> {
  const machine = await lookAtMachine(options);
  if (!('bwrap' in machine)) return { machine: undefined, report: unusable(machine), rootFiles: false };
  const fault = await selfTest(
    machine,
    options,
    machine.root ? { kind: 'account', ...UNPRIVILEGED } : { kind: 'own' },
  );
  if (fault !== undefined) {
    const problem = {
      detail: `The sandbox does not hold: ${fault}.`,
      hint: await startHint(options.path, machine.root),
    };
    return { machine, report: unusable(problem), rootFiles: false };
  }
  const rootFiles =
    machine.root &&
    machine.devices.length > 0 &&
    machine.groups?.enforces.includes('pids') === true &&
    (await selfTest(machine, options, { kind: 'root-files' })) === undefined;
  return { machine, report: reportOf(machine, rootFiles), rootFiles };
}

async function selfTest(
  machine: Machine,
  options: BwrapOptions,
  standing: Standing,
): Promise<string | undefined> {
  try {
    return await faultOf(await launch(machine, await probePlan(options.stateDir), standing, []), standing);
  } catch (error) {
    if (error instanceof AppError) return error.message.replace(/\.$/, '');
    throw error;
  }
}

function unusable(problem: Problem): SandboxReport {
  return { driver: 'bwrap', usable: false, problem, enforces: [], notes: [] };
}

function reportOf(machine: Machine, rootFiles: boolean): SandboxReport {
  const controllers = machine.groups?.enforces ?? [];
  const pids: Capability[] = machine.root ? [] : ['pids'];
  const bounded = new Set<Capability>([...pids, ...controllers]);
  const lacking = (['memory', 'cpu', 'pids'] as const).filter((capability) => !bounded.has(capability));
  const notes = [
    machine.root
      ? `Skills run as the unprivileged account ${nameOf(UNPRIVILEGED.uid)}.`
      : 'Skills run in a user namespace of the account that runs the hub.',
    ...(machine.root
      ? [
          rootFiles
            ? "A skill that was granted a folder which only root may use keeps root's file ownership for it, without capabilities."
            : 'A folder that only root may use cannot be granted here: the machine lacks what it takes to hold such a skill.',
        ]
      : []),
    'Disk use is bounded in scratch folders; what a skill writes into granted folders and its data folder is not counted.',
    ...(lacking.includes('memory')
      ? ['Memory is bounded for each process of a skill, not for all of them together.']
      : []),
    lacking.includes('cpu')
      ? `Processor time is not bounded; where it is short, the hub comes before its skills (nice ${NICENESS}).`
      : 'Where processor time is short, the hub comes before its skills, and a skill that answers before one that does not.',
    ...(lacking.includes('pids')
      ? [`All skills together may have ${SHARED_PROCESSES} processes; there is no bound for each.`]
      : []),
    ...(machine.orphansEnded > 0
      ? [`Ended ${machine.orphansEnded} sandboxes that a hub had left behind.`]
      : []),
  ];
  return {
    driver: 'bwrap',
    usable: true,
    enforces: ['files', 'network', 'syscalls', 'disk', 'subprocess', ...bounded],
    notes,
  };
}

function refuseUnenforceable(plan: SandboxPlan, enforces: readonly Capability[]): void {
  const [first] = plan.network;
  if (first !== undefined && !enforces.includes('hostFilter')) {
    throw new AppError('sandbox-cannot-enforce', {
      detail: `${plan.label} was granted the host ${first.host}:${first.port}, and this sandbox cannot hold it to certain hosts (hostFilter).`,
      hint: 'Revoke its network permission to run it without a network.',
      data: { capability: 'hostFilter' },
    });
  }
  const loader = Object.keys(plan.env).find((name) => LOADER_VARIABLE.test(name));
  if (loader !== undefined) {
    throw new AppError('binding-refused', {
      detail: `${plan.label} may not be given the variable ${loader}: it changes how programs are loaded.`,
      hint: 'Revoke that permission.',
    });
  }
}

/** As which account the skill runs, from the folders that an admin granted; the hub's own adapt to it. */
async function standingOf(
  machine: Machine,
  rootFiles: boolean,
  held: readonly HeldMount[],
  { dataDir, mounts = [] }: Partial<Pick<SandboxPlan, 'dataDir' | 'mounts'>>,
): Promise<Standing> {
  const own = new Set(
    mounts.filter(({ root }) => root !== undefined && root === dataDir).map(({ target }) => target),
  );
  const granted = held.filter(({ target }) => !own.has(target));
  if (!machine.root) {
    await Promise.all(granted.map(refuseUnusable));
    return { kind: 'own' };
  }
  const standing = standingFor(
    UNPRIVILEGED,
    granted.map(({ rights }) => rights),
  );
  if (standing.kind !== 'root-files' || rootFiles) return standing;
  throw new AppError('binding-refused', {
    detail: `Only root may use ${granted.map(({ source }) => source).join(', ')}, and this machine cannot hold a skill that may.`,
    hint: `Give the folder to an account of its own, or open it to the account ${nameOf(UNPRIVILEGED.uid)}.`,
  });
}

/** Folders below `${data}` that a manifest names are the hub's to make. */
async function makeDataMounts({ dataDir, mounts }: SandboxPlan): Promise<void> {
  for (const { root, source } of mounts) {
    if (dataDir !== undefined && root === dataDir) await mkdir(source, { recursive: true, mode: 0o700 });
  }
}

/**
 * The data folder belongs to whoever runs in it. It changes hands only while nobody does; the answer
 * is to be called when this one is gone.
 */
async function enterDataFolder(
  folders: Map<string, { uid: number; users: number }>,
  { dataDir, mounts, label }: SandboxPlan,
  standing: Standing,
): Promise<() => void> {
  const owner = ownerOf(standing);
  if (owner === undefined || dataDir === undefined || !mounts.some(({ root }) => root === dataDir))
    return () => undefined;
  const there = folders.get(dataDir) ?? { uid: owner.uid, users: 0 };
  if (there.users > 0 && there.uid !== owner.uid) {
    throw new AppError('skill-start-failed', {
      detail: `${label} still runs under another account, from before its grants changed.`,
      hint: 'Try again when that process has ended.',
    });
  }
  there.uid = owner.uid;
  there.users += 1;
  folders.set(dataDir, there);
  const leave = () => {
    there.users -= 1;
    if (there.users === 0) folders.delete(dataDir);
  };
  try {
    await handOver(dataDir, owner);
    return leave;
  } catch (error) {
    leave();
    throw error;
  }
}
