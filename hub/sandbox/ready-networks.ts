import type { Clock } from '../clock.ts';
import type { SandboxNetwork } from './network.ts';

/** Networks that were made before anybody needs them. */
export interface ReadyNetworks {
  /** One with these ports, made now where none is ready. The caller closes it. @throws AppError what `make` throws. */
  take(ports: readonly number[]): Promise<SandboxNetwork>;
  /** From now on keeps one ready for each of these lists of ports, and no other. */
  keep(wanted: readonly (readonly number[])[]): void;
  /** Makes what is missing, one after the other, once what has just been started had time to start. */
  refill(): void;
  /** Closes those that nobody took, and makes no more. */
  close(): Promise<void>;
}

/** Each costs the hub a few descriptors; whoever has more skills with a network waits for it at a start. */
export const MAX_READY = 32;
/** A skill that starts needs the processors for itself. */
const REFILL_DELAY_MS = 1_000;

/**
 * A network has nothing of a skill in it but the numbers of its ports, so that it can be made ahead, while nobody
 * waits: that takes the start of a Node, which is most of what a skill with a network would start later.
 */
export function createReadyNetworks({
  make,
  after,
  failed,
}: {
  after: Clock['after'];
  make: (ports: readonly number[]) => Promise<SandboxNetwork>;
  /** Told of one that could not be made ahead; the start that needs it tries again. */
  failed: (error: unknown) => void;
}): ReadyNetworks {
  const ready = new Map<string, SandboxNetwork>();
  let wanted = new Map<string, readonly number[]>();
  let filling: Promise<void> | undefined;
  let closed = false;
  let stopWaiting: (() => void) | undefined;

  async function fill(): Promise<void> {
    for (;;) {
      const [key, ports] = [...wanted].find(([one]) => !ready.has(one)) ?? [];
      if (closed || key === undefined || ports === undefined) return;
      const made = await make(ports);
      // While it was made it may have become useless.
      if (closed || !wanted.has(key) || ready.has(key)) await made.close();
      else ready.set(key, made);
    }
  }

  function fillNow(): void {
    stopWaiting?.();
    stopWaiting = undefined;
    filling ??= fill()
      .catch(failed)
      .finally(() => (filling = undefined));
  }

  return {
    async take(ports) {
      const [key, own] = entryOf(ports);
      const found = ready.get(key);
      if (found === undefined) return make(own);
      ready.delete(key);
      return found;
    },
    keep(lists) {
      wanted = new Map([...new Map(lists.map(entryOf))].slice(0, MAX_READY));
      for (const [key, network] of ready) {
        if (wanted.has(key)) continue;
        ready.delete(key);
        network.close().catch(failed);
      }
      fillNow();
    },
    refill() {
      stopWaiting ??= after(REFILL_DELAY_MS, fillNow);
    },
    async close() {
      closed = true;
      stopWaiting?.();
      await filling;
      await Promise.all([...ready.values()].map((network) => network.close()));
      ready.clear();
    },
  };
}

/** The same ports are the same list, in whatever order and however often they are named. */
function entryOf(ports: readonly number[]): [string, readonly number[]] {
  const own = [...new Set(ports)].sort((a, b) => a - b);
  return [own.join(','), own];
}
