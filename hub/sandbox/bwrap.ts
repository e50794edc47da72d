import { AppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { type Account, describeStanding, nameOf, NOBODY, type Standing, standingFor } from './accounts.ts';
import { createDataFolders, makeDataMounts } from './data-folders.ts';
import { launch, NICENESS, SHARED_PROCESSES } from './launch.ts';
import { type BwrapOptions, lookAtMachine, type Machine } from './machine.ts';
import { type HeldMount, holdMounts, makeFolder, refuseUnusable, releaseMounts } from './mounts.ts';
import type { Capability, SandboxCheck, SandboxDriver, SandboxPlan, SandboxReport } from './sandbox.ts';
import { refuseUnenforceable } from './needs.ts';
import { lookForObstacles, remedyFor } from './prerequisites.ts';
import { notRun, probeChecks, probePlan, uidInside } from './self-test.ts';

/** What root's skills run as where nothing else is needed (docs/adr/0002-sandbox-as-root.md). */
const UNPRIVILEGED: Account = NOBODY;

/**
 * The sandbox of Linux: bubblewrap, a system call filter, resource limits and, where the hub is root,
 * control groups and an unprivileged account. It answers for what it reports, because its first
 * report runs a probe in it; nothing runs while that fails.
 */
export function createBwrapDriver({ log, ...options }: BwrapOptions & { log: Logger }): SandboxDriver {
  let looked: Promise<Found> | undefined;
  const dataFolders = createDataFolders();
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
      refuseUnenforceable(plan, report);
      await makeDataMounts(plan);
      const held = await holdMounts({ forbidden: machine.forbidden, dataDir: plan.dataDir }, plan.mounts);
      try {
        const standing = await standingOf(machine, rootFiles, held, plan);
        const leave = await dataFolders.enter(plan, standing);
        try {
          const process = await launch(machine, plan, standing, held);
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
  const { checks, machine } = await lookAtMachine(options);
  const { requires = [] } = options;
  if (machine === undefined) return { machine, report: reportOf(checks, [], [], requires), rootFiles: false };
  const standing: Standing = machine.root ? { kind: 'account', ...UNPRIVILEGED } : { kind: 'own' };
  const { groups, ...without } = machine;
  // Whether an ordinary account may also move processes into the groups that it may make, only trying tells.
  const attempts =
    groups === undefined || machine.root ? [machine] : [machine, { ...without, groups: undefined }];
  for (const attempt of attempts) {
    const probed = await selfTest(attempt, options, standing);
    const fails = probed.some(({ state }) => state === 'bad');
    if (fails && attempt !== attempts.at(-1)) continue;
    const rootFiles = !fails && (await holdsRootFiles(attempt, options));
    const { enforces, notes, limits } = whatHolds(attempt, rootFiles);
    return {
      machine: attempt,
      report: reportOf([...checks, ...probed, ...limits], enforces, notes, requires),
      rootFiles,
    };
  }
  throw new Error('the sandbox was not tried');
}

async function holdsRootFiles(machine: Machine, options: BwrapOptions): Promise<boolean> {
  if (!machine.root || machine.devices.length === 0) return false;
  if (machine.groups?.enforces.includes('pids') !== true) return false;
  const checks = await selfTest(machine, options, { kind: 'root-files' });
  return checks.every(({ state }) => state !== 'bad');
}

async function selfTest(
  machine: Machine,
  options: BwrapOptions,
  standing: Standing,
): Promise<SandboxCheck[]> {
  const remedy = remedyFor(await lookForObstacles(options.path));
  try {
    const probe = await launch(machine, await probePlan(options.stateDir), standing, []);
    return await probeChecks(probe, uidInside(standing), remedy);
  } catch (error) {
    if (error instanceof AppError) return [notRun(error.message, remedy)];
    throw error;
  }
}

function reportOf(
  checks: readonly SandboxCheck[],
  enforces: readonly Capability[],
  notes: readonly string[],
  requires: readonly Capability[],
): SandboxReport {
  const fault = checks.find(({ state }) => state === 'bad');
  if (fault === undefined) return { driver: 'bwrap', usable: true, enforces, requires, checks, notes };
  const problem = { detail: fault.detail, hint: fault.remedy ?? 'berth doctor' };
  return { driver: 'bwrap', usable: false, problem, enforces: [], requires, checks, notes: [] };
}

/** What of a sandbox that holds depends on the machine. */
function whatHolds(machine: Machine, rootFiles: boolean) {
  const bounded = new Set<Capability>([
    ...(machine.root ? [] : (['pids'] as const)),
    ...(machine.groups?.enforces ?? []),
  ]);
  const unbounded = {
    memory: 'Memory is bounded for each process of a skill, not for all of them together.',
    cpu: `Processor time is not bounded; where it is short, the hub comes before its skills (nice ${NICENESS}).`,
    pids: `All skills together may have ${SHARED_PROCESSES} processes; there is no bound for each.`,
  };
  const bound = {
    memory: 'Memory is bounded for all processes of a skill together.',
    cpu: 'Where processor time is short, the hub comes before its skills, and a skill that answers before one that does not.',
    pids: 'The number of processes is bounded for each skill.',
  };
  const limits = (['memory', 'cpu', 'pids'] as const).map((id): SandboxCheck => {
    if (bounded.has(id)) return { id: `limit-${id}`, state: 'ok', detail: bound[id] };
    return { id: `limit-${id}`, state: 'note', detail: unbounded[id], remedy: GROUPS_REMEDY };
  });
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
    ...limits.filter(({ id, state }) => id === 'limit-cpu' || state === 'note').map(({ detail }) => detail),
    ...(machine.orphansEnded > 0
      ? [`Ended ${machine.orphansEnded} sandboxes that a hub had left behind.`]
      : []),
  ];
  const enforces: Capability[] = ['files', 'network', 'syscalls', 'disk', 'subprocess', ...bounded];
  return { enforces, notes, limits };
}

/** Control groups are what bounds a whole process tree. */
const GROUPS_REMEDY =
  'Run the hub as a systemd service with Delegate=yes (systemd-run --user --scope -p Delegate=yes berth up), or as root.';

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
