import { beforeAll, describe, expect, it } from 'vitest';
import type { CallingClient } from '../../../hub/questions.ts';
import type { RunnerLimits } from '../../../hub/runner/runner.ts';
import { STARTING_BYTES } from '../../../hub/runner/pool.ts';
import type { Surface } from '../../../protocol/surface.ts';
import { expectCode } from '../../support/expect-code.ts';
import { capture, type Fixture, runnable } from '../../support/fixture-skills.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { callTool, runnerRig } from './rig.ts';

const surfaces = {} as Record<Fixture, Surface>;
const MB = 1024 * 1024;
const IDLE_MS = 60_000;

beforeAll(async () => {
  const used = ['misbehave', 'modern', 'modern-asks', 'legacy-asks'] as const;
  for (const fixture of used) surfaces[fixture] = await capture(fixture);
});

/** A runner whose skills take what a test says, by user; `looked` goes on until there was one more look. */
function pooled(limits: Partial<RunnerLimits>) {
  const clock = manualClock();
  const sizes = new Map<string, number>();
  let looks = 0;
  const rig = runnerRig({
    clock,
    limits: { idleStopMs: IDLE_MS, ...limits },
    async measure(pids) {
      const users = new Map(rig.runner.running().map(({ pid, user }) => [pid, user]));
      looks += 1;
      return new Map(pids.map((pid) => [pid, (sizes.get(users.get(pid) ?? '') ?? 40) * MB]));
    },
  });
  /** In steps that are small beside all that is waited for, for a slow look is followed by a longer pause. */
  async function until(test: () => boolean): Promise<void> {
    while (!test()) {
      clock.advance(5);
      await new Promise(setImmediate);
    }
    // What comes of a look comes in the same turn.
    await new Promise(setImmediate);
  }
  const looked = (): Promise<void> => {
    const before = looks;
    return until(() => looks > before);
  };
  const skill = runnable('misbehave', surfaces.misbehave, { timeoutMs: 1_000_000 });
  const measured = () => until(() => rig.runner.running().every(({ memoryBytes }) => memoryBytes > 0));
  return {
    ...rig,
    clock,
    skill,
    sizes,
    looks: () => looks,
    looked,
    measured,
    /** Lets time go by; what is to be seen of it has been looked at. */
    async pass(ms: number) {
      clock.advance(ms);
      await looked();
    },
    /** Calls the skill for each user, one second after the other; each is measured. */
    async use(...users: string[]) {
      for (const user of users) {
        await callTool(rig.runner, skill, 'ok', { user });
        await measured();
        clock.advance(1_000);
      }
    },
    users: () =>
      rig.runner
        .running()
        .filter(({ state }) => state !== 'stopping')
        .map(({ user }) => user)
        .toSorted(),
  };
}

describe('an idle skill', () => {
  it(
    'stays ready as long as those used last fit into their memory; others are ended once idle',
    verifies('runner.warm', 'runner.idle-stop'),
    async () => {
      const { use, pass, users, heard, runner } = pooled({ warmBytes: 100 * MB });
      await use('ada', 'bob', 'cem', 'ada');
      await pass(IDLE_MS - 5_000);
      expect(users()).toEqual(['ada', 'bob', 'cem']);
      await pass(10_000);
      expect(await heard('stopped')).toMatchObject({ user: 'bob', reason: 'it was idle' });
      for (let hour = 0; hour < 3; hour += 1) await pass(3_600_000);
      expect(users()).toEqual(['ada', 'cem']);
      expect(runner.memory()).toEqual({ bytes: 80 * MB, limitBytes: 4096 * MB, warmBytes: 100 * MB });
      expect(runner.running().map(({ memoryBytes }) => memoryBytes)).toEqual([40 * MB, 40 * MB]);
    },
  );

  it('is ended once idle where none may stay ready', verifies('runner.warm'), async () => {
    const { use, clock, heard } = pooled({ warmBytes: 0 });
    await use('ada');
    clock.advance(IDLE_MS);
    expect(await heard('stopped')).toMatchObject({ user: 'ada', reason: 'it was idle' });
  });

  it('that grows leaves, and no other for it', verifies('runner.growth'), async () => {
    const { use, pass, users, heard, sizes } = pooled({ warmBytes: 130 * MB });
    await use('ada', 'bob', 'fat');
    await pass(2 * IDLE_MS);
    expect(users()).toEqual(['ada', 'bob', 'fat']);
    sizes.set('fat', 90);
    await pass(60_000);
    expect(await heard('stopped')).toMatchObject({ user: 'fat' });
    await pass(60_000);
    expect(users()).toEqual(['ada', 'bob']);
  });
});

