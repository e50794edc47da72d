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
import type { Egress } from '../egress/egress.ts';
import { launch, NICENESS, SHARED_PROCESSES } from './launch.ts';
import { type BwrapOptions, lookAtMachine, type Machine, type Problem, startHint } from './machine.ts';
import { holdPlaces, joinsParent } from './held-places.ts';
import {
  handOver,
  type HeldMount,
  holdMounts,
  makeFolder,
  makeFoldersBelow,
  refuseUnusable,
  releaseMounts,
} from './mounts.ts';
import type { Mount } from './mount-table.ts';
import { makeNetwork, type SandboxNetwork } from './network.ts';
import { withNetwork } from './network-session.ts';
import type { ProcessIdentity } from './processes.ts';
import { hostFilesOf } from './programs.ts';
import { createReadyNetworks } from './ready-networks.ts';
import type { Capability, SandboxDriver, SandboxPlan, SandboxReport } from './sandbox.ts';
import { faultOf, greetProbe, PROBE_PORTS, probePlan } from './self-test.ts';
import type { SpawnedSandbox } from './spawn-sandbox.ts';
import { ownMountTable } from './verify-mounts.ts';
import { stayingMounted } from './watch-places.ts';
import type { Tracer } from './tracer.ts';

/** What root's skills run as where nothing else is needed (docs/adr/0002-sandbox-as-root.md). */
const UNPRIVILEGED: Account = NOBODY;

/** Why hosts cannot be granted: that nothing here serves them is no fault to speak of. */
type NetworkFault = { words: string } | typeof NO_EGRESS | undefined;
const NO_EGRESS = 'no egress';

/** The loader obeys these, and the launcher inside starts before it has given up its rights. */
const LOADER_VARIABLE = /^(?:LD_|GLIBC_|GCONV_PATH$|LOCPATH$|NLSPATH$)/;

/** A driver that makes networks ahead of their use. */
export interface BwrapDriver extends SandboxDriver {
  /** From now on keeps a network ready for each of these lists of ports, and no other. */
  keepReady(ports: readonly (readonly number[])[]): void;
  /** Drops the networks that nobody used. */
  close(): Promise<void>;
}

/**
 * The sandbox of Linux: bubblewrap, a system call filter, resource limits and, where the hub is root,
 * control groups and an unprivileged account. It answers for what it reports, because its first
 * report runs a probe in it; nothing runs while that fails.
 */
export function createBwrapDriver({
  log,
  egress,
  tracer,
  ...options
}: BwrapOptions & {
  log: Logger;
  /** Serves the networks of sandboxes; absent: no hosts can be granted, and nothing is looked at for it. */
  egress?: Egress;
  /** Watches what is started, for learn runs alone; a hub that serves has none. */
  tracer?: Tracer;
}): BwrapDriver {
  let looked: Promise<Found> | undefined;
  const dataFolders = new Map<string, { uid: number; users: number }>();
  const found = () => (looked ??= findOut(options, egress !== undefined));
  const networks = createReadyNetworks({
    make: async (ports) => makeNetwork((await usable()).machine, ports),
    failed: (error) => log.warn({ err: error }, 'could not make a network ahead of its use'),
  });

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
      refuseLoaderVariables(plan);
      const border =
        egress !== undefined && report.enforces.includes('hostFilter') ? { egress, networks } : undefined;
      await makeDataMounts(plan);
      const table = await ownMountTable();
      const granted = await holdMounts(
        { forbidden: machine.forbidden, dataDir: plan.dataDir, table },
        plan.mounts,
      );
      try {
        const standing = await standingOf(machine, rootFiles, granted);
        const leave = await enterDataFolder(dataFolders, plan, standing);
        try {
          const process = await withNetwork(border, plan, (network) =>
            startHeld(machine, plan, standing, { granted, table, network, tracer }),
          );
          void process.exited.then(leave);
          log.debug({ skill: plan.label, pid: process.pid, standing: standing.kind }, 'sandbox started');
          return process;
        } catch (error) {
          leave();
          throw error;
        }
      } finally {
        await releaseMounts(granted);
      }
    },

    async makeOwned(path) {
      const { machine } = await usable();
      await makeFolder(path, machine.root ? UNPRIVILEGED : undefined);
    },

    async describeMount(mount, all = [mount]) {
      const { machine, rootFiles } = await usable();
      if (joinsParent(mount, all)) return undefined;
      const rules = { forbidden: machine.forbidden, table: await ownMountTable() };
      // One by itself is held as a skill with this grant alone would hold it; together they may exclude each other.
      const held = await holdMounts(rules, [mount]);
      try {
        if (all.length > 1) await releaseMounts(await holdMounts(rules, all));
        return describeStanding(await standingOf(machine, rootFiles, held), UNPRIVILEGED);
      } finally {
        await releaseMounts(held);
      }
    },

    async hostFiles(plan) {
      const { machine } = await usable();
      return hostFilesOf(machine.programs, plan);
    },

    keepReady(lists) {
      void found().then(
        ({ report }) => report.enforces.includes('hostFilter') && networks.keep(lists),
        () => undefined,
      );
    },
    close: () => networks.close(),
  };
}

interface Found {
  /** Undefined where something is missing. */
  machine: Machine | undefined;
  report: SandboxReport;
  /** Whether a skill may keep root's file ownership here. */
  rootFiles: boolean;
}

