import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { hubConfigSchema } from '../../hub/config.ts';
import { startHub } from '../../hub/main.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { answering } from '../support/compile.ts';
import { expectCode } from '../support/expect-code.ts';
import { hubRig } from '../support/hub-rig.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

const NAME = 'local.test/subject';
const { PATH: SEARCH_PATH = '' } = process.env; // oxlint-disable-line node/no-process-env

const folderWith = (...programs: string[]) =>
  skillFolder({
    permissions: { subprocess: programs.map((exec) => ({ exec, reason: 'it is asked' })) },
    prelude: `import { execFileSync } from 'node:child_process';`,
    tools: { run: { code: `return execFileSync(args.program, { encoding: 'utf8' });` } },
  });

/** A hub that finds one more program than others. */
async function rigWithTool() {
  const bin = await tempFolder();
  await answering('the tool speaks', join(bin, 'tool'));
  const rig = await hubRig({ config: { path: `${SEARCH_PATH}:${bin}` } });
  return { rig, tool: join(bin, 'tool') };
}

describe('a skill that was granted a program', () => {
  it(
    'runs it, and what ran is on record with its digest, at the approval and at each start',
    { timeout: 60_000, ...verifies('sandbox.programs-recorded', 'sandbox.granted-programs') },
    async () => {
      const { rig, tool } = await rigWithTool();
      await rig.publish(await folderWith('tool'));
      const { installed } = await rig.install(NAME, undefined, { tools: { run: 'allow' } });
      expect(installed?.notes).toEqual([`Runs tool of this machine, ${tool}.`]);
      expect(await rig.text(NAME, 'run', { program: 'tool' })).toContain('the tool speaks');
      const audit = await callRoute(adminApi.audit, { ...rig.admin, query: {} });
      const recorded = (event: string) => audit.find((entry) => entry.event === event)?.record;
      const used = recorded('program.used');
      expect(used).toMatchObject({ skill: NAME, program: 'tool', path: tool, user: 'owner' });
      const { program, path, digest } = used as Record<string, unknown>;
      expect(recorded('install.approved')).toMatchObject({ programs: [{ program, path, digest }] });
    },
  );

  it(
    'does not start once the program is gone',
    { timeout: 60_000, ...verifies('sandbox.granted-programs') },
    async () => {
      const { rig, tool } = await rigWithTool();
      await rig.publish(await folderWith('tool'));
      await rig.install(NAME, undefined, { tools: { run: 'allow' } });
      await rm(tool);
      const { message, hint } = await expectCode(
        rig.call(NAME, 'run', { program: 'tool' }),
        'program-missing',
      );
      expect([message, hint]).toEqual([
        expect.stringContaining('tool'),
        expect.stringContaining('Install tool'),
      ]);
    },
  );

  it(
    'that this machine lacks is not approved with it, and says so before',
    { timeout: 60_000, ...verifies('sandbox.granted-programs') },
    async () => {
      const rig = await hubRig();
      await rig.publish(await folderWith('no-such-program'));
      const { approval } = await rig.install(NAME);
      expect(approval?.problem).toContain('no-such-program');
      await expectCode(rig.install(NAME, undefined, {}), 'program-missing');
      const without = { without: ['subprocess:no-such-program'], tools: { run: 'allow' as const } };
      const { installed } = await rig.install(NAME, undefined, without);
      expect(installed?.state).toBe('ready');
    },
  );
});

describe('a hub', () => {
  it(
    'does not start with an interpreter that skills could not run with',
    verifies('sandbox.interpreters'),
    async () => {
      const home = await tempFolder();
      const old = await answering('18.20.0', join(await tempFolder(), 'node'));
      const config = hubConfigSchema.parse({ home, port: 0, path: SEARCH_PATH, node: old });
      const parts = { log: createLogger({ level: 'silent', name: 'test' }), version: '0', environment: {} };
      const refused = await expectCode(startHub(config, parts), 'config-invalid');
      expect(refused.message).toContain('18.20.0');
      expect(hubConfigSchema.safeParse({ home, path: '', node: 'node' }).success).toBe(false);
    },
  );
});
