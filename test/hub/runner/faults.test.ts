import { beforeAll, describe, expect, it } from 'vitest';
import type { Surface } from '../../../protocol/surface.ts';
import { expectCode } from '../../support/expect-code.ts';
import { capture, runnable } from '../../support/fixture-skills.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { callTool, exists, runnerRig, textOf } from './rig.ts';

let surface: Surface;

beforeAll(async () => {
  surface = await capture('misbehave');
});

describe('a hung skill', () => {
  it.each(['hang', 'spin'])(
    'that does "%s" is timed out and ended, and the next call works',
    verifies('runner.hang'),
    async (tool) => {
      const clock = manualClock();
      const { runner, said, heard } = runnerRig({ clock, limits: { graceMs: 1_000 } });
      const skill = runnable('misbehave', surface, { timeoutMs: 5_000 });
      const call = expectCode(callTool(runner, skill, tool), 'skill-timeout');
      await said(tool === 'hang' ? 'hanging' : 'spinning');
      clock.advance(5_000);
      expect((await call).message).toContain('5000 ms');
      expect(textOf(await callTool(runner, skill, 'ok'))).toMatch(/^ok/);
      clock.advance(1_000);
      const { pid, reason } = await heard('stopped');
      expect(reason).toBe('a call took too long');
      expect(exists(pid as number)).toBe(false);
    },
  );

  it('that shows no life after a cancelled call is killed', verifies('runner.cancel'), async () => {
    const clock = manualClock();
    const { runner, said, heard } = runnerRig({ clock, limits: { graceMs: 1_000 } });
    const skill = runnable('misbehave', surface, { timeoutMs: 60_000 });
    const giveUp = new AbortController();
    const call = expectCode(callTool(runner, skill, 'spin', { signal: giveUp.signal }), 'call-cancelled');
    await said('spinning');
    giveUp.abort();
    await call;
    clock.advance(1_000);
    clock.advance(1_000);
    expect((await heard('stopped'))['reason']).toMatch(/hung/);
    expect(textOf(await callTool(runner, skill, 'ok'))).toMatch(/^ok/);
  });

  it('that never answers its start is ended at the deadline', verifies('runner.start-deadline'), async () => {
    const clock = manualClock();
    const { runner, said, driver } = runnerRig({ clock, limits: { startTimeoutMs: 3_000 } });
    const skill = runnable('misbehave', surface, { args: ['silent-at-start'] });
    const call = expectCode(callTool(runner, skill, 'ok'), 'skill-start-failed');
    await said('started silent-at-start');
    clock.advance(3_000);
    expect((await call).message).toContain('3000 ms');
    expect(driver.started).toHaveLength(1);
    expect(runner.running()).toEqual([]);
  });

  it('that reads nothing is busy before it costs the hub its memory', async () => {
    const { runner } = runnerRig({ limits: { maxMessageBytes: 200_000 } });
    const skill = runnable('misbehave', surface, { args: ['deaf'] });
    const giveUp = Array.from({ length: 11 }, () => new AbortController());
    const calls = giveUp.map(({ signal }) =>
      callTool(runner, skill, 'ok', { arguments: { fill: 'x'.repeat(150_000) }, signal }).catch(
        (error: unknown) => error,
      ),
    );
    const refused = await Promise.any(
      calls.map(async (call) => expectCode(Promise.reject(await call), 'skill-busy')),
    );
    expect(refused.message).toContain('does not read');
    for (const one of giveUp) one.abort();
    await Promise.all(calls);
  });
});