async function findOut(options: BwrapOptions, wantsNetworks: boolean): Promise<Found> {
  const machine = await lookAtMachine(options);
  if (!('bwrap' in machine)) return { machine: undefined, report: unusable(machine), rootFiles: false };
  const fault = await selfTest(machine, options, mainStanding(machine));
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
  const hosts = wantsNetworks ? await networkFault(machine, options) : NO_EGRESS;
  return { machine, report: reportOf(machine, rootFiles, hosts), rootFiles };
}

async function networkFault(machine: Machine, options: BwrapOptions): Promise<NetworkFault> {
  if (machine.nsenter === undefined) return { words: 'nsenter (util-linux) is not on the PATH' };
  try {
    const network = await makeNetwork(machine, PROBE_PORTS);
    try {
      greetProbe(network.listeners);
      const words = await selfTest(machine, options, mainStanding(machine), network);
      return words === undefined ? undefined : { words };
    } finally {
      await network.close();
    }
  } catch (error) {
    if (error instanceof AppError) return { words: error.message.replace(/\.$/, '') };
    throw error;
  }
}

function mainStanding({ root }: Machine): Standing {
  return root ? { kind: 'account', ...UNPRIVILEGED } : { kind: 'own' };
}

async function selfTest(
  machine: Machine,
  options: BwrapOptions,
  standing: Standing,
  network?: SandboxNetwork,
): Promise<string | undefined> {
  try {
    const plan = await probePlan(options.stateDir, network === undefined ? 'none' : 'own');
    const probe = await launch(machine, plan, standing, { held: [], own: [], network });
    return await faultOf(probe, standing);
  } catch (error) {
    if (error instanceof AppError) return error.message.replace(/\.$/, '');
    throw error;
  }
}

function unusable(problem: Problem): SandboxReport {
  return { driver: 'bwrap', usable: false, problem, enforces: [], notes: [] };
}

function reportOf(machine: Machine, rootFiles: boolean, hosts: NetworkFault): SandboxReport {
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
    ...(hosts === undefined
      ? ['Skills reach the hosts that were granted to them, and no other: the hub makes each connection.']
      : []),
    ...(typeof hosts === 'object'
      ? [`Skills that need a network cannot run here, for it cannot be limited to hosts: ${hosts.words}.`]
      : []),
    'A skill that may write in a folder finds read-only what other programs run there; for what does not exist, empty stand-ins lie in the folder while it runs.',
    'A skill that was granted a folder of this machine has no local (Unix) sockets.',
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
    enforces: [
      ...(['files', 'network'] as const),
      ...(hosts === undefined ? (['hostFilter'] as const) : []),
      ...(['syscalls', 'disk', 'subprocess'] as const),
      ...bounded,
    ],
    notes,
  };
}

function refuseLoaderVariables(plan: SandboxPlan): void {
  const loader = Object.keys(plan.env).find((name) => LOADER_VARIABLE.test(name));
  if (loader !== undefined) {
    throw new AppError('binding-refused', {
      detail: `${plan.label} may not be given the variable ${loader}: it changes how programs are loaded.`,
      hint: 'Revoke that permission.',
    });
  }
}

const START_ATTEMPTS = 3;

/**
 * Starts a plan whose granted folders are held open. What they leave out is mounted over them read-only; the
 * process ends when something of that does not hold any more.
 */
async function startHeld(
  machine: Machine,
  plan: SandboxPlan,
  standing: Standing,
  {
    granted,
    table,
    ...around
  }: {
    granted: readonly HeldMount[];
    table: readonly Mount[];
    network: SandboxNetwork | undefined;
    tracer: Tracer | undefined;
  },
  attempts = START_ATTEMPTS,
): Promise<SpawnedSandbox> {
  if (plan.readOnly === true) {
    const held = granted.map((mount) => ({ ...mount, mode: 'r' as const }));
    return launch(machine, plan, standing, { held, own: table, ...around });
  }
  const places = await holdPlaces(machine.standIns, granted, plan.mounts);
  const start = (made: (first: ProcessIdentity) => void) => {
    const held = [...granted, ...places.mounts].toSorted((a, b) => (a.target < b.target ? -1 : 1));
    return launch(machine, plan, standing, { held, own: table, ...around, made });
  };
  try {
    return await stayingMounted(places, start);
  } catch (error) {
    await places.release();
    // Somebody tidied up in this very moment, such as the guard of a hub that was killed.
    if (attempts > 1 && (await areGone(places.mounts)))
      return await startHeld(machine, plan, standing, { granted, table, ...around }, attempts - 1);
    throw error;
  } finally {
    await places.close();
  }
}

async function areGone(mounts: readonly HeldMount[]): Promise<boolean> {
  const links = await Promise.all(mounts.map(async ({ handle }) => (await handle.stat()).nlink));
  return links.includes(0);
}

/** As which account the skill runs, from the folders that an admin granted; the hub's own adapt to it. */
async function standingOf(
  machine: Machine,
  rootFiles: boolean,
  held: readonly HeldMount[],
): Promise<Standing> {
  const granted = held.filter(({ isData }) => !isData);
  if (!machine.root) {
    await Promise.all(granted.map(refuseUnusable));
    return { kind: 'own' };
  }
  const standing = standingFor(
    UNPRIVILEGED,
    granted.flatMap(({ rights }) => rights ?? []),
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
    if (dataDir !== undefined && root === dataDir) await makeFoldersBelow(dataDir, source);
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
