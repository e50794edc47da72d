import { availableParallelism } from 'node:os';
import { expect, it } from 'vitest';
import { startGate } from '../../../hub/runner/start-gate.ts';
import { capture, runnable } from '../../support/fixture-skills.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { callTool, runnerRig, textOf } from './rig.ts';

function rig(places: number) {
  const clock = manualClock();
  const gate = startGate({ clock, places });
  const begun: string[] = [];
  return {
    clock,
    begun,
    enter: (name: string) =>
      gate.enter().then((leave) => {
        begun.push(name);
        return leave;
      }),
  };
}

it('starts take turns, in the order in which they came', verifies('runner.turns'), async () => {
  const { clock, begun, enter } = rig(2);
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(enter) as [
    ReturnType<typeof enter>,
    ...ReturnType<typeof enter>[],
  ];
  (await a)();
  await c;
  expect(begun).toEqual(['a', 'b', 'c']);
  // Done is done once.
  (await a)();
  await new Promise(setImmediate);
  expect(begun).toEqual(['a', 'b', 'c']);
  (await b)?.();
  (await d)?.();
  (await c)?.();
  expect(begun).toEqual(['a', 'b', 'c', 'd']);
  expect(clock.waiting()).toBe(0);
});

it('one that takes long loses its turn to the next', verifies('runner.turns'), async () => {
  const { clock, begun, enter } = rig(1);
  await enter('hangs');
  const next = enter('next');
  clock.advance(999);
  expect(begun).toEqual(['hangs']);
  clock.advance(1);
  await next;
  expect(begun).toEqual(['hangs', 'next']);
});

it('skills that hang at their start hold up no other', verifies('runner.turns'), async () => {
  const clock = manualClock();
  const { runner, driver, said } = runnerRig({ clock, limits: { startTimeoutMs: 60_000 } });
  const surface = await capture('misbehave');
  const hangs = runnable('misbehave', surface, { args: ['silent-at-start'] });
  const places = 2 * availableParallelism();
  const hanging = Array.from({ length: places }, (_, n) =>
    callTool(runner, hangs, 'ok', { user: `user-${n}` }).catch(() => undefined),
  );
  await said('started silent-at-start');
  const call = callTool(runner, runnable('misbehave', surface), 'ok', { user: 'ada' });
  await new Promise(setImmediate);
  expect(driver.started).toHaveLength(places);
  clock.advance(1_000);
  expect(textOf(await call)).toMatch(/^ok/);
  await runner.close();
  await Promise.all(hanging);
});
