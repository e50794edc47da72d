import { realpath, writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import {
  type Account,
  describeStanding,
  INSIDE,
  nameOf,
  NOBODY,
  type Standing,
  standingFor,
} from './accounts.ts';
import { FOLDER_NOTES } from './bwrap-report.ts';
import { limitsInForce } from './cgroup.ts';
import { startContainerGuard } from './container-guard.ts';
import { type ContainerJob, startContainer, wordsOf } from './container-process.ts';
import { createDataFolders } from './data-folders.ts';
import { inheritedDescriptors } from './descriptors.ts';
import { programOf, publicFiles, refuseUnreadablePackage, withoutRepetition, withPaths } from './launch.ts';
import type { BwrapOptions } from './machine.ts';
import { type HeldMount, holdAsGranted, makeFolder } from './mounts.ts';
import { refuseUnenforceable } from './needs.ts';
import { seccompProfile } from './oci-seccomp.ts';
import { openPodman, type Podman } from './podman.ts';
import { executable, installerOf } from './prerequisites.ts';
import { identityOf, type ProcessIdentity } from './processes.ts';
import { createPrograms, hostFilesOf, type Programs } from './programs.ts';
import type { Capability, SandboxCheck, SandboxDriver, SandboxPlan, SandboxReport } from './sandbox.ts';
import { notRun, probeChecks, probePlan } from './self-test.ts';
import type { SpawnedSandbox } from './spawn-sandbox.ts';
import { createStandIns, notesOf, type StandIns, sweepStandIns } from './stand-ins.ts';
import { startPlan } from './start-plan.ts';
import { ownMountTable } from './verify-mounts.ts';

/** What the driver is made with. */
export interface ContainerOptions extends BwrapOptions {
  /** The OCI runtime to use instead of podman's choice. */
  container?: { runtime?: string | undefined };
}

const UNPRIVILEGED: Account = NOBODY;

/**
 * The sandbox of machines on which containers are what runs strangers' code: podman, with nothing of an image but
 * folders to mount on. Slower to start than bubblewrap by a quarter of a second, and held to the same probe. It does not
 * let a skill reach hosts, and says so: a skill with a network grant is refused.
 */
export function createContainerDriver({
  log,
  ...options
}: ContainerOptions & { log: Logger }): SandboxDriver {
  let looked: Promise<Found> | undefined;
  const dataFolders = createDataFolders();
  const found = () => (looked ??= findOut(options));

  async function usable(): Promise<Found & { engine: Engine }> {
    const { engine, report } = await found();
    if (engine !== undefined && report.usable) return { engine, report };
    throw new AppError('sandbox-unavailable', {
      detail: report.problem?.detail ?? 'There is no usable sandbox.',
      ...(report.problem === undefined ? {} : { hint: report.problem.hint }),
    });
  }

  return {
    name: 'container',
    report: async () => (await found()).report,

    async start(plan) {
      const { engine, report } = await usable();
      refuseUnenforceable(plan, report);
      const { forbidden, standIns } = engine;
      return startPlan(
        { forbidden, standIns, dataFolders, standingOf, log },
        plan,
        async ({ standing, own, held: start }) => ({
          ...(await start((held, made) => launchContainer(engine, plan, standing, { held, own, made }))),
          // There is no network to open.
          enter: () => () => undefined,
        }),
      );
    },

    async makeOwned(path) {
      await usable();
      await makeFolder(path, UNPRIVILEGED);
    },

    async describeMount(mount, all = [mount]) {
      const { engine } = await usable();
      const rules = { forbidden: engine.forbidden, table: await ownMountTable() };
      return holdAsGranted(rules, mount, all, async (held) =>
        describeStanding(standingOf(held), UNPRIVILEGED),
      );
    },

    async hostFiles(plan) {
      const { engine } = await usable();
      return hostFilesOf(engine.programs, plan);
    },
  };
}

/** What was found out about this machine, once. */
interface Engine {
  podman: Podman;
  hub: ProcessIdentity;
  programs: Programs;
  /** Files with the system call filters. */
  seccomp: { plain: string; withoutLocalSockets: string };
  standIns: StandIns;
  forbidden: readonly string[];
  covered: readonly number[];
  limited: boolean;
}

interface Found {
  engine: Engine | undefined;
  report: SandboxReport;
}

async function findOut(options: ContainerOptions): Promise<Found> {
  const { requires = [] } = options;
  const report = (checks: SandboxCheck[], enforces: Capability[]): SandboxReport => {
    const fault = checks.find(({ state }) => state === 'bad');
    const usable = fault === undefined;
    return {
      driver: 'container',
      usable,
      ...(usable ? {} : { problem: { detail: fault.detail, hint: fault.remedy ?? 'berth doctor' } }),
      enforces: usable ? enforces : [],
      requires,
      checks,
      notes: usable ? [...NOTES, enforces.includes('cpu') ? CPU_NOTE : NO_CPU_NOTE] : [],
    };
  };
  const { checks, engine } = await lookForEngine(options);
  if (engine === undefined) return { engine, report: report(checks, []) };
  const { probed, controllers } = await selfTest(engine, options);
  const limits = (['memory', 'cpu', 'pids'] as const).map((id): SandboxCheck =>
    controllers.includes(id)
      ? { id: `limit-${id}`, state: 'ok', detail: `The ${id} limit of a container is in force.` }
      : {
          id: `limit-${id}`,
          state: 'note',
          detail: `There is no ${id} limit on a container as a whole here.`,
          remedy: 'Give the hub control groups that it may set.',
        },
  );
  const enforces: Capability[] = ['files', 'network', 'syscalls', 'disk', 'subprocess', ...controllers];
  return { engine, report: report([...checks, ...probed, ...limits], enforces) };
}

const NOTES = [
  `Skills run in containers of podman, as the unprivileged account ${nameOf(UNPRIVILEGED.uid)}.`,
  'A folder that only root may use cannot be granted in this sandbox.',
  'Skills that need a network cannot run in this sandbox, for it cannot be limited to hosts.',
  ...FOLDER_NOTES,
  'What podman itself takes for each skill (podman start and conmon) does not count against the memory that skills may take together.',
  'Disk use is bounded in scratch folders; what a skill writes into granted folders and its data folder is not counted.',
];

const CPU_NOTE = 'Where processor time is short, the hub comes before its skills.';
const NO_CPU_NOTE = 'Processor time is not bounded.';

/** Looks for podman and opens its store. */
async function lookForEngine(
  options: ContainerOptions,
): Promise<{ checks: SandboxCheck[]; engine: Engine | undefined }> {
  const { path, stateDir } = options;
  const checks: SandboxCheck[] = [];
  const ok = (id: string, detail: string) => void checks.push({ id, state: 'ok', detail });
  const bad = (id: string, detail: string, remedy: string) => {
    checks.push({ id, state: 'bad', detail, remedy });
    return { checks, engine: undefined };
  };
  const hub = await identityOf(process.pid);
  if (process.platform !== 'linux' || hub === undefined)
    return bad(
      'platform',
      'The container sandbox needs Linux.',
      'Run the hub on Linux, or in a Linux virtual machine.',
    );
  ok('platform', 'This is Linux.');
  if (process.geteuid?.() !== 0) {
    return bad(
      'rootful',
      'The container sandbox is for hubs that run as root: containers of an ordinary account bound neither memory nor processes everywhere, and bubblewrap needs no root.',
      'Use the setting sandbox: bwrap, or run the hub as root.',
    );
  }
  const profiles = {
    plain: seccompProfile(process.arch),
    withoutLocalSockets: seccompProfile(process.arch, { localSockets: false }),
  };
  if (profiles.plain === undefined)
    return bad(
      'processor',
      `There is no system call filter for this processor (${process.arch}).`,
      'Run the hub on x64 or arm64.',
    );
  ok('processor', `The system call filter knows this processor (${process.arch}).`);
  const [program, shell] = [await executable('podman', path), await executable('sh', path)];
  if (program === undefined || shell === undefined)
    return bad(
      'podman',
      'podman is not on the PATH, or there is no shell.',
      `${await installerOf(path)} podman`,
    );
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const podman = await openPodman({ program, path, stateDir, hub, runtime: options.container?.runtime });
    const standIns = join(stateDir, 'stand-ins');
    startContainerGuard(shell, hub, podman, notesOf(standIns, hub));
    await podman.sweep();
    // Only now: what stands in for a place keeps it from a container that runs.
    await sweepStandIns(standIns);
    const emptyDir = join(stateDir, 'empty');
    await mkdir(emptyDir, { recursive: true, mode: 0o755 });
    const seccomp = {
      plain: join(stateDir, 'seccomp.json'),
      withoutLocalSockets: join(stateDir, 'seccomp-without-local-sockets.json'),
    };
    for (const kind of ['plain', 'withoutLocalSockets'] as const)
      await writeFile(seccomp[kind], JSON.stringify(profiles[kind]), { mode: 0o600 });
    ok('podman', `podman is ${program}.`);
    const engine: Engine = {
      podman,
      hub,
      programs: createPrograms({
        path,
        node: options.node ?? process.execPath,
        python: options.python,
        emptyDir,
      }),
      seccomp,
      standIns: createStandIns(standIns, hub),
      forbidden: await Promise.all(options.forbidden.map((one) => realpath(one).catch(() => one))),
      covered: await inheritedDescriptors(),
      limited: true,
    };
    return { checks, engine };
  } catch (error) {
    return bad(
      'podman',
      `podman does not work here: ${wordsOf(error)}`,
      'Run `podman info`; what it prints is what is missing.',
    );
  }
}

