import { performance } from 'node:perf_hooks';
import type { Bars } from './bars.ts';
import type { BenchHub } from './bench-hub.ts';
import { settledKb } from './idle.ts';
import type { Target } from './targets.ts';
import { table } from './table.ts';

const CLIENTS = 16;
/** By then all code is compiled and the heap has the size that this load needs. */
const WARM_CALLS = 20_000;
const CALLS = 200_000;
/** On a busy machine fewer have to do, and then nothing is said about the bar. */
const MAX_MS = 120_000;

/** What so many calls leave behind in the hub. */
export async function benchSoak(hub: BenchHub, target: Target, bars: Bars): Promise<void> {
  const calls: (() => Promise<void>)[] = [];
  while (calls.length < CLIENTS) calls.push(await target.connect());
  await times(WARM_CALLS, calls);
  const before = await settledKb(hub.pid);
  const made = await times(CALLS, calls);
  const after = await settledKb(hub.pid);
  const growth = (after / before - 1) * 100;
  table(
    'Memory of the hub after many calls',
    ['', 'MB'],
    [
      [`after ${WARM_CALLS} calls (baseline)`, (before / 1024).toFixed(0)],
      [`after ${made} more`, (after / 1024).toFixed(0)],
    ],
  );
  const claim = `growth over ${CALLS} calls`;
  if (made === CALLS) bars.atMost(claim, growth, 20, ' %');
  else bars.unmeasured(claim, `${growth.toFixed(0)} % after ${made} calls`);
}

/** Calls so many times, unless that takes too long; answers with how often it was. */
async function times(total: number, calls: readonly (() => Promise<void>)[]): Promise<number> {
  const until = performance.now() + MAX_MS;
  let made = 0;
  await Promise.all(
    calls.map(async (call) => {
      while (made < total && performance.now() < until) {
        made += 1;
        await call();
      }
    }),
  );
  return made;
}
