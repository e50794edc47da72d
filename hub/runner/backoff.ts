import type { Clock } from '../clock.ts';

/** How often in a row something has failed, and how long it is left alone for that. */
export interface Backoff {
  /** Milliseconds until the next start, 0 for at once; and how many failures in a row led to it. */
  wait(key: string): { ms: number; failures: number };
  failed(key: string): void;
  /** It worked: the row is broken. */
  worked(key: string): void;
}

/**
 * The first failure costs nothing, for a single crash shall not be felt; from the second on the wait
 * doubles from `firstMs` up to `maxMs`. A row is forgotten when nothing happened for twice the longest wait.
 */
export function createBackoff({
  clock,
  firstMs,
  maxMs,
}: {
  clock: Pick<Clock, 'now'>;
  firstMs: number;
  maxMs: number;
}): Backoff {
  const rows = new Map<string, { failures: number; last: number }>();

  function rowOf(key: string): { failures: number; last: number } | undefined {
    const row = rows.get(key);
    if (row === undefined || clock.now() - row.last <= 2 * maxMs) return row;
    rows.delete(key);
    return undefined;
  }

  return {
    wait(key) {
      const row = rowOf(key);
      if (row === undefined || row.failures < 2) return { ms: 0, failures: row?.failures ?? 0 };
      const pause = Math.min(maxMs, firstMs * 2 ** (row.failures - 2));
      // Never longer than the pause, for a clock can be put back.
      const ms = Math.min(pause, Math.max(0, row.last + pause - clock.now()));
      return { ms, failures: row.failures };
    },
    failed(key) {
      for (const other of rows.keys()) rowOf(other);
      rows.set(key, { failures: (rowOf(key)?.failures ?? 0) + 1, last: clock.now() });
    },
    worked: (key) => void rows.delete(key),
  };
}
