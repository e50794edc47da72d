import { AppError } from '../protocol/errors.ts';

/** Tokens a minute, and how many may be saved up. */
interface BucketSize {
  perMinute: number;
  burst: number;
}

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

/** Token buckets in memory, one for each key. */
export function rateLimiter({ clock }: { clock: () => Date }): RateLimiter {
  const buckets = new Map<string, { level: number; at: number }>();
  return {
    take(key, { perMinute, burst }) {
      const now = clock().getTime();
      const perMs = perMinute / 60_000;
      const bucket = buckets.get(key) ?? { level: burst, at: now };
      const level = Math.min(burst, bucket.level + Math.max(0, now - bucket.at) * perMs);
      const left = level >= 1 ? level - 1 : level;
      buckets.delete(key);
      buckets.set(key, { level: left, at: now });
      for (const oldest of buckets.keys()) {
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

/** The bucket of an address; an IPv6 customer has a whole /64. */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return 'socket';
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail = ''] = plain.split('::');
  const left = head.split(':').filter(Boolean);
  const right = tail.split(':').filter(Boolean);
  const groups = plain.includes('::')
    ? [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
    : left;
  return `${groups.slice(0, 4).join(':')}::/64`;
}
