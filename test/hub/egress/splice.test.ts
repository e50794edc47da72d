import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bucketOf } from '../../../hub/egress/bucket.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { carried } from './rig.ts';

describe('the bytes of a session', () => {
  it(
    'are carried no faster than their pace, and all of them',
    verifies('egress.bounded', 'egress.bytes'),
    async () => {
      const clock = manualClock();
      const bytes = { perSecond: 1024, atOnce: 1024 };
      const { dial, upstream } = await carried({ lookup: () => ['127.0.0.1'], clock, bytes });
      const socket = dial();
      const sent = 'abcdefgh'.repeat(128 * 1024);
      socket.write(sent);
      // What is read at once is more than the pace, and so the last that is read for as long as that would have taken.
      await upstream.holds(1);
      const first = upstream.text().length;
      clock.advance(1000);
      await new Promise((resolve) => void setImmediate(resolve));
      expect(upstream.text()).toHaveLength(first);
      expect(first).toBeLessThan(sent.length);
      for (let held = first; held < sent.length; held = upstream.text().length) {
        clock.advance(100_000);
        await upstream.holds(held + 1);
      }
      expect(upstream.text() === sent).toBe(true);
    },
  );
});

describe('what a server says', () => {
  it(
    'comes as it was said, however slowly it is read, with its end behind it',
    verifies('egress.bytes'),
    async () => {
      const { dial, upstream } = await carried({ lookup: () => ['127.0.0.1'] });
      const socket = dial();
      socket.write('?');
      await upstream.holds(1);
      const said = randomBytes(24 * 1024 * 1024);
      upstream.sockets[0]?.end(said);
      const heard: Buffer[] = [];
      // Each part only when all else has had its turn, so that what is sent waits everywhere on the way.
      for await (const part of socket) {
        heard.push(part as Buffer);
        await new Promise((resolve) => void setImmediate(resolve));
      }
      expect(Buffer.concat(heard).equals(said)).toBe(true);
    },
  );
});

describe('a bucket', () => {
  it('gives what it holds, and what time adds, up to its size', verifies('egress.bounded'), () => {
    const clock = manualClock();
    const bucket = bucketOf(clock, { perSecond: 2, atOnce: 3 });
    const taken = () => [bucket.take(), bucket.take(), bucket.take(), bucket.take()].filter(Boolean).length;
    expect(taken()).toBe(3);
    clock.advance(1000);
    expect(taken()).toBe(2);
    clock.advance(1_000_000);
    expect(taken()).toBe(3);
  });

  it('says how long it takes to make up for what was used', verifies('egress.bounded'), () => {
    const clock = manualClock();
    const bucket = bucketOf(clock, { perSecond: 10, atOnce: 20 });
    expect([bucket.owe(20), bucket.owe(10), bucket.owe(10)]).toEqual([0, 1000, 2000]);
    clock.advance(2000);
    expect(bucket.owe(0)).toBe(0);
    expect(bucket.take()).toBe(false);
  });
});
