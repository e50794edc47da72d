import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { reader, readInTime } from '../../skills/web/server/reader.ts';
import { Refusal } from '../../skills/web/server/refusal.ts';
import { verifies } from '../support/verifies.ts';

/** A thread that never answers some jobs, and tells of others how it was asked. */
const THREAD = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ mode, url }) => {
      if (url === 'hangs' && mode !== 'words') for (;;);
      if (url === 'hangs always') for (;;);
      if (url === 'fills') for (const all = []; ; ) all.push(new Array(10000).fill(url));
      if (url === 'ends') process.exit(1);
      parentPort.postMessage({ kind: 'answer', answer: { mode } });
    });
  `)}`,
);

describe('reading a document', { timeout: 30_000 }, () => {
  const { signal } = new AbortController();
  const job = (url: string) =>
    ({ kind: 'page', bytes: new Uint8Array(1), contentType: 'text/html', url, mode: 'article' }) as const;

  it('that takes too long in its form gives its words', verifies('skills.web-hostile'), async () => {
    const own = reader(THREAD, 1_000);
    expect(await readInTime(own, job('plain'), signal)).toEqual({ mode: 'article' });
    expect(await readInTime(own, job('hangs'), signal)).toEqual({ mode: 'words' });
    expect(await readInTime(own, job('plain'), signal)).toEqual({ mode: 'article' });
  });

  it.each([
    ['hangs always', /longer than 1 s/],
    ['fills', /memory/],
    ['ends', /ended/],
  ])('that %s is refused, and the next is read', verifies('skills.web-hostile'), async (url, why) => {
    const own = reader(THREAD, url === 'fills' ? 20_000 : 1_000);
    const [refused, next] = await Promise.allSettled([
      readInTime(own, job(url), signal),
      readInTime(own, job('plain'), signal),
    ]);
    expect(refused).toMatchObject({ reason: expect.any(Refusal) });
    expect(String((refused as PromiseRejectedResult).reason)).toMatch(why);
    expect(next).toMatchObject({ value: { mode: 'article' } });
  });

  it('ends with the call', verifies('skills.web-hostile'), async () => {
    const own = reader(THREAD, 60_000);
    await readInTime(own, job('plain'), signal);
    const threads = async () => (await readdir('/proc/self/task')).length;
    const before = await threads();
    const giveUp = new AbortController();
    const hanging = readInTime(own, job('hangs'), giveUp.signal);
    await Promise.resolve();
    giveUp.abort();
    await expect(hanging).rejects.toThrow(/cancelled/);
    // The thread that hung is gone, not only forgotten.
    while ((await threads()) >= before);
    expect(await readInTime(own, job('plain'), signal)).toEqual({ mode: 'article' });
  });
});