async function selfTest(engine: Engine, options: ContainerOptions) {
  const remedy =
    'Look at what podman and its runtime say; another runtime can be named in the setting container.runtime.';
  try {
    const plan = await probePlan(options.stateDir, 'none');
    const probe = await launchContainer(engine, plan, { kind: 'account', ...UNPRIVILEGED }, NOTHING_HELD);
    const [probed, controllers] = await Promise.all([
      probeChecks(probe, UNPRIVILEGED.uid, remedy),
      limitsInForce(probe.pid),
    ]);
    return { probed, controllers };
  } catch (error) {
    if (error instanceof AppError) return { probed: [notRun(error.message, remedy)], controllers: [] };
    throw error;
  }
}

const NOTHING_HELD = { held: [], own: [], made: () => undefined };

async function launchContainer(
  engine: Engine,
  plan: SandboxPlan,
  standing: Standing,
  { held, own, made }: Pick<ContainerJob, 'held' | 'own' | 'made'>,
): Promise<SpawnedSandbox> {
  await refuseUnreadablePackage(plan, standing);
  const program = await programOf(engine, plan);
  const granted = await Promise.all(plan.programs.map((name) => engine.programs.named(name)));
  const { podman, hub, seccomp, forbidden, covered, limited } = engine;
  return startContainer({
    podman,
    hub,
    plan,
    entries: withoutRepetition([
      ...granted.flatMap(({ entries }) => entries),
      ...program.entries,
      // No certificates beside those of the machine: nothing in there reaches anybody.
      ...(await publicFiles({ certificates: undefined })),
      { source: await realpath(plan.packageDir), target: '/skill' },
    ]),
    held,
    own,
    forbidden,
    made,
    command: [...program.command, ...plan.runtime.args],
    env: withPaths(plan.env, program.env),
    covered,
    settings: {
      user: standing.kind === 'account' ? standing : INSIDE,
      seccomp: held.some(({ isData }) => !isData) ? seccomp.withoutLocalSockets : seccomp.plain,
      userns: undefined,
      limited,
      reservedMb: program.reservedMb,
    },
  });
}

/** As which account the skill runs. Root's own files stay root's: a container that owns them would be root's to the kernel. */
function standingOf(held: readonly HeldMount[]): Standing {
  const granted = held.filter(({ isData }) => !isData);
  const standing = standingFor(
    UNPRIVILEGED,
    granted.flatMap(({ rights }) => rights ?? []),
  );
  if (standing.kind === 'account') return standing;
  throw new AppError('binding-refused', {
    detail: `Only root may use ${granted.map(({ source }) => source).join(', ')}, and the container sandbox runs no skill as root.`,
    hint: `Give the folder to an account of its own, open it to the account ${nameOf(UNPRIVILEGED.uid)}, or use the setting sandbox: bwrap.`,
  });
}
