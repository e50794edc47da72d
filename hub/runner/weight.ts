import type { Clock } from '../clock.ts';
import type { Weight } from '../sandbox/sandbox.ts';

/** With calls in flight and without any answer for so long, a skill is taken for one that computes or hangs. */
const SILENT_MS = 250;

/** Follows whether a skill answers, and weighs it by that. */
export interface Weighing {
  /** A call is on its way to it. */
  called(): void;
  /** It has answered one. */
  answered(): void;
}

/**
 * A skill that answers comes before one that only works: where processors are short, what spins or multiplies costs
 * those least who are quick. `inFlight` says how many calls wait. A long computation loses nothing where nobody else
 * wants the processor, and a start is never put back: somebody waits for it.
 */
export function weighing({
  clock,
  inFlight,
  weigh,
}: {
  clock: Pick<Clock, 'after'>;
  inFlight: () => number;
  weigh: (weight: Weight) => void;
}): Weighing {
  let answers = 0;
  let watching = false;
  let light = false;

  function watch(): void {
    watching = true;
    const seen = answers;
    // One timer, not one for each call: this is the hot path.
    clock.after(SILENT_MS, () => {
      watching = false;
      if (inFlight() === 0) return;
      if (answers === seen && !light) {
        light = true;
        weigh('background');
      }
      watch();
    });
  }

  return {
    called() {
      if (!watching) watch();
    },
    answered() {
      answers += 1;
      if (!light) return;
      light = false;
      weigh('answering');
    },
  };
}
