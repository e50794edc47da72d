import type { Logger } from '../../protocol/node/logger.ts';
import type { Standing } from './accounts.ts';
import { type DataFolders, makeDataMounts } from './data-folders.ts';
import { holdPlaces } from './held-places.ts';
import { type HeldMount, holdMounts, releaseMounts } from './mounts.ts';
import type { Mount } from './mount-table.ts';
import type { ProcessIdentity } from './processes.ts';
import type { SandboxedProcess, SandboxPlan } from './sandbox.ts';
import type { SpawnedSandbox } from './spawn-sandbox.ts';
import type { StandIns } from './stand-ins.ts';
import { ownMountTable } from './verify-mounts.ts';
import { stayingMounted } from './watch-places.ts';

/** Starts a process with these mounts, parents first; `made` is told its first process once they are in place. */
export type Launch = (
  held: readonly HeldMount[],
  made: (first: ProcessIdentity) => void,
) => Promise<SpawnedSandbox>;

/** What starts have in common, whatever holds the process. */
export interface StartParts {
  forbidden: readonly string[];
  standIns: StandIns;
  dataFolders: DataFolders;
  /** As which account it runs, from its folders. @throws AppError `binding-refused`. */
  standingOf(held: readonly HeldMount[]): Standing | Promise<Standing>;
  log: Logger;
}

/** The folders of one start, and how to start with them. */
export interface Start {
  standing: Standing;
  /** What is mounted where for the hub. */
  own: readonly Mount[];
  /** Starts it with its folders held, and what they leave out. */
  held(launch: Launch): Promise<SpawnedSandbox>;
}

/**
 * Starts a plan: its folders are made or looked at and held open until the process has them, and the data folder is
 * its account's as long as it runs.
 * @throws AppError `binding-refused` and `skill-start-failed`, and what `run` throws.
 */
export async function startPlan(
  { forbidden, standIns, dataFolders, standingOf, log }: StartParts,
  plan: SandboxPlan,
  run: (start: Start) => Promise<SpawnedSandbox & SandboxedProcess>,
): Promise<SandboxedProcess> {
  await makeDataMounts(plan);
  const own = await ownMountTable();
  const granted = await holdMounts({ forbidden, dataDir: plan.dataDir, table: own }, plan.mounts);
  let started: SpawnedSandbox & SandboxedProcess;
  try {
    const standing = await standingOf(granted);
    const leave = await dataFolders.enter(plan, standing);
    try {
      started = await run({
        standing,
        own,
        held: (launch) => startHeld(standIns, plan, granted, launch),
      });
    } catch (error) {
      leave();
      throw error;
    }
    void started.exited.then(leave);
    log.debug({ skill: plan.label, pid: started.pid, standing: standing.kind }, 'sandbox started');
  } finally {
    await releaseMounts(granted);
  }
  const { handOver, ...process } = started;
  handOver();
  return process;
}

const START_ATTEMPTS = 3;

/**
 * Starts a plan whose granted folders are held open. What they leave out is mounted over them read-only; the
 * process ends when something of that does not hold any more.
 * @throws AppError `binding-refused` and `skill-start-failed`, and what `launch` throws.
 */
async function startHeld(
  standIns: StandIns,
  plan: SandboxPlan,
  granted: readonly HeldMount[],
  launch: Launch,
  attempts = START_ATTEMPTS,
): Promise<SpawnedSandbox> {
  if (plan.readOnly === true) {
    return launch(
      granted.map((mount) => ({ ...mount, mode: 'r' as const })),
      () => undefined,
    );
  }
  const places = await holdPlaces(standIns, granted, plan.mounts);
  const held = [...granted, ...places.mounts].toSorted((a, b) => (a.target < b.target ? -1 : 1));
  try {
    return await stayingMounted(places, (made) => launch(held, made));
  } catch (error) {
    await places.release();
    // Somebody tidied up in this very moment, such as the guard of a hub that was killed.
    if (attempts > 1 && (await areGone(places.mounts)))
      return await startHeld(standIns, plan, granted, launch, attempts - 1);
    throw error;
  } finally {
    await places.close();
  }
}

async function areGone(mounts: readonly HeldMount[]): Promise<boolean> {
  const links = await Promise.all(mounts.map(async ({ handle }) => (await handle.stat()).nlink));
  return links.includes(0);
}
