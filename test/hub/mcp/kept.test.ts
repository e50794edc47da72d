import { describe, expect, it } from 'vitest';
import { keepRecent } from '../../../hub/mcp/kept.ts';
import { verifies } from '../../support/verifies.ts';

function numbered() {
  let made = 0;
  return () => (made += 1);
}

describe('what is kept for the next use', () => {
  it('is bounded, and those used longest ago go first', verifies('mcp.bounded'), () => {
    const kept = keepRecent<number>(2);
    const make = numbered();
    const use = (key: string) => {
      const { value, release } = kept.take(key, make);
      release();
      return value;
    };
    expect([use('a'), use('b'), use('a'), use('c')]).toEqual([1, 2, 1, 3]);
    expect(kept.size()).toBe(2);
    expect([use('a'), use('b')]).toEqual([1, 4]);
    for (let n = 0; n < 1_000; n += 1) use(`other ${n}`);
    expect(kept.size()).toBe(2);
  });

  it('stays while it is in use, however many others come', verifies('mcp.bounded'), () => {
    const kept = keepRecent<number>(1);
    const make = numbered();
    const [first, again] = [kept.take('a', make), kept.take('a', make)];
    for (let n = 0; n < 10; n += 1) kept.take(`other ${n}`, make).release();
    first.release();
    first.release();
    expect(kept.take('a', make).value).toBe(first.value);
    again.release();
    expect(kept.size()).toBe(2);
  });

  it('is dropped at once where it has to be, and then made anew', verifies('mcp.bounded'), () => {
    const kept = keepRecent<number>(4);
    const make = numbered();
    const old = kept.take('a', make);
    kept.take('b', make).release();
    expect(kept.drop(() => true)).toEqual([1, 2]);
    const fresh = kept.take('a', make);
    expect(fresh.value).toBe(3);
    old.release();
    expect(kept.size()).toBe(1);
    expect(kept.take('a', make).value).toBe(3);
  });
});
