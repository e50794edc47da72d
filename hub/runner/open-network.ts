/** Keeps the network of a process open while calls of it are in flight. */
export interface OpenNetwork {
  /** A call begins; the answer says that it is over. */
  called(): () => void;
  /** There is a process now, and this is how its network is opened. */
  made(enter: () => () => void): void;
}

/**
 * Each call opens the network by itself, those too that wait for the process to be made: a start is part of the calls
 * that asked for it.
 */
export function openWhileCalled(): OpenNetwork {
  const inFlight = new Set<{ leave: (() => void) | undefined }>();
  let open: (() => () => void) | undefined;
  return {
    called() {
      const call = { leave: open?.() };
      inFlight.add(call);
      return () => {
        inFlight.delete(call);
        call.leave?.();
      };
    },
    made(enter) {
      open = enter;
      for (const call of inFlight) call.leave = enter();
    },
  };
}
