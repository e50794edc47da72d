import { holdPlaces } from './held-places.ts';
import type { HeldMount } from './mounts.ts';
import type { ProcessIdentity } from './processes.ts';
import type { SandboxPlan } from './sandbox.ts';
import type { SpawnedSandbox } from './spawn-sandbox.ts';
import type { StandIns } from './stand-ins.ts';
import { stayingMounted } from './watch-places.ts';

/** Starts a process with these mounts, parents first; `made` is told its first process once they are in place. */
export type Launch = (
  held: readonly HeldMount[],
  made: (first: ProcessIdentity) => void,
) => Promise<SpawnedSandbox>;

const START_ATTEMPTS = 3;

/**
 * Starts a plan whose granted folders are held open. What they leave out is mounted over them read-only; the
 * process ends when something of that does not hold any more.
 * @throws AppError `binding-refused` and `skill-start-failed`, and what `launch` throws.
 */
export async function startHeld(
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
