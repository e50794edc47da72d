/** Runs pieces of work with the same key one after the other; different keys don't wait for each other. */
export type InLane = <T>(key: string, work: () => Promise<T>) => Promise<T>;

/** New lanes, all empty. A piece that fails does not stop the ones behind it. */
export function lanes(): InLane {
  const tails = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const tail = mine.catch(() => undefined);
    tails.set(key, tail);
    try {
      return await mine;
    } finally {
      if (tails.get(key) === tail) tails.delete(key);
    }
  };
}
