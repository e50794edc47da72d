import { describe, expect, it, vi } from 'vitest';
import { Canceller } from '../../hub/cancellation.ts';

describe('a canceller', () => {
  it('tells everybody who still listens, once', () => {
    const signal = new Canceller();
    const [stays, leaves, late] = [vi.fn(), vi.fn(), vi.fn()];
    signal.addEventListener('abort', stays);
    signal.addEventListener('abort', leaves);
    signal.removeEventListener('abort', leaves);
    expect(signal.aborted).toBe(false);
    signal.abort();
    signal.abort();
    signal.addEventListener('abort', late);
    expect(signal.aborted).toBe(true);
    expect([stays, leaves, late].map((listener) => listener.mock.calls.length)).toEqual([1, 0, 0]);
  });
});