describe('a crashing skill', () => {
  it(
    'fails the calls in flight, with its end and its last words, and the next call works',
    verifies('runner.crash'),
    async () => {
      const { runner, told } = runnerRig();
      const skill = runnable('misbehave', surface);
      const other = expectCode(callTool(runner, skill, 'hang'), 'skill-crashed');
      const error = await expectCode(callTool(runner, skill, 'crash'), 'skill-crashed');
      expect(error.message).toMatch(/exit code 7.*event:crashing/);
      await other;
      expect(textOf(await callTool(runner, skill, 'ok'))).toMatch(/^ok/);
      expect(told.map(({ event }) => event)).toEqual(['started', 'stopped', 'started']);
    },
  );

  it('is left alone longer and longer, and says so at once', verifies('runner.backoff'), async () => {
    const clock = manualClock();
    const { runner, driver } = runnerRig({ clock, limits: { firstBackoffMs: 1_000, maxBackoffMs: 3_000 } });
    const skill = runnable('misbehave', surface, { args: ['crash-at-start'] });
    const fails = () => expectCode(callTool(runner, skill, 'ok'), 'skill-start-failed');
    expect((await fails()).message).toMatch(/exit code 3/);
    await fails();
    expect(driver.started).toHaveLength(2);

    expect((await fails()).data).toEqual({ retryAfterSeconds: 1 });
    expect(driver.started).toHaveLength(2);
    clock.advance(1_000);
    await fails();
    expect(driver.started).toHaveLength(3);
    expect((await fails()).data).toEqual({ retryAfterSeconds: 2 });
    clock.advance(2_000);
    await fails();
    expect((await fails()).data).toEqual({ retryAfterSeconds: 3 });
    // A new version or grant is a new chance.
    const mended = runnable('misbehave', surface, { epoch: '2' });
    expect(textOf(await callTool(runner, mended, 'ok'))).toMatch(/^ok/);
  });

  it(
    'counts once, however many calls waited for it, and a call that works ends the row',
    verifies('runner.backoff'),
    async () => {
      const clock = manualClock();
      const { runner, driver } = runnerRig({ clock });
      const skill = runnable('misbehave', surface);
      for (let round = 1; round <= 4; round += 1) {
        await callTool(runner, skill, 'ok');
        const crashes = ['hang', 'hang', 'crash'].map((tool) =>
          expectCode(callTool(runner, skill, tool), 'skill-crashed'),
        );
        await Promise.all(crashes);
        expect(driver.started).toHaveLength(round);
      }
    },
  );

  it('never gets its secrets or control characters into the failure', verifies('runner.stderr'), async () => {
    const env = { API_KEY: 'sk-very-secret-value' };
    const { runner, lines } = runnerRig();
    const during = await expectCode(
      callTool(runner, runnable('misbehave', surface, { env }), 'secret'),
      'skill-crashed',
    );
    const args = ['crash-at-start'];
    const atStart = await expectCode(
      callTool(runner, runnable('misbehave', surface, { env, args }), 'ok', { user: 'bob' }),
      'skill-start-failed',
    );
    expect(during.message).toContain('The key is [secret API_KEY]');
    expect(atStart.message).toContain("Cannot find module 'left-pad'");
    expect(JSON.stringify([lines, during.message, atStart.message])).not.toContain(env.API_KEY);
    expect(during.message).not.toContain('\u001b');
  });
});

describe('a skill that breaks the protocol', () => {
  it.each(['garbage', 'not-rpc', 'deep'])(
    'with "%s" is ended, and the next call works',
    verifies('runner.garbage'),
    async (tool) => {
      const { runner, heard } = runnerRig();
      const skill = runnable('misbehave', surface);
      await expectCode(callTool(runner, skill, tool), 'skill-output-invalid');
      expect(exists((await heard('stopped'))['pid'] as number)).toBe(false);
      expect(textOf(await callTool(runner, skill, 'ok'))).toMatch(/^ok/);
    },
  );

  it('at its start does not start', verifies('runner.garbage'), async () => {
    const { runner } = runnerRig();
    await expectCode(
      callTool(runner, runnable('misbehave', surface, { args: ['garbage-at-start'] }), 'ok'),
      'skill-output-invalid',
    );
    expect(runner.running()).toEqual([]);
  });

  it('by speaking another revision than its manifest says does not start', async () => {
    const { runner } = runnerRig();
    const args = ['wrong-revision'];
    const older = await expectCode(
      callTool(runner, runnable('misbehave', surface, { args }), 'ok'),
      'skill-start-failed',
    );
    expect(older.message).toContain('2024-11-05');
    const modern = runnable('misbehave', surface, { protocol: '2026-07-28' });
    const error = await expectCode(callTool(runner, modern, 'ok', { user: 'bob' }), 'skill-start-failed');
    expect(error.message).toMatch(/2026-07-28.*no server\/discover/);
  });

  it('with an answer of 100 MB is ended, within bounded memory', verifies('runner.flood'), async () => {
    const { runner, heard } = runnerRig();
    const skill = runnable('misbehave', surface);
    await callTool(runner, skill, 'ok');
    const before = process.memoryUsage().rss;
    await expectCode(callTool(runner, skill, 'flood'), 'skill-output-too-large');
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    expect(exists((await heard('stopped'))['pid'] as number)).toBe(false);
    expect(textOf(await callTool(runner, skill, 'ok'))).toMatch(/^ok/);
  });

  it('does not lose what the hub does not know', async () => {
    const { runner } = runnerRig();
    expect(await callTool(runner, runnable('misbehave', surface), 'exotic')).toEqual({
      content: [
        { type: 'text', text: 'x', 'x-inside': { kept: true } },
        { type: 'org.example/new', body: 1 },
      ],
      structuredContent: { deep: { er: [1, null, 'ü'] } },
      _meta: { 'org.example/trace': 'kept' },
      'x-unknown': [1, 2, 3],
    });
  });
});
