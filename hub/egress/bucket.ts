import type { Clock } from '../clock.ts';

/** How much is let through in a second, and how much at once. */
export interface Rate {
  perSecond: number;
  atOnce: number;
}

/** A token bucket that no timer fills: it is reckoned when it is asked. */
export interface Bucket {
  /** Takes one out of it; false when it is empty. */
  take(): boolean;
  /** Takes out as much as has been used already, and answers with the milliseconds until that is made up for. */
  owe(amount: number): number;
}

export function bucketOf(clock: Clock, { perSecond, atOnce }: Rate): Bucket {
  let level = atOnce;
  let last = clock.now();
  function refill(): void {
    const now = clock.now();
    // A clock can be put back.
    level = Math.min(atOnce, level + (Math.max(0, now - last) / 1000) * perSecond);
    last = now;
  }
  return {
    take() {
      refill();
      if (level < 1) return false;
      level -= 1;
      return true;
    },
    owe(amount) {
      refill();
      level -= amount;
      return level >= 0 ? 0 : Math.ceil((-level / perSecond) * 1000);
    },
  };
}
