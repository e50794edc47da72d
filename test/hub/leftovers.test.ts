import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { errorOfProblem } from '../../protocol/errors.ts';
import { expectCode } from '../support/expect-code.ts';
import { hubRig } from '../support/hub-rig.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { verifies } from '../support/verifies.ts';

const NAME = 'local.test/subject';
const hello = { hello: { code: `return 'hello'` } };

describe('what is left behind', () => {
  it(
    'of a secret whose skill is not installed goes at the next start',
    verifies('hub.leftovers'),
    async () => {
      const rig = await hubRig();
      const secrets = join(rig.home, 'hub', 'secrets');
      await rig.publish(
        await skillFolder({ permissions: { secrets: [{ name: 'KEY', required: true }] }, tools: hello }),
      );
      await rig.install(NAME, '*', { secrets: { KEY: 'hush-hush-hush' } });
      // As a kill between the removal and its end would leave it, and one in the middle of writing.
      await writeFile(join(secrets, 'local.test__gone.json'), '{"KEY":"hush-hush-hush"}');
      await writeFile(join(secrets, 'local.test__subject.json.new'), '{"KEY":"hu');
      await rig.restart();
      expect(await readdir(secrets)).toEqual(['local.test__subject.json']);
      expect(await rig.text(NAME, 'hello')).toBe('hello');
    },
  );

  it(
    'of a package that somebody changed is replaced by installing it again',
    verifies('install.files-rechecked'),
    async () => {
      const rig = await hubRig();
      const { digest } = await rig.publish(await skillFolder({ tools: hello }));
      await rig.install(NAME, '*', {});
      const file = join(rig.home, 'hub', 'packages', digest.replace(':', '-'), 'server', 'index.mjs');
      await appendFile(file, '\n// changed');
      await expectCode(rig.call(NAME, 'hello'), 'files-changed');
      const params = { namespace: 'local.test', name: 'subject' };
      await callRoute(adminApi.removeSkill, { ...rig.admin, params, query: {} });
      await rig.install(NAME, '*', {});
      expect(await readFile(file, 'utf8')).not.toContain('// changed');
      expect(await rig.text(NAME, 'hello')).toBe('hello');
    },
  );
});

describe('two admins at once', () => {
  it('install two skills of one last name, and each has its alias', async () => {
    const rig = await hubRig();
    const names = ['local.one/notes', 'local.two/notes', 'local.three/notes'];
    for (const name of names) await rig.publish(await skillFolder({ name, tools: hello }));
    await Promise.all(names.map((name) => rig.install(name, '*', {})));
    const skills = await callRoute(adminApi.skills, rig.admin);
    expect(new Set(skills.map(({ alias }) => alias)).size).toBe(3);
  });
});

describe('an error of a registry that lies', () => {
  it('with a code that every object has is an error without explanation', () => {
    for (const code of ['constructor', 'toString', '__proto__']) {
      const error = errorOfProblem({ code, detail: 'x' }, 500);
      expect([error.code, error.status]).toEqual(['internal', 500]);
    }
  });
});
