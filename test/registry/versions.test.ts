import { describe, expect, it } from 'vitest';
import { callRoute } from '../../protocol/node/http-client.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { expectCode } from '../support/expect-code.ts';
import { publishNew, testRegistry } from '../support/registry.ts';
import { verifies } from '../support/verifies.ts';

const api = registryApi;

async function withVersions(...versions: string[]) {
  const registry = await testRegistry();
  const key = createKey();
  for (const version of versions) {
    await publishNew(registry, { key, version, manifest: { title: `Hello ${version}` } });
  }
  const at = { baseUrl: registry.url };
  const admin = { ...at, token: registry.adminToken };
  const skill = { namespace: 'local.me', name: 'hello' };
  return {
    at,
    admin,
    skill,
    resolve: async (range?: string) =>
      (
        await callRoute(api.resolve, {
          ...at,
          query: { name: 'local.me/hello', ...(range === undefined ? {} : { range }) },
        })
      ).version,
    info: () => callRoute(api.skill, { ...at, params: skill }),
    yank: (version: string, reason = '') =>
      callRoute(api.yank, { ...admin, params: { ...skill, version }, body: { reason } }),
    unyank: (version: string) => callRoute(api.unyank, { ...admin, params: { ...skill, version } }),
    deprecate: (version: string, message: string | null) =>
      callRoute(api.deprecate, { ...admin, params: { ...skill, version }, body: { message } }),
    search: async () => (await callRoute(api.search, { ...at, query: { q: 'hello' } })).hits,
  };
}

describe('resolve', () => {
  it(
    'takes the highest release of a range, and pre-releases only when asked',
    verifies('registry.resolve'),
    async () => {
      const { resolve, info } = await withVersions('1.0.0', '1.2.0', '1.10.0', '2.0.0', '2.1.0-beta.1');
      expect(await resolve()).toBe('2.0.0');
      expect(await resolve('^1.0.0')).toBe('1.10.0');
      expect(await resolve('~1.2.0')).toBe('1.2.0');
      expect(await resolve('1.0.0')).toBe('1.0.0');
      expect(await resolve('>=2.1.0-beta')).toBe('2.1.0-beta.1');
      expect((await expectCode(resolve('^3.0.0'), 'version-not-found')).message).toContain('2.1.0-beta.1');
      await expectCode(resolve('not a range'), 'range-invalid');
      expect((await info()).versions.map(({ version }) => version)).toEqual([
        '2.1.0-beta.1',
        '2.0.0',
        '1.10.0',
        '1.2.0',
        '1.0.0',
      ]);
      expect((await info()).latest).toBe('2.0.0');
    },
  );

  it('knows what does not exist', async () => {
    const { at } = await withVersions('1.0.0');
    await expectCode(callRoute(api.resolve, { ...at, query: { name: 'local.me/none' } }), 'skill-not-found');
    await expectCode(
      callRoute(api.skill, { ...at, params: { namespace: 'local.me', name: 'none' } }),
      'skill-not-found',
    );
    const params = { namespace: 'local.me', name: 'hello', version: '9.0.0' };
    await expectCode(callRoute(api.version, { ...at, params }), 'version-not-found');
  });
});

describe('yank', () => {
  it(
    'takes a version out of resolution and search, and unyank puts it back',
    verifies('registry.yank'),
    async () => {
      const { resolve, yank, unyank, info, search, at, skill } = await withVersions('1.0.0', '1.1.0');
      expect(await yank('1.1.0', 'loses data')).toEqual({
        name: 'local.me/hello',
        version: '1.1.0',
        yanked: true,
        yankReason: 'loses data',
        deprecated: null,
      });
      expect(await resolve('^1.0.0')).toBe('1.0.0');
      expect(await info()).toMatchObject({ latest: '1.0.0', title: 'Hello 1.0.0' });
      expect((await search())[0]?.version).toBe('1.0.0');
      // Whoever has it pinned can still see and verify it.
      const reply = await callRoute(api.version, { ...at, params: { ...skill, version: '1.1.0' } });
      expect(reply).toMatchObject({ yanked: true, yankReason: 'loses data' });

      await yank('1.0.0');
      await expectCode(resolve(), 'version-not-found');
      expect(await info()).toMatchObject({ latest: null, title: 'Hello 1.1.0' });
      expect(await search()).toEqual([]);
      expect(await unyank('1.1.0')).toMatchObject({ yanked: false, yankReason: null });
      expect(await resolve()).toBe('1.1.0');
      expect((await search())[0]?.version).toBe('1.1.0');
    },
  );

  it('a second time changes nothing', async () => {
    const { yank } = await withVersions('1.0.0');
    await yank('1.0.0', 'first');
    expect((await yank('1.0.0', 'second')).yankReason).toBe('first');
    await expectCode(yank('9.9.9'), 'version-not-found');
  });
});

describe('deprecate', () => {
  it('warns, keeps resolving, and can be taken back', verifies('registry.deprecate'), async () => {
    const { resolve, deprecate, search } = await withVersions('1.0.0');
    expect((await deprecate('1.0.0', 'use local.me/hi')).deprecated).toBe('use local.me/hi');
    expect(await resolve()).toBe('1.0.0');
    expect((await search())[0]?.deprecated).toBe('use local.me/hi');
    expect((await deprecate('1.0.0', null)).deprecated).toBeNull();
    await expectCode(deprecate('1.0.0', ''), 'request-invalid');
  });
});
