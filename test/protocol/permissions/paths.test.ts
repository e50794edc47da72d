import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindPaths, insideValues, normalise, substitute } from '../../../protocol/permissions.ts';
import { readGrantPath } from '../../../protocol/permissions/paths.ts';
import { expectCode } from '../../support/expect-code.ts';
import { anyPermissions } from '../../support/permission-arbitraries.ts';
import { verifies } from '../../support/verifies.ts';

const bindings = {
  workspace: '/home/me/work',
  data: '/berth/data/owner/x',
  config: { folder: '/srv/one', folder2: '/srv/two', units: 'metric' },
};
const grants = normalise({
  filesystem: [
    { path: '${workspace}', mode: 'r' },
    { path: '${workspace}/out', mode: 'rw' },
    { path: '${data}', mode: 'rw' },
    { path: '${config.folder2}/reports', mode: 'r' },
    { path: '${config.folder}', mode: 'r' },
  ],
});

describe('a granted path', () => {
  it.each([
    '/etc',
    'C:/x',
    '../x',
    'reports',
    '${workspace}/../x',
    '${workspace}/a/../../x',
    '${workspace}/..',
    '${workspace}//a',
    '${workspace}/.',
    '${workspace}/',
    '${workspace}x',
    '${workspace}\\..\\x',
    '${workspace}/a\0b',
    '${workspace}/a\nb',
    '${workspace}/${data}',
    '${home}',
    '${config.a.b}',
    '${config.}',
    '${workspace}/e\u0301',
    `\${workspace}/${'a'.repeat(300)}`,
  ])('is not %j', verifies('permissions.paths-inside', 'manifest.tight'), (path) => {
    expect(readGrantPath(path)).toMatchObject({ ok: false });
  });

  it.each(['${workspace}', '${data}/cache', '${config.folder}/a b/é', '${workspace}/..a/...'])(
    'may be %j',
    (path) => {
      expect(readGrantPath(path)).toMatchObject({ ok: true });
    },
  );
});

describe('binding granted folders', () => {
  it('gives each its place inside, parents first', verifies('permissions.paths-inside'), () => {
    expect(bindPaths(grants, bindings)).toEqual([
      { source: '/berth/data/owner/x', target: '/data', mode: 'rw', root: '/berth/data/owner/x' },
      { source: '/srv/one', target: '/grants/1', mode: 'r', root: '/srv/one' },
      { source: '/srv/two/reports', target: '/grants/2/reports', mode: 'r', root: '/srv/two' },
      { source: '/home/me/work', target: '/workspace', mode: 'r', root: '/home/me/work' },
      { source: '/home/me/work/out', target: '/workspace/out', mode: 'rw', root: '/home/me/work' },
    ]);
  });

  it(
    'never leaves the folder that the admin named, nor its place inside',
    verifies('permissions.paths-inside'),
    () => {
      fc.assert(
        fc.property(anyPermissions, (permissions) => {
          const bound = bindPaths(permissions, bindings);
          expect(bound).toHaveLength(permissions.filesystem.length);
          for (const { source, target, root } of bound) {
            expect(`${source}/`.startsWith(`${root}/`)).toBe(true);
            expect(target).toMatch(/^\/(workspace|data|grants\/[12])(\/|$)/);
          }
        }),
        { numRuns: 100 },
      );
    },
  );

  it(
    'refuses a path that climbs even where no manifest was read',
    verifies('permissions.paths-inside'),
    async () => {
      const climbing = { ...grants, filesystem: [{ path: '${workspace}/../other', mode: 'r' as const }] };
      await expectCode(() => bindPaths(climbing, bindings), 'binding-refused');
    },
  );

  it.each(['work', '../work', '/home/me/../you', '/', '', '/a/./b', '/a\0b'])(
    'refuses %j as a workspace',
    verifies('permissions.paths-inside'),
    async (workspace) => {
      await expectCode(() => bindPaths(grants, { ...bindings, workspace }), 'binding-refused');
    },
  );

  it('names the flag for what stands for nothing yet', async () => {
    const workspace = await expectCode(
      () => bindPaths(grants, { ...bindings, workspace: undefined }),
      'binding-missing',
    );
    expect(workspace.hint).toContain('--workspace');
    const config = await expectCode(() => bindPaths(grants, { ...bindings, config: {} }), 'binding-missing');
    expect(config.hint).toMatch(/--set folder2?=/);
  });
});

describe('substitution in arguments', () => {
  const values = insideValues(grants, bindings.config);

  it('tells a skill the places inside, never those on the host', verifies('permissions.paths-inside'), () => {
    expect(values).toEqual({
      workspace: '/workspace',
      data: '/data',
      config: { folder: '/grants/1', folder2: '/grants/2', units: 'metric' },
    });
    expect(substitute('--root=${workspace}/a --in ${config.folder} ${config.units}$', values)).toBe(
      '--root=/workspace/a --in /grants/1 metric$',
    );
  });

  it('does not look again at what it put in', () => {
    const nested = insideValues(grants, { units: '${workspace}' });
    expect(substitute('${config.units}', nested)).toBe('${workspace}');
  });

  it('refuses a reference that stands for nothing', async () => {
    await expectCode(() => substitute('${config.constructor}', values), 'binding-missing');
    await expectCode(() => substitute('${HOME}', values), 'binding-missing');
  });
});
