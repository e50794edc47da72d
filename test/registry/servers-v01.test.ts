import { describe, expect, it } from 'vitest';
import { callRoute } from '../../protocol/node/http-client.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { expectCode } from '../support/expect-code.ts';
import { hexOf, publishNew, testRegistry } from '../support/registry.ts';
import { verifies } from '../support/verifies.ts';

const OFFICIAL = 'io.modelcontextprotocol.registry/official';
const api = registryApi;

async function seeded() {
  const registry = await testRegistry();
  const key = createKey();
  const first = await publishNew(registry, {
    key,
    manifest: { repository: { url: 'https://github.com/me/hello' } },
  });
  await publishNew(registry, { key, version: '1.1.0' });
  await publishNew(registry, { key, name: 'local.me/other' });
  await publishNew(registry, {
    key,
    name: 'local.me/words',
    manifest: { runtime: { kind: 'prompt-only' } },
    surface: {},
    files: { 'SKILL.md': '---\nname: words\ndescription: d\n---\nHi' },
  });
  await publishNew(registry, {
    key,
    name: 'local.me/afar',
    manifest: {
      runtime: { kind: 'remote', url: 'https://mcp.example.com/mcp', protocol: '2025-11-25' },
      permissions: { network: [{ host: 'mcp.example.com', ports: [443], protocol: 'tls' }] },
    },
    surface: {},
  });
  // The official clients' queries are wider than ours, so they are not typed here.
  const list = (query: Record<string, unknown> = {}) =>
    callRoute(api.servers, { baseUrl: registry.url, query });
  const names = async (query: Record<string, unknown> = {}) =>
    (await list(query)).servers.map(({ server }) => `${server.name}@${server.version}`);
  return { registry, first, list, names };
}

describe('/v0.1/servers', () => {
  it('lists servers as the official registry does, page by page', verifies('registry.v01'), async () => {
    const { list, names } = await seeded();
    const all = [
      'local.me/afar@1.0.0',
      'local.me/hello@1.0.0',
      'local.me/hello@1.1.0',
      'local.me/other@1.0.0',
    ];
    expect(await names()).toEqual(all);
    expect(await names({ version: 'latest' })).toEqual([all[0], all[2], all[3]]);
    expect(await names({ version: '1.1.0' })).toEqual([all[2]]);
    expect(await names({ search: 'ell' })).toEqual([all[1], all[2]]);
    expect(await names({ search: '%' })).toEqual([]);
    expect(await names({ updated_since: '2999-01-01T00:00:00+02:00' })).toEqual([]);
    expect(
      await names({ updated_since: '2000-01-01T00:00:00Z', include_deleted: 'true', unknown: '1' }),
    ).toEqual(all);

    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await list({ limit: 1, ...(cursor === undefined ? {} : { cursor }) });
      expect(page.metadata.count).toBe(1);
      seen.push(...page.servers.map(({ server }) => `${server.name}@${server.version}`));
      cursor = page.metadata.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(all);
    await expectCode(list({ cursor: 'nonsense' }), 'request-invalid');
    await expectCode(list({ limit: 101 }), 'request-invalid');
  });

  it(
    'says where each comes from, and leads to its verifiable details',
    verifies('registry.v01'),
    async () => {
      const { registry, first, list } = await seeded();
      const [afar, hello] = (await list()).servers;
      expect(JSON.stringify(afar?.server['_meta'])).toContain('cannot be verified');
      expect(JSON.stringify(hello?.server['_meta'])).not.toContain('cannot be verified');
      expect(afar?.server['remotes']).toEqual([
        { type: 'streamable-http', url: 'https://mcp.example.com/mcp' },
      ]);
      expect(hello?.server).toMatchObject({
        name: 'local.me/hello',
        title: 'Hello',
        repository: { url: 'https://github.com/me/hello', source: 'github' },
        packages: [
          {
            fileSha256: hexOf(first),
            identifier: `${registry.url}/v1/blobs/sha256/${hexOf(first)}`,
            transport: { type: 'stdio' },
          },
        ],
      });
      expect(hello?.['_meta'][OFFICIAL]).toMatchObject({ status: 'active', isLatest: false });
    },
  );

  it(
    'answers versions, the last published first, and one by number or latest',
    verifies('registry.v01'),
    async () => {
      const { registry } = await seeded();
      const at = { baseUrl: registry.url };
      const serverName = 'local.me/hello';
      const { servers } = await callRoute(api.serverVersions, { ...at, params: { serverName } });
      expect(servers.map(({ server }) => server.version)).toEqual(['1.1.0', '1.0.0']);
      const version = async (number: string) =>
        callRoute(api.serverVersion, { ...at, params: { serverName, version: number } });
      expect((await version('latest')).server.version).toBe('1.1.0');
      expect((await version('1.0.0')).server.version).toBe('1.0.0');
      await expectCode(version('9.0.0'), 'version-not-found');
      await expectCode(
        callRoute(api.serverVersions, { ...at, params: { serverName: 'local.me/none' } }),
        'skill-not-found',
      );

      const params = { namespace: 'local.me', name: 'hello', version: '1.1.0' };
      await callRoute(api.yank, { ...at, token: registry.adminToken, params, body: { reason: 'broken' } });
      expect((await version('latest')).server.version).toBe('1.0.0');
      expect((await version('1.1.0'))['_meta'][OFFICIAL]).toMatchObject({
        status: 'deprecated',
        statusMessage: 'yanked: broken',
        isLatest: false,
      });
    },
  );
});
