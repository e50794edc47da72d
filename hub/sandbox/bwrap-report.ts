import { AppError } from '../../protocol/errors.ts';
import { type Account, nameOf, NOBODY, type Standing } from './accounts.ts';
import { launch, NICENESS, SHARED_PROCESSES } from './launch.ts';
import { type BwrapOptions, lookAtMachine, type Machine } from './machine.ts';
import { makeNetwork, type SandboxNetwork } from './network.ts';
import { installHint, lookForObstacles, remedyFor } from './prerequisites.ts';
import type { Capability, SandboxCheck, SandboxReport } from './sandbox.ts';
import {
  greetProbe,
  hostFilterChecks,
  notRun,
  PROBE_PORTS,
  probeChecks,
  probePlan,
  uidInside,
} from './self-test.ts';

/** What root's skills run as where nothing else is needed (docs/adr/0002-sandbox-as-root.md). */
export const UNPRIVILEGED: Account = NOBODY;

/** What a driver knows of its machine, and says of it. */
export interface Found {
  /** Undefined where something is missing. */
  machine: Machine | undefined;
  report: SandboxReport;
  /** Whether a skill may keep root's file ownership here. */
  rootFiles: boolean;
}

/** Looks at the machine and runs the probe in each form that is used; with networks only where they are wanted. */
export async function findOut(options: BwrapOptions, wantsNetworks: boolean): Promise<Found> {
  const { checks, machine } = await lookAtMachine(options);
  const { requires = [] } = options;
  if (machine === undefined) return { machine, report: reportOf(checks, [], [], requires), rootFiles: false };
  const { groups, ...without } = machine;
  // Whether an ordinary account may also move processes into the groups that it may make, only trying tells.
  const attempts =
    groups === undefined || machine.root ? [machine] : [machine, { ...without, groups: undefined }];
  for (const attempt of attempts) {
    const probed = await selfTest(attempt, options, mainStanding(attempt));
    const fails = probed.some(({ state }) => state === 'bad');
    if (fails && attempt !== attempts.at(-1)) continue;
    const rootFiles = !fails && (await holdsRootFiles(attempt, options));
    const hosts = wantsNetworks && !fails ? await networkChecks(attempt, options) : undefined;
    const { enforces, notes, limits } = whatHolds(attempt, rootFiles, hosts);
    return {
      machine: attempt,
      report: reportOf([...checks, ...probed, ...(hosts ?? []), ...limits], enforces, notes, requires),
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

function mainStanding({ root }: Machine): Standing {
  return root ? { kind: 'account', ...UNPRIVILEGED } : { kind: 'own' };
}

/** What granting hosts stands on; all is `ok`, or hosts cannot be granted here. */
async function networkChecks(machine: Machine, options: BwrapOptions): Promise<SandboxCheck[]> {
  if (machine.nsenter === undefined) {
    return [
      {
        id: 'host-filter-nsenter',
        state: 'note',
        detail: 'nsenter is not on the PATH; without it no hosts can be granted.',
        remedy: await installHint('util-linux', options.path, machine.root),
      },
    ];
  }
  try {
    const network = await makeNetwork(machine, PROBE_PORTS);
    try {
      greetProbe(network.listeners);
      return hostFilterChecks(await selfTest(machine, options, mainStanding(machine), network));
    } finally {
      await network.close();
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const detail = `A network that leads to the hub alone cannot be made: ${error.message}`;
    const remedy = error.hint ?? remedyFor(await lookForObstacles(options.path));
    return [{ id: 'host-filter-network', state: 'note', detail, remedy }];
  }
}

async function selfTest(
  machine: Machine,
  options: BwrapOptions,
  standing: Standing,
  network?: SandboxNetwork,
): Promise<SandboxCheck[]> {
  const remedy = remedyFor(await lookForObstacles(options.path));
  try {
    const plan = await probePlan(options.stateDir, network === undefined ? 'none' : 'own');
    const probe = await launch(machine, plan, standing, { held: [], own: [], network });
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

/** Control groups are what bounds a whole process tree. */
const GROUPS_REMEDY =
  'Run the hub as a systemd service with Delegate=yes (systemd-run --user --scope -p Delegate=yes berth up), or as root.';

/** What of a sandbox that holds depends on the machine; `hosts` is undefined where nobody asked for networks. */
function whatHolds(machine: Machine, rootFiles: boolean, hosts: readonly SandboxCheck[] | undefined) {
  const bounded = new Set<Capability>([
    ...(machine.root ? [] : (['pids'] as const)),
    ...(machine.groups?.enforces ?? []),
  ]);
  const limits = (['memory', 'cpu', 'pids'] as const).map((id): SandboxCheck => {
    if (bounded.has(id)) return { id: `limit-${id}`, state: 'ok', detail: BOUND[id] };
    return { id: `limit-${id}`, state: 'note', detail: UNBOUND[id], remedy: GROUPS_REMEDY };
  });
  const hostFault = hosts?.find(({ state }) => state !== 'ok');
  const holdsHosts = hosts !== undefined && hostFault === undefined;
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
    ...(holdsHosts
      ? ['Skills reach the hosts that were granted to them, and no other: the hub makes each connection.']
      : []),
    ...(hostFault === undefined
      ? []
      : [
          `Skills that need a network cannot run here, for it cannot be limited to hosts: ${hostFault.detail}`,
        ]),
    ...FOLDER_NOTES,
    'Disk use is bounded in scratch folders; what a skill writes into granted folders and its data folder is not counted.',
    ...limits.filter(({ id, state }) => id === 'limit-cpu' || state === 'note').map(({ detail }) => detail),
    ...(machine.orphansEnded > 0
      ? [`Ended ${machine.orphansEnded} sandboxes that a hub had left behind.`]
      : []),
  ];
  const enforces: Capability[] = [
    ...(['files', 'network'] as const),
    ...(holdsHosts ? (['hostFilter'] as const) : []),
    ...(['syscalls', 'disk', 'subprocess'] as const),
    ...bounded,
  ];
  return { enforces, notes, limits };
}

/** What every driver says that holds granted folders. */
export const FOLDER_NOTES = [
  'A skill that may write in a folder finds read-only what other programs run there; for what does not exist, empty stand-ins lie in the folder while it runs.',
  'A skill that was granted a folder of this machine has no local (Unix) sockets.',
];

const UNBOUND = {
  memory: 'Memory is bounded for each process of a skill, not for all of them together.',
  cpu: `Processor time is not bounded; where it is short, the hub comes before its skills (nice ${NICENESS}).`,
  pids: `All skills together may have ${SHARED_PROCESSES} processes; there is no bound for each.`,
};
const BOUND = {
  memory: 'Memory is bounded for all processes of a skill together.',
  cpu: 'Where processor time is short, the hub comes before its skills, and a skill that answers before one that does not.',
  pids: 'The number of processes is bounded for each skill.',
};
