/** Values by key that are made at their first use and kept for the next. Those in use stay, whatever the limit. */
export interface Kept<T> {
  /** The value of a key, in use until `release` is called. */
  take(key: string, make: () => T): { value: T; release(): void };
  /** Forgets what fits, in use or not, and answers with it. */
  drop(fits: (value: T) => boolean): T[];
  /** How many there are. */
  size(): number;
}

/** Keeps at most `idle` values that nobody uses: those that were used last. */
export function keepRecent<T>(idle: number): Kept<T> {
  const inUse = new Map<string, { value: T; users: number }>();
  /** In the order in which they were used last. */
  const unused = new Map<string, T>();

  return {
    take(key, make) {
      const entry = inUse.get(key) ?? { value: unused.get(key) ?? make(), users: 0 };
      unused.delete(key);
      inUse.set(key, entry);
      entry.users += 1;
      let released = false;
      return {
        value: entry.value,
        release() {
          if (released) return;
          released = true;
          entry.users -= 1;
          // Dropped meanwhile, maybe made anew: then there is nothing to keep.
          if (entry.users > 0 || inUse.get(key) !== entry) return;
          inUse.delete(key);
          unused.set(key, entry.value);
          const [oldest] = unused.keys();
          if (unused.size > idle && oldest !== undefined) unused.delete(oldest);
        },
      };
    },
    drop(fits) {
      const dropped = [
        ...[...inUse].map(([key, { value }]) => ({ from: inUse, key, value })),
        ...[...unused].map(([key, value]) => ({ from: unused, key, value })),
      ].filter(({ value }) => fits(value));
      for (const { from, key } of dropped) from.delete(key);
      return dropped.map(({ value }) => value);
    },
    size: () => inUse.size + unused.size,
  };
}
