import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Resident, surplus } from '../../../hub/runner/surplus.ts';
import { verifies } from '../../support/verifies.ts';

const one = (name: string, more: Partial<Resident> = {}) => ({
  name,
  bytes: 10,
  firstBytes: 10,
  lastUsed: 0,
  idle: true,
  ...more,
});
const leaving = (...given: Parameters<typeof surplus<ReturnType<typeof one>>>) =>
  surplus(...given).leave.map(({ name }) => name);

describe('too much memory', () => {
  it('is given back by those that were used least recently', verifies('runner.memory'), () => {
    const all = [one('c', { lastUsed: 3 }), one('a', { lastUsed: 1 }), one('b', { lastUsed: 2 })];
    expect(leaving(all, 30)).toEqual([]);
    expect(leaving(all, 29)).toEqual(['a']);
    expect(leaving(all, 10)).toEqual(['a', 'b']);
    expect(leaving(all, 30, 1)).toEqual(['a']);
  });

  it('is given back by whoever has grown, however recently it was used', verifies('runner.growth'), () => {
    const all = [
      one('a', { lastUsed: 1 }),
      one('b', { lastUsed: 2 }),
      one('fat', { lastUsed: 3, bytes: 100 }),
    ];
    expect(leaving(all, 30)).toEqual(['fat']);
    // Without its growth, too, there are too many: that much is the others’ to give.
    expect(leaving(all, 25)).toEqual(['a', 'fat']);
  });

  it('is nobody else’s fault while whoever has grown works', verifies('runner.growth'), () => {
    const all = [one('a', { lastUsed: 1 }), one('fat', { bytes: 100, idle: false })];
    expect(surplus(all, 30)).toEqual({ leave: [], fits: true });
    expect(surplus(all, 30, 20)).toMatchObject({ leave: [{ name: 'a' }], fits: true });
  });

  it('that working ones need keeps a newcomer out', verifies('runner.memory'), () => {
    const all = [one('a', { idle: false }), one('b', { idle: false })];
    expect(surplus(all, 25, 10)).toEqual({ leave: [], fits: false });
    expect(surplus(all, 30, 10)).toEqual({ leave: [], fits: true });
  });

  it('is never taken from those who work, nor more than is needed', verifies('runner.memory'), () => {
    const resident = fc.record({
      name: fc.string(),
      bytes: fc.nat(100),
      firstBytes: fc.nat(100),
      lastUsed: fc.nat(100),
      idle: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(resident), fc.nat(500), fc.nat(50), (all, budget, newcomer) => {
        const { leave } = surplus(all, budget, newcomer);
        expect(leave.every(({ idle }) => idle)).toBe(true);
        expect(new Set(leave).size).toBe(leave.length);
        const total = (some: readonly Resident[]) => some.reduce((sum, { bytes }) => sum + bytes, newcomer);
        const last = leave.at(-1);
        if (last === undefined) return;
        const kept = all.filter((other) => !leave.includes(other));
        expect(total([...kept, last])).toBeGreaterThan(budget);
      }),
    );
  });
});
