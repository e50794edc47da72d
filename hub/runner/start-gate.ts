import type { Clock } from '../clock.ts';

/** A start that takes longer is most likely waiting, not computing: it lets others begin. */
const HELD_MS = 1_000;

/** Lets only so many starts compute at once. */
export interface StartGate {
  /** Resolves when this one may begin, with what is to be called when it is done. */
  enter(): Promise<() => void>;
}

/**
 * Starts have turns: processors that all share make each take as long as all of them together, and then none is ready
 * in its time. Nobody keeps a turn for long, so that a skill that hangs at its start holds up no other.
 */
export function startGate({ clock, places }: { clock: Pick<Clock, 'after'>; places: number }): StartGate {
  const waiting: (() => void)[] = [];
  let free = places;

  function begin(): () => void {
    free -= 1;
    let held = true;
    const leave = (): void => {
      if (!held) return;
      held = false;
      stopTimer();
      free += 1;
      waiting.shift()?.();
    };
    const stopTimer = clock.after(HELD_MS, leave);
    return leave;
  }

  return {
    enter() {
      if (free > 0) return Promise.resolve(begin());
      return new Promise((resolve) => waiting.push(() => resolve(begin())));
    },
  };
}
