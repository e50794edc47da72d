import { z } from 'zod';
import { AppError } from '../errors.ts';

/** Tokens a minute, and how many may be saved up. */
export interface BucketSize {
  perMinute: number;
  burst: number;
}

/** The settings of one kind of bucket, with their defaults. */
export const bucketSettings = (perMinute: number, burst: number, whose: string) =>
  z
    .strictObject({
      perMinute: z.number().positive().default(perMinute).describe(`Requests a minute for ${whose}.`),
      burst: z.int().min(1).default(burst).describe(`Requests at once for ${whose}.`),
    })
    .prefault({});

/** What a request finds in its bucket, for the `RateLimit-*` headers. */
interface RateState {
  limit: number;
  remaining: number;
  /** Seconds until the bucket is full again. */
  resetSeconds: number;
}

export interface RateLimiter {
  /** Takes one request out of a bucket; `rate-limited` with `retryAfterSeconds` when it is empty. */
  take(key: string, size: BucketSize): RateState;
}

/** Buckets that are kept; the least recently used go first. A full bucket loses nothing by going. */
const MAX_BUCKETS = 10_000;

/** Token buckets in memory, one for each key. No timer fills them: a bucket is reckoned when it is asked. */
export function rateLimiter({ now: readClock }: { now: () => number }): RateLimiter {
  const buckets = new Map<string, { level: number; at: number }>();
  /** The key that is last in the order of `buckets`. */
  let newest: string | undefined;
  return {
    take(key, { perMinute, burst }) {
      const now = readClock();
      const perMs = perMinute / 60_000;
      const bucket = buckets.get(key) ?? { level: burst, at: now };
      const level = Math.min(burst, bucket.level + Math.max(0, now - bucket.at) * perMs);
      const left = level >= 1 ? level - 1 : level;
      if (key !== newest) buckets.delete(key);
      buckets.set(key, { level: left, at: now });
      newest = key;
      for (const oldest of buckets.size > MAX_BUCKETS ? buckets.keys() : []) {
        if (buckets.size <= MAX_BUCKETS) break;
        buckets.delete(oldest);
      }
      if (level < 1) {
        const retryAfterSeconds = Math.ceil((1 - level) / perMs / 1_000);
        throw new AppError('rate-limited', {
          detail: `More than ${perMinute} requests a minute.`,
          hint: `Try again in ${retryAfterSeconds} s.`,
          data: { retryAfterSeconds },
        });
      }
      return {
        limit: burst,
        remaining: Math.floor(left),
        resetSeconds: Math.ceil((burst - left) / perMs / 1_000),
      };
    },
  };
}
