import { beforeAll, describe, expect, it } from 'vitest';
import type { Surface } from '../../../protocol/surface.ts';
import { expectCode } from '../../support/expect-code.ts';
import { capture, type Fixture, runnable } from '../../support/fixture-skills.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { callTool, exists, runnerRig, textOf } from './rig.ts';

const surfaces = {} as Record<Fixture, Surface>;

beforeAll(async () => {
  const all = await Promise.all((['modern', 'legacy', 'misbehave'] as const).map(capture));
  [surfaces.modern, surfaces.legacy, surfaces.misbehave] = all as [Surface, Surface, Surface];
});

describe.each(['modern', 'legacy'] as const)('a %s skill', (fixture) => {
  it('is relayed whole: content, structured content, _meta; what belongs to the hop is taken off', async () => {
    const { runner } = runnerRig();
    const result = await callTool(runner, runnable(fixture, surfaces[fixture]), 'echo', {
      arguments: { message: 'hello' },
      _meta: {
        traceparent: '00-1-1-01',
        progressToken: 'of the client',
        'io.modelcontextprotocol/clientInfo': { name: 'somebody', version: '1' },
        'org.example/own': { a: 1 },
      },
    });
    expect(result['content']).toEqual([{ type: 'text', text: 'hello' }]);
    expect(result['structuredContent']).toEqual({ said: 'hello' });
    expect(result).not.toHaveProperty('resultType');
    expect(result['_meta']).toEqual({
      'org.example/seen': { traceparent: '00-1-1-01', 'org.example/own': { a: 1 } },
    });
  });

  it('reports progress', async () => {
    const { runner } = runnerRig();
    const seen: unknown[] = [];
    await callTool(runner, runnable(fixture, surfaces[fixture]), 'count', {
      arguments: { to: 3 },
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen).toEqual([1, 2, 3].map((progress) => ({ progress, total: 3, message: `${progress} of 3` })));
  });

  it('hears of a cancellation, and lives on', verifies('runner.cancel'), async () => {
    const clock = manualClock();
    const { runner, said, told } = runnerRig({ clock, limits: { graceMs: 100 } });
    const skill = runnable(fixture, surfaces[fixture]);
    const giveUp = new AbortController();
    const call = callTool(runner, skill, 'wait', { signal: giveUp.signal });
    await said('waiting');
    giveUp.abort();
    await expectCode(call, 'call-cancelled');
    await said('cancelled');
    // Servers do not answer what was cancelled; one that still answers something else is not killed for it.
    clock.advance(100);
    const [pid] = runner.running().map((child) => child.pid);
    await callTool(runner, skill, 'echo', { arguments: { message: 'still here' } });
    expect(runner.running().map((child) => child.pid)).toEqual([pid]);
    expect(told.filter(({ event }) => event === 'stopped')).toEqual([]);
  });

  it('answers prompts, resources and completions', async () => {
    const { runner } = runnerRig();
    const skill = runnable(fixture, surfaces[fixture]);
    const { signal } = new AbortController();
    const ask = (method: string, params: Record<string, unknown>) =>
      runner.request(skill, 'owner', { method, params, signal });
    expect(await ask('prompts/get', { name: 'greet', arguments: { name: 'Ada' } })).toMatchObject({
      messages: [{ role: 'user', content: { type: 'text', text: 'Greet Ada.' } }],
    });
    expect(await ask('resources/read', { uri: 'echo://motto' })).toMatchObject({
      contents: [{ text: 'Again!' }],
    });
    expect(
      await ask('completion/complete', {
        ref: { type: 'ref/prompt', name: 'greet' },
        argument: { name: 'name', value: 'A' },
      }),
    ).toMatchObject({ completion: { values: ['Ada', 'Alan'] } });
    const error = await expectCode(ask('resources/read', { uri: 'echo://nothing' }), 'skill-error');
    expect(error.data).toHaveProperty('rpc.code');
  });
});

describe('starting', () => {
  it('happens once for fifty first calls at the same time', verifies('runner.single-flight'), async () => {
    const { runner, driver } = runnerRig();
    const skill = runnable('misbehave', surfaces.misbehave);
    const answers = await Promise.all(Array.from({ length: 50 }, () => callTool(runner, skill, 'ok')));
    expect(driver.started).toHaveLength(1);
    expect(new Set(answers.map(textOf)).size).toBe(1);
  });

  it('happens for each user apart', verifies('runner.per-user'), async () => {
    const { runner } = runnerRig();
    const skill = runnable('misbehave', surfaces.misbehave);
    const [ada, bob] = await Promise.all(
      ['ada', 'bob'].map((user) => callTool(runner, skill, 'ok', { user })),
    );
    expect(textOf(ada ?? {})).not.toBe(textOf(bob ?? {}));
    expect(runner.running().map(({ user, state }) => ({ user, state }))).toEqual([
      { user: 'ada', state: 'ready' },
      { user: 'bob', state: 'ready' },
    ]);
  });

  it('lets one caller give up while the others go on waiting', async () => {
    const { runner, driver } = runnerRig();
    const skill = runnable('misbehave', surfaces.misbehave);
    const giveUp = new AbortController();
    const first = callTool(runner, skill, 'ok', { signal: giveUp.signal });
    const second = callTool(runner, skill, 'ok');
    giveUp.abort();
    await expectCode(first, 'call-cancelled');
    expect(textOf(await second)).toMatch(/^ok from/);
    expect(driver.started).toHaveLength(1);
  });

  it('fails with what the plan or the sandbox says', async () => {
    const { runner } = runnerRig();
    const { AppError } = await import('../../../protocol/errors.ts');
    const plan = (): Promise<never> =>
      Promise.reject(new AppError('files-changed', { detail: 'server.mjs changed' }));
    const skill = runnable('misbehave', surfaces.misbehave, { plan });
    for (let attempt = 0; attempt < 5; attempt += 1)
      await expectCode(callTool(runner, skill, 'ok'), 'files-changed');
  });
});

describe('ending', () => {
  it('comes to an idle child after the idle period', verifies('runner.idle-stop'), async () => {
    const clock = manualClock();
    const { runner, heard } = runnerRig({ clock, limits: { idleStopMs: 60_000 } });
    const skill = runnable('legacy', surfaces.legacy);
    await callTool(runner, skill, 'echo', { arguments: { message: 'x' } });
    clock.advance(59_000);
    await callTool(runner, skill, 'echo', { arguments: { message: 'x' } });
    clock.advance(59_999);
    expect(runner.running()).toMatchObject([{ state: 'ready' }]);
    clock.advance(1);
    const { pid, reason } = await heard('stopped');
    expect(reason).toBe('it was idle');
    expect(exists(pid as number)).toBe(false);
    expect(runner.running()).toEqual([]);
  });

  it(
    'comes to a child that was never idle once it has lived its time, and the next call meets a fresh one',
    verifies('runner.max-life'),
    async () => {
      const clock = manualClock();
      const { runner, heard } = runnerRig({ clock, limits: { idleStopMs: 60_000, maxLifeMs: 100_000 } });
      const skill = runnable('legacy', surfaces.legacy);
      const call = () => callTool(runner, skill, 'echo', { arguments: { message: 'x' } });
      await call();
      for (let step = 0; step < 3; step += 1) {
        clock.advance(33_000);
        await call();
      }
      expect(runner.running()).toMatchObject([{ state: 'ready' }]);
      clock.advance(1_000);
      const { pid, reason } = await heard('stopped');
      expect(reason).toBe('it has run for as long as one may');
      expect(exists(pid as number)).toBe(false);
      await call();
      expect(runner.running()).toHaveLength(1);
      expect(runner.running()[0]?.pid).not.toBe(pid);
    },
  );

  it('is forced on a child that ignores its closed input', async () => {
    const clock = manualClock();
    const { runner, heard, said } = runnerRig({ clock, limits: { idleStopMs: 1_000, graceMs: 500 } });
    await callTool(runner, runnable('misbehave', surfaces.misbehave, { args: ['stubborn'] }), 'ok');
    clock.advance(1_000);
    await said('input closed');
    expect(runner.running()).toMatchObject([{ state: 'stopping' }]);
    clock.advance(500);
    expect(exists((await heard('stopped'))['pid'] as number)).toBe(false);
  });

  it(
    'comes to the least recently used idle child when its place is needed',
    verifies('runner.cap'),
    async () => {
      const clock = manualClock();
      const { runner, heard } = runnerRig({ clock, limits: { maxChildren: 2 } });
      const skill = runnable('misbehave', surfaces.misbehave);
      for (const user of ['ada', 'bob', 'ada']) {
        await callTool(runner, skill, 'ok', { user });
        clock.advance(1);
      }
      await callTool(runner, skill, 'ok', { user: 'cem' });
      expect(await heard('stopped')).toMatchObject({ user: 'bob', reason: 'its place was needed' });
      expect(
        runner
          .running()
          .map(({ user }) => user)
          .toSorted(),
      ).toEqual(['ada', 'cem']);
    },
  );

  it(
    'is each one’s own: one that may write and one that only reads',
    verifies('folders.read-only-tools'),
    async () => {
      const clock = manualClock();
      const { runner, heard } = runnerRig({ clock, limits: { maxChildren: 2, idleStopMs: 1_000 } });
      const plans: boolean[] = [];
      const made = runnable('misbehave', surfaces.misbehave);
      const skill = {
        ...made,
        plan: (user: string, readOnly: boolean) => (plans.push(readOnly), made.plan(user, readOnly)),
      };
      const call = (readOnly: boolean, user = 'ada') =>
        runner.request(skill, user, {
          method: 'tools/call',
          params: { name: 'ok' },
          signal: new AbortController().signal,
          readOnly,
        });
      for (const readOnly of [true, false, true, false]) await call(readOnly);
      expect(plans).toEqual([true, false]);
      expect(runner.running().map(({ readOnly }) => readOnly)).toEqual([true, false]);
      // Each counts as a place of its own, and is idle by itself.
      clock.advance(500);
      await call(false);
      await call(false, 'bob');
      expect(await heard('stopped')).toMatchObject({ user: 'ada', reason: 'its place was needed' });
      expect(runner.running()).toMatchObject([
        { user: 'ada', readOnly: false },
        { user: 'bob', readOnly: false },
      ]);
      clock.advance(1_000);
      await heard('stopped', 3);
      expect(runner.running()).toEqual([]);
    },
  );

  it(
    'comes to nobody who works: with all places busy a further skill is refused',
    verifies('runner.cap'),
    async () => {
      const { runner, said } = runnerRig({ limits: { maxChildren: 1, maxConcurrentPerChild: 1 } });
      const skill = runnable('misbehave', surfaces.misbehave);
      const giveUp = new AbortController();
      const busy = callTool(runner, skill, 'hang', { signal: giveUp.signal });
      await said('hanging');
      await expectCode(callTool(runner, skill, 'ok', { user: 'bob' }), 'skill-busy');
      await expectCode(callTool(runner, skill, 'ok'), 'skill-busy');
      giveUp.abort();
      await expectCode(busy, 'call-cancelled');
      expect(textOf(await callTool(runner, skill, 'ok', { user: 'bob' }))).toMatch(/^ok/);
    },
  );

  it('comes to children of an older grant once their calls are done', verifies('runner.epoch'), async () => {
    const { runner, said, heard } = runnerRig();
    const skill = runnable('modern', surfaces.modern);
    const giveUp = new AbortController();
    const old = callTool(runner, skill, 'wait', { signal: giveUp.signal });
    await said('waiting');
    await callTool(runner, { ...skill, epoch: '2' }, 'echo', { arguments: { message: 'x' } });
    expect(runner.running().map(({ state, calls }) => ({ state, calls }))).toEqual([
      { state: 'stopping', calls: 1 },
      { state: 'ready', calls: 0 },
    ]);
    giveUp.abort();
    await expectCode(old, 'call-cancelled');
    expect((await heard('stopped'))['reason']).toMatch(/has changed/);
  });

  it('is forced on calls that hold an outdated child too long', verifies('runner.epoch'), async () => {
    const clock = manualClock();
    const { runner, said } = runnerRig({ clock, limits: { drainMs: 10_000 } });
    const skill = runnable('misbehave', surfaces.misbehave, { timeoutMs: 100_000 });
    const old = expectCode(callTool(runner, skill, 'hang'), 'skill-crashed');
    await said('hanging');
    await callTool(runner, { ...skill, epoch: '2' }, 'ok');
    clock.advance(10_000);
    expect((await old).message).toMatch(/has changed/);
  });

  it('of a skill ends its calls with the reason', async () => {
    const { runner, said } = runnerRig();
    const skill = runnable('misbehave', surfaces.misbehave);
    const call = expectCode(callTool(runner, skill, 'hang'), 'skill-crashed');
    await said('hanging');
    await runner.stop(skill.name, 'an admin froze it');
    expect((await call).message).toContain('an admin froze it');
    expect(runner.running()).toEqual([]);
  });

  it('of the runner leaves no process, whatever the children do', verifies('runner.close'), async () => {
    const { runner, said, told } = runnerRig({ limits: { graceMs: 50 } });
    const calls = [
      callTool(runner, runnable('misbehave', surfaces.misbehave), 'spin'),
      callTool(runner, runnable('misbehave', surfaces.misbehave, { args: ['stubborn'] }), 'ok', {
        user: 'bob',
      }),
      callTool(runner, runnable('modern', surfaces.modern), 'echo', { arguments: { message: 'x' } }),
      callTool(runner, runnable('legacy', surfaces.legacy), 'wait'),
    ].map((call) => call.catch(() => undefined));
    await Promise.all([said('spinning'), said('waiting'), calls[1], calls[2]]);
    const starting = callTool(runner, runnable('misbehave', surfaces.misbehave), 'ok', { user: 'cem' });
    const failed = expectCode(starting, 'skill-crashed');
    const pids = told.flatMap(({ event, pid }) => (event === 'started' ? [pid as number] : []));
    expect(pids).toHaveLength(4);
    await runner.close();
    await Promise.all([failed, ...calls]);
    expect(pids.filter(exists)).toEqual([]);
    expect(runner.running()).toEqual([]);
    await expectCode(callTool(runner, runnable('modern', surfaces.modern), 'echo'), 'unavailable');
  });
});

describe('the approved surface', () => {
  it(
    'is compared at every start; a skill that says something else is ended',
    verifies('runner.surface'),
    async () => {
      const { runner, heard } = runnerRig();
      const approved = {
        ...surfaces.modern,
        tools: surfaces.modern.tools.map((tool) =>
          tool.name === 'echo' ? { ...tool, description: 'Something else.' } : tool,
        ),
      };
      const call = callTool(runner, runnable('modern', approved), 'echo', { arguments: { message: 'x' } });
      await expectCode(call, 'skill-quarantined');
      expect(await heard('surfaceChanged')).toMatchObject({
        skill: 'org.example/modern',
        version: '1.0.0',
        differences: [{ path: 'tools.echo.description', before: 'Something else.', after: 'Says it again.' }],
      });
      expect(runner.running()).toEqual([]);
    },
  );

  it('is compared again when the skill says that a list changed', verifies('runner.surface'), async () => {
    const { runner, heard } = runnerRig();
    const skill = runnable('legacy', surfaces.legacy);
    await callTool(runner, skill, 'echo', { arguments: { message: 'x' } });
    // The answer may still come before the comparison has ended the child, or it may not.
    await callTool(runner, skill, 'grow').catch((error: unknown) =>
      expectCode(Promise.reject(error), 'skill-quarantined'),
    );
    const changed = await heard('surfaceChanged');
    expect((changed['differences'] as { path: string }[]).map(({ path }) => path)).toEqual([
      'tools.surprise',
    ]);
    expect(exists((await heard('stopped'))['pid'] as number)).toBe(false);
  });
});

describe('a skill that asks its client for something', () => {
  it('is refused and not left waiting', async () => {
    const { runner } = runnerRig();
    expect(textOf(await callTool(runner, runnable('legacy', surfaces.legacy), 'ask'))).toBe(
      'refused with -32601',
    );
  });
});
