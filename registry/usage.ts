import type { Digest } from '../protocol/canonical.ts';
import type { Logger } from '../protocol/node/logger.ts';
import type { Store } from './store/store.ts';

const FLUSH_INTERVAL_MS = 5_000;

/** Counts what happens often, so that it costs one transaction every few seconds. A crash loses that much. */
export interface Usage {
  downloaded(digest: Digest): void;
  tokenUsed(tokenId: string): void;
  flush(): Promise<void>;
  /** Stops counting and writes the rest. */
  stop(): Promise<void>;
}

/** Counts in memory and writes to the store. */
export function usageCounter({
  store,
  clock,
  log,
}: {
  store: Pick<Store, 'recordUse'>;
  clock: () => Date;
  log: Logger;
}): Usage {
  let downloads = new Map<Digest, number>();
  let tokens = new Map<string, string>();
  const flush = async (): Promise<void> => {
    if (downloads.size === 0 && tokens.size === 0) return;
    const use = { day: clock().toISOString().slice(0, 10), downloads, tokens };
    downloads = new Map();
    tokens = new Map();
    await store.recordUse(use);
  };
  const timer = setInterval(() => {
    flush().catch((error: unknown) =>
      log.warn({ err: error }, 'downloads of the last seconds were not counted'),
    );
  }, FLUSH_INTERVAL_MS);
  timer.unref();
  return {
    downloaded: (digest) => void downloads.set(digest, (downloads.get(digest) ?? 0) + 1),
    tokenUsed: (tokenId) => void tokens.set(tokenId, clock().toISOString()),
    flush,
    stop: async () => {
      clearInterval(timer);
      await flush();
    },
  };
}
