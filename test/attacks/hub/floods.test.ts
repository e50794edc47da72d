import { beforeAll, describe, expect, it } from 'vitest';
import { createBackoff } from '../../../hub/runner/backoff.ts';
import type { Surface } from '../../../protocol/surface.ts';
import { callTool, runnerRig, textOf } from '../../hub/runner/rig.ts';
import { callPath } from '../../support/call-path.ts';
import { capture, runnable } from '../../support/fixture-skills.ts';
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

describe('a clock that is put back', () => {
  it('does not keep a skill from starting for as long', () => {
    let now = 10_000_000;
    const backoff = createBackoff({ clock: { now: () => now }, firstMs: 1_000, maxMs: 60_000 });
    for (let failure = 0; failure < 3; failure += 1) backoff.failed('skill');
    now -= 3_600_000;
    expect(backoff.wait('skill').ms).toBeLessThanOrEqual(2_000);
  });
});
