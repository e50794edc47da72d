import { describe, expect, it } from 'vitest';
import { gate } from '../../registry/gate.ts';

describe('a gate', () => {
  it('never lets more through than its width, and everybody in the end', async () => {
    const door = gate(2);
    let inside = 0;
    let most = 0;
    const order: number[] = [];
    const visit = (visitor: number) =>
      door.run(async () => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise(setImmediate);
        inside -= 1;
        order.push(visitor);
        if (visitor === 2) throw new Error('fell');
      });
    const visits = await Promise.allSettled([1, 2, 3, 4, 5, 6].map(visit));
    expect(most).toBe(2);
    expect(order).toEqual([1, 2, 3, 4, 5, 6]);
    expect(visits.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    await visit(7);
    expect(inside).toBe(0);
  });
});
