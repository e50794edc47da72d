import { totalmem } from 'node:os';
import type { Logger } from '../../protocol/node/logger.ts';
import type { Clock } from '../clock.ts';
import type { Child } from './child.ts';
import type { RunnerLimits } from './runner.ts';
import { type Resident, surplus } from './surplus.ts';

/** Between two looks at what skills take, and for each millisecond that the last one took. */
const LOOK_EVERY_MS = 10_000;
const PAUSE_PER_MS = 50;
/** The same while all of them rest: a machine that has nothing to do shall sleep. */
const LOOK_AT_REST_MS = 60_000;
/** The same where something has happened that is to be looked at soon: many skills may start at once. */
const SOON_MS = 100;
const SHORT_PAUSE_PER_MS = 10;
/** What a skill is taken to need until it is measured. */
export const STARTING_BYTES = 48 * 1024 * 1024;

export interface PoolParts {
  clock: Clock;
  limits: Pick<RunnerLimits, 'idleStopMs' | 'memoryBytes' | 'warmBytes'>;
  /** Bytes of the process trees below these numbers. */
  measure: (pids: readonly number[]) => Promise<ReadonlyMap<number, number>>;
  log: Logger;
}

/** Keeps the memory of running skills within its two bounds: that of all, and that of those that rest and stay ready. */
export interface Pool {
  /** From now on it is looked at. */
  entered(child: Child): void;
  /** One is ready: what it takes now is what it is charged for. */
  ready(): void;
  /** Nobody has called it for the idle time. */
  idled(child: Child): void;
  /** As measured last; 0 before that, and for what runs elsewhere. */
  bytesOf(child: Child): number;
  /** What all of them take. */
  bytes(): number;
  /** Who has to leave before another one starts; `fits` is false where that is still not enough. */
  forNewcomer(): { leave: readonly Child[]; fits: boolean };
  /** Whether one more could rest and stay ready. */
  hasWarmRoom(): boolean;
}

/** A pool that looks at its skills now and then, never at a call. */
export function createPool({ clock, limits, measure, log }: PoolParts): Pool {
  const sizes = new Map<Child, { bytes: number; firstBytes: number }>();
  const members = new Set<Child>();
  let looking = false;
  let lookAgain = false;
  /** When the next look is not too soon. */
  let restedAt = Number.NEGATIVE_INFINITY;
  let stopTimer = (): void => undefined;

  const hasLocal = () => [...members].some((child) => child.isLocal());
  const staying = () => [...members].filter((child) => child.state() !== 'stopping');

  function residentOf(child: Child): Resident & { child: Child } {
    const guess = child.isLocal() ? STARTING_BYTES : 0;
    const { bytes, firstBytes } = sizes.get(child) ?? { bytes: guess, firstBytes: guess };
    const idle = child.calls() === 0 && child.state() === 'ready';
    return { child, bytes, firstBytes, lastUsed: child.lastUsed(), idle };
  }

  function resting(child: Child): boolean {
    return child.calls() === 0 && child.mayRest() && clock.now() - child.lastUsed() >= limits.idleStopMs;
  }

  /** One look at a time; whatever asks for one meanwhile shares the next. */
  function lookSoon(): void {
    if (!hasLocal()) return;
    if (looking) lookAgain = true;
    else lookIn(restedAt - clock.now());
  }

  function lookIn(ms: number): void {
    stopTimer();
    if (ms > 0) stopTimer = clock.after(ms, look);
    else look();
  }

  function look(): void {
    // What it costs is real time, whatever is done to the clock of the day.
    const startedAt = performance.now();
    looking = true;
    void lookOnce()
      .catch((error: unknown) => log.error({ err: error }, 'the memory of skills could not be measured'))
      .finally(() => {
        const now = clock.now();
        const took = performance.now() - startedAt;
        looking = false;
        restedAt = now + Math.max(SOON_MS, SHORT_PAUSE_PER_MS * took);
        const usual = staying().every(resting) ? LOOK_AT_REST_MS : LOOK_EVERY_MS;
        if (hasLocal()) lookIn(lookAgain ? restedAt - now : Math.max(usual, PAUSE_PER_MS * took));
        lookAgain = false;
      });
  }

  async function lookOnce(): Promise<void> {
    const measured = [...members].filter((child) => child.isLocal() && child.state() === 'ready');
    const found = await measure(measured.map((child) => child.pid()));
    for (const child of measured) {
      const bytes = found.get(child.pid());
      if (bytes === undefined || !members.has(child)) continue;
      sizes.set(child, { bytes, firstBytes: sizes.get(child)?.firstBytes ?? bytes });
    }
    for (const { child } of surplus(staying().map(residentOf), limits.memoryBytes).leave)
      child.retire('its memory was needed');
    const rest = staying().filter(resting).map(residentOf);
    for (const { child } of surplus(rest, limits.warmBytes).leave) child.retire('it was idle');
  }

  return {
    entered(child) {
      members.add(child);
      void child.gone.then(() => {
        members.delete(child);
        sizes.delete(child);
        if (!hasLocal()) stopTimer();
      });
    },
    ready: lookSoon,
    idled(child) {
      // A conversation with somebody else’s server holds no memory worth keeping, only a line open.
      if (limits.warmBytes === 0 || !child.isLocal()) child.retire('it was idle');
      else lookSoon();
    },
    bytesOf: (child) => sizes.get(child)?.bytes ?? 0,
    bytes: () => [...members].reduce((sum, child) => sum + (sizes.get(child)?.bytes ?? 0), 0),
    forNewcomer() {
      const { leave, fits } = surplus(staying().map(residentOf), limits.memoryBytes, STARTING_BYTES);
      return { leave: leave.map(({ child }) => child), fits };
    },
    hasWarmRoom() {
      const taken = staying().reduce((sum, child) => sum + residentOf(child).bytes, STARTING_BYTES);
      return taken <= Math.min(limits.warmBytes, limits.memoryBytes);
    },
  };
}

/** The half of what this machine, or the container around the hub, has: what skills take together unless told otherwise. */
export function halfOfTheMemory(): number {
  const whole = totalmem();
  // 0, or more than there is, where nothing constrains it.
  const constrained = process.constrainedMemory();
  return Math.floor((constrained > 0 && constrained < whole ? constrained : whole) / 2);
}