describe('the memory of all skills', () => {
  it('is given to who starts by the idle one used least recently', verifies('runner.memory'), async () => {
    const { use, users, heard } = pooled({ memoryBytes: 125 * MB, warmBytes: 125 * MB });
    await use('ada', 'bob', 'ada', 'cem');
    expect(await heard('stopped')).toMatchObject({ user: 'bob', reason: 'its place was needed' });
    expect(users()).toEqual(['ada', 'cem']);
  });

  it('that only working ones take is nobody’s to give', verifies('runner.memory'), async () => {
    const { runner, skill, said, sizes, users, measured } = pooled({
      memoryBytes: STARTING_BYTES + 60 * MB,
    });
    sizes.set('ada', 80);
    const giveUp = new AbortController();
    const busy = callTool(runner, skill, 'hang', { user: 'ada', signal: giveUp.signal });
    await said('hanging');
    await measured();
    await expectCode(callTool(runner, skill, 'ok', { user: 'bob' }), 'skill-busy');
    expect(users()).toEqual(['ada']);
    giveUp.abort();
    await expectCode(busy, 'call-cancelled');
    await callTool(runner, skill, 'ok', { user: 'bob' });
    expect(users()).toEqual(['bob']);
  });

  it(
    'is not held against others by a skill that grows while it works; it leaves after its calls',
    verifies('runner.growth'),
    async () => {
      const { runner, skill, said, use, sizes, pass, users, heard } = pooled({ memoryBytes: 200 * MB });
      await use('ada', 'fat');
      const giveUp = new AbortController();
      const busy = callTool(runner, skill, 'hang', { user: 'fat', signal: giveUp.signal });
      await said('hanging');
      sizes.set('fat', 1_000);
      await pass(10_000);
      await use('bob');
      expect(users()).toEqual(['ada', 'bob', 'fat']);
      giveUp.abort();
      await expectCode(busy, 'call-cancelled');
      await pass(10_000);
      expect(await heard('stopped')).toMatchObject({ user: 'fat', reason: 'its memory was needed' });
      expect(users()).toEqual(['ada', 'bob']);
    },
  );

  it('is not measured at a call', verifies('runner.memory'), async () => {
    const { runner, skill, use, looks, pass } = pooled({ warmBytes: 100 * MB });
    await use('ada');
    const before = looks();
    for (let call = 0; call < 20; call += 1) await callTool(runner, skill, 'ok', { user: 'ada' });
    expect(looks()).toBe(before);
    await pass(10_000);
  });

  it('is measured less often while all of them rest', verifies('runner.memory'), async () => {
    const { use, looks, pass, clock } = pooled({ warmBytes: 100 * MB });
    await use('ada');
    await pass(2 * IDLE_MS);
    const before = looks();
    clock.advance(50_000);
    expect(looks()).toBe(before);
    await pass(10_000);
  });
});

describe('a first call', () => {
  const client: CallingClient = {
    capabilities: { elicitation: { form: {} } },
    ask: async () => ({}),
  };

  it.each(['modern', 'modern-asks', 'legacy-asks'] as const)(
    'of %s pays for one start, the look at its surface included; so does a first call of a client that can be asked',
    verifies('runner.one-start'),
    async (fixture) => {
      const { runner, driver } = runnerRig();
      const skill = runnable(fixture, surfaces[fixture]);
      const { signal } = new AbortController();
      const params = { name: 'nothing-of-that-name', arguments: {} };
      const order = { method: 'tools/call', params, signal, client, caller: 'desk' };
      await runner.request(skill, 'owner', order).catch(() => undefined);
      expect(driver.started).toHaveLength(1);
      await runner.request(skill, 'owner', order).catch(() => undefined);
      expect(driver.started).toHaveLength(1);
    },
  );
});

describe('starting ahead', () => {
  const wanted = (skill: ReturnType<typeof runnable>, ...users: string[]) =>
    users.map((user, index) => ({ skill, user, usedAt: 1_000 - index }));

  it(
    'makes the first call find a ready process, as far as idle ones may stay',
    verifies('runner.ahead', 'runner.one-start'),
    async () => {
      const { runner, driver, skill, users } = pooled({ warmBytes: STARTING_BYTES + 60 * MB });
      await runner.startAhead(wanted(skill, 'ada', 'bob', 'cem'));
      expect(users()).toEqual(['ada', 'bob']);
      await callTool(runner, skill, 'ok', { user: 'ada' });
      expect(driver.started).toHaveLength(2);
    },
  );

  it('leaves those who were used since then in their place', verifies('runner.ahead'), async () => {
    const { runner, skill, use, users, heard, measured } = pooled({
      memoryBytes: 125 * MB,
      warmBytes: 125 * MB,
    });
    await use('bob');
    await runner.startAhead(wanted(skill, 'ada'));
    await measured();
    await use('cem');
    expect(await heard('stopped')).toMatchObject({ user: 'ada' });
    expect(users()).toEqual(['bob', 'cem']);
  });

  it('waits while a call is in flight, and for no skill that fails', verifies('runner.ahead'), async () => {
    const { runner, driver, skill, said, users } = pooled({ warmBytes: 1_000 * MB });
    const giveUp = new AbortController();
    const busy = callTool(runner, skill, 'hang', { user: 'dan', signal: giveUp.signal });
    await said('hanging');
    const broken = runnable('misbehave', surfaces.misbehave, { args: ['crash-at-start'] });
    const ahead = runner.startAhead([...wanted(broken, 'ada'), ...wanted(skill, 'bob')]);
    await new Promise(setImmediate);
    expect(driver.started).toHaveLength(1);
    giveUp.abort();
    await expectCode(busy, 'call-cancelled');
    await ahead;
    expect(driver.started).toHaveLength(3);
    expect(users()).toEqual(['bob', 'dan']);
  });

  it(
    'starts none that serves one client alone, and stops with the runner',
    verifies('runner.ahead'),
    async () => {
      const { runner, driver } = pooled({ warmBytes: 1_000 * MB });
      await runner.startAhead(wanted(runnable('legacy-asks', surfaces['legacy-asks']), 'ada'));
      expect(driver.started).toEqual([]);
      await runner.startAhead(wanted(runnable('modern-asks', surfaces['modern-asks']), 'ada'));
      expect(driver.started).toHaveLength(1);
      await runner.close();
      await runner.startAhead(wanted(runnable('modern', surfaces.modern), 'ada'));
      expect(driver.started).toHaveLength(1);
    },
  );
});
