import type { AppError } from '../protocol/errors.ts';

/** Time, handed in: what waits or expires asks this and never the machine, so that tests need no sleeping. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs `act` once after so many milliseconds, unless the returned function is called before. */
  after(ms: number, act: () => void): () => void;
}

/** The machine's own time. A timer that waits keeps no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** The outcome of `work`, or the failure `late()` once `ms` have passed. The work itself is not stopped. */
export async function within<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  late: () => AppError,
): Promise<T> {
  let stopWaiting = (): void => undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    stopWaiting = clock.after(ms, () => reject(late()));
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    stopWaiting();
  }
}

/** Now, as records keep it: RFC 3339 in UTC. */
export function timestamp(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}
