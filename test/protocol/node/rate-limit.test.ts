import { describe, expect, it } from 'vitest';
import { rateLimiter } from '../../../protocol/node/rate-limit.ts';
import { expectCode } from '../../support/expect-code.ts';

describe('a token bucket', () => {
  it('fills with time, up to its size, and says when to come again', async () => {
    let now = 0;
    const limiter = rateLimiter({ now: () => now });
    const take = () => limiter.take('key', { perMinute: 60, burst: 2 });
    expect(take()).toEqual({ limit: 2, remaining: 1, resetSeconds: 1 });
    expect(take().remaining).toBe(0);
    const error = await expectCode(take, 'rate-limited');
    expect(error.data).toEqual({ retryAfterSeconds: 1 });
    now += 1_000;
    expect(take().remaining).toBe(0);
    now += 3_600_000;
    expect(take().remaining).toBe(1);
    // A clock that jumps back gives nothing and takes nothing.
    now -= 7_200_000;
    expect(take().remaining).toBe(0);
  });
});
