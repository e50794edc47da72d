import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../hub/clock.ts';
import { captureSurface } from '../../../hub/runner/capture.ts';
import type { RunnableSkill } from '../../../hub/runner/runner.ts';
import { createRunner } from '../../../hub/runner/supervisor.ts';
import { createBwrapDriver } from '../../../hub/sandbox/bwrap.ts';
import { expectCode } from '../../support/expect-code.ts';
import { type Fixture, FIXTURES, IDENTITY, planOf } from '../../support/fixture-skills.ts';
import { logLines } from '../../support/log-lines.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';
import { callTool, exists, textOf } from './rig.ts';

/** A runner over the real sandbox, with one fixture packed as a skill is: a single file, far from any node_modules. */
async function sandboxed(fixture: Fixture) {
  const { log, line } = logLines();
  const folder = await tempFolder();
  const packageDir = join(folder, 'skill');
  await mkdir(packageDir);
  const { entry, protocol } = FIXTURES[fixture];
  await build({
    entryPoints: [join(planOf(fixture).packageDir, entry)],
    outfile: join(packageDir, entry),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  });
  const driver = createBwrapDriver({
    path: process.env['PATH'] ?? '',
    stateDir: join(folder, 'state'),
    forbidden: [],
    log,
  });
  const plan = { ...planOf(fixture), packageDir };
  const surface = await captureSurface({ driver, identity: IDENTITY, log }, { plan, protocol });
  const stopped: number[] = [];
  const runner = createRunner({
    driver,
    clock: systemClock,
    identity: IDENTITY,
    log,
    events: {
      started: () => undefined,
      stopped: ({ pid }) => stopped.push(pid ?? 0),
      surfaceChanged: () => undefined,
      resourceUpdated: () => undefined,
    },
  });
  onTestFinished(() => runner.close());
  const skill: RunnableSkill = {
    name: `org.example/${fixture}`,
    version: '1.0.0',
    protocol,
    epoch: '1',
    surface,
    captured: {},
    mayAsk: {},
    timeoutMs: 10_000,
    plan: async () => plan,
  };
  const said = (event: string) => line((one) => String(one['stderr']).startsWith(`event:${event}`));
  return { runner, skill, said };
}

describe('in the real sandbox', () => {
  it.each(['modern', 'legacy'] as const)(
    'a %s skill is captured, called, cancelled and ended',
    verifies('runner.cancel', 'runner.close'),
    async (fixture) => {
      const { runner, skill, said } = await sandboxed(fixture);
      const result = await callTool(runner, skill, 'echo', { arguments: { message: 'inside' } });
      expect(result).toMatchObject({ structuredContent: { said: 'inside' } });
      const giveUp = new AbortController();
      const call = callTool(runner, skill, 'wait', { signal: giveUp.signal });
      await said('waiting');
      giveUp.abort();
      await expectCode(call, 'call-cancelled');
      await said('cancelled');
      const pids = runner.running().map(({ pid }) => pid);
      await runner.close();
      expect(pids).toHaveLength(1);
      expect(pids.filter(exists)).toEqual([]);
    },
  );

  it(
    'a skill that crashes, prints garbage, floods or hangs is ended, and the next call works',
    verifies('runner.crash', 'runner.garbage', 'runner.flood', 'runner.hang'),
    async () => {
      const { runner, skill } = await sandboxed('misbehave');
      const impatient = { ...skill, timeoutMs: 300 };
      const faults = [
        ['crash', 'skill-crashed', skill],
        ['garbage', 'skill-output-invalid', skill],
        ['flood', 'skill-output-too-large', skill],
        ['spin', 'skill-timeout', impatient],
      ] as const;
      for (const [tool, code, which] of faults) {
        await expectCode(callTool(runner, which, tool, { user: tool }), code);
        expect(textOf(await callTool(runner, skill, 'ok', { user: tool }))).toMatch(/^ok/);
      }
    },
  );
});
