/** Keeps the network of a process open while calls of it are in flight. */
export interface OpenNetwork {
  /** A call begins. */
  called(): void;
  /** It is over. */
  answered(): void;
  /** There is a process now, and this is how its network is opened, until the answer is called. */
  made(enter: () => () => void): void;
}

/**
 * Open from the first call in flight to the last, those too that wait for the process to be made: a start is part of the
 * calls that asked for it.
 */
export function openWhileCalled(): OpenNetwork {
  let inFlight = 0;
  let open: (() => () => void) | undefined;
  let leave: (() => void) | undefined;
  return {
    called() {
      inFlight += 1;
      if (inFlight === 1) leave = open?.();
    },
    answered() {
      inFlight -= 1;
      if (inFlight > 0) return;
      leave?.();
      leave = undefined;
    },
    made(enter) {
      open = enter;
      if (inFlight > 0) leave = enter();
    },
  };
}
