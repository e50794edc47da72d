import { lookup } from 'node:dns/promises';
import type { Clock } from '../clock.ts';
import { LOOKUP_MS, LOOKUPS_OF_HUB, LOOKUPS_OF_SESSION } from './limits.ts';

/** Where a name leads to. */
export interface Address {
  address: string;
  family: number;
}

/** Asks the world outside where a name leads to; rejects where it leads nowhere. */
export type Resolve = (host: string) => Promise<readonly Address[]>;

/** As every other program of this machine resolves names. */
export const systemResolve: Resolve = (host) => lookup(host, { all: true });

/** A session's own way to ask. Nothing is answered where a name leads nowhere, or nobody says in time where to. */
export type Lookup = (host: string) => Promise<readonly Address[]>;

/** A look-up for each session; what is asked of all of them together is bounded. */
export function lookups({ resolve, clock }: { resolve: Resolve; clock: Clock }): () => Lookup {
  const ofHub = turns(LOOKUPS_OF_HUB);
  return () => {
    const ofSession = turns(LOOKUPS_OF_SESSION);
    return (host) =>
      new Promise((answer) => {
        let isLate = false;
        const stopWaiting = clock.after(LOOKUP_MS, () => {
          isLate = true;
          answer([]);
        });
        const found = (addresses: readonly Address[]): void => {
          stopWaiting();
          answer(addresses);
        };
        void ofSession(() => ofHub(async () => (isLate ? [] : resolve(host)))).then(found, () => found([]));
      });
  };
}

/**
 * Lets so many at work at once. A look-up that was given up still holds its place until it ends, as it holds its thread:
 * names whose servers never answer stop the skill that asks for them, and nobody else.
 */
function turns(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let working = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (working >= most) await new Promise<void>((goOn) => void waiting.push(goOn));
    else working += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) working -= 1;
      else next();
    }
  };
}
