import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { createBackoff } from '../../../hub/runner/backoff.ts';
import { paced } from '../../../hub/runner/pace.ts';
import { watchStderr } from '../../../hub/runner/stderr.ts';
import type { Surface } from '../../../protocol/surface.ts';
import { callTool, runnerRig, textOf } from '../../hub/runner/rig.ts';
import { callPath } from '../../support/call-path.ts';
import { capture, runnable } from '../../support/fixture-skills.ts';
import { expectCode } from '../../support/expect-code.ts';
import { logLines } from '../../support/log-lines.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';

let surface: Surface;

beforeAll(async () => {
  surface = await capture('misbehave');
});

describe('a skill', () => {
  it(
    'that reports progress without end is not passed on without end',
    verifies('call.progress-bounded'),
    async () => {
      const path = await callPath({
        perform: async (request) => {
          for (let progress = 1; progress <= 50_000; progress += 1) {
            request.onProgress?.({ progress, message: 'x'.repeat(10_000) });
          }
          return { content: [] };
        },
      });
      let characters = 0;
      await path.request('tools/call', { name: 'say', arguments: {} }, undefined, {
        onProgress: (progress) => {
          characters += JSON.stringify(progress).length;
        },
      });
      expect(characters).toBeGreaterThan(10_000);
      expect(characters).toBeLessThan(500_000);
    },
  );

  it(
    'that keeps saying that its lists changed is looked at now and then',
    verifies('runner.surface'),
    async () => {
      const clock = manualClock();
      const { runner, lines, said } = runnerRig({ clock });
      const skill = runnable('misbehave', surface, { args: ['storm'] });
      for (let call = 0; call < 30; call += 1)
        expect(textOf(await callTool(runner, skill, 'ok'))).toMatch(/^ok/);
      await said('listed');
      const listed = () => lines.filter((line) => String(line['stderr']).startsWith('event:listed')).length;
      expect(listed()).toBeLessThanOrEqual(3);
    },
  );
});

describe('a skill that talks without end', () => {
  // What is read at once, and in each second, each line counting as a kilobyte at least (hub/runner/pace.ts).
  const LINES = 16 * 1024;

  it('is read no faster than leaves the hub to others', verifies('runner.pace'), async () => {
    const { runner, lines, heard } = runnerRig();
    const skill = runnable('misbehave', surface);
    const other = { ...skill, name: 'dev.berth/other' };
    await callTool(runner, other, 'ok');
    const started = performance.now();
    const stop = new AbortController();
    const call = callTool(runner, skill, 'chatter', { signal: stop.signal });
    await heard('started', 2);
    for (let n = 0; n < 2_000; n += 1) expect(textOf(await callTool(runner, other, 'ok'))).toMatch(/^ok/);
    const seconds = (performance.now() - started) / 1000;
    const read = lines.filter((line) => line['msg'] === 'the skill logs').length;
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(LINES * (1 + seconds) + 1_000);
    stop.abort();
    await expectCode(call, 'call-cancelled');
  });

  it('on standard error is left unread, too', verifies('runner.pace'), async () => {
    const stream = new PassThrough();
    const { log } = logLines();
    const stderr = watchStderr({ stream, secrets: new Map(), clock: manualClock(), log });
    while (!stream.isPaused())
      if (!stream.write('blah\n'.repeat(10_000)))
        await Promise.race([once(stream, 'drain'), once(stream, 'pause')]);
    expect(stderr.lastWords()).toContain('blah');
  });

  it(
    'is read on when it has been left alone for long enough, from where it was',
    verifies('runner.pace'),
    () => {
      const clock = manualClock();
      const stream = new PassThrough();
      const pace = paced(stream, clock);
      pace(16 * 1024 * 1024, 0);
      expect(stream.isPaused()).toBe(false);
      pace(8 * 1024 * 1024, 0);
      expect(stream.isPaused()).toBe(true);
      clock.advance(499);
      expect(stream.isPaused()).toBe(true);
      clock.advance(1);
      expect(stream.isPaused()).toBe(false);
      // Empty lines cost, too.
      pace(0, 1_024);
      clock.advance(10_000);
      pace(0, 16 * 1024);
      expect(stream.isPaused()).toBe(false);
      pace(0, 1);
      expect(stream.isPaused()).toBe(true);
    },
  );
});

describe('a clock that is put back', () => {
  it('does not keep a skill from starting for as long', () => {
    let now = 10_000_000;
    const backoff = createBackoff({ clock: { now: () => now }, firstMs: 1_000, maxMs: 60_000 });
    for (let failure = 0; failure < 3; failure += 1) backoff.failed('skill');
    now -= 3_600_000;
    expect(backoff.wait('skill').ms).toBeLessThanOrEqual(2_000);
  });
});
