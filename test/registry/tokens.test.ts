import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { callRoute } from '../../protocol/node/http-client.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { createToken } from '../../protocol/node/tokens.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { callerOf } from '../../registry/tokens.ts';
import { expectCode } from '../support/expect-code.ts';
import { publishTo, testRegistry, type TestRegistry } from '../support/registry.ts';
import { skillPackage } from '../support/skill-package.ts';
import { verifies } from '../support/verifies.ts';

const api = registryApi;

function tokenFor(
  registry: TestRegistry,
  body: { name?: string; namespaces?: string[]; admin?: boolean; expiresInDays?: number | null },
) {
  return callRoute(api.addToken, {
    baseUrl: registry.url,
    token: registry.adminToken,
    body: { name: 'author', ...body },
  });
}

describe('a publisher token', () => {
  it(
    'is shown once, listed without its secret, and refused after its removal',
    verifies('registry.tokens'),
    async () => {
      const registry = await testRegistry();
      const { token, record } = await tokenFor(registry, { namespaces: ['com.acme'] });
      const who = await callRoute(api.whoami, { baseUrl: registry.url, token });
      expect(who).toMatchObject({ id: record.id, name: 'author', admin: false, namespaces: ['com.acme'] });

      const admin = { baseUrl: registry.url, token: registry.adminToken };
      const { tokens } = await callRoute(api.tokens, admin);
      expect(tokens.map(({ name }) => name)).toEqual(['admin.token', 'author']);
      expect(JSON.stringify(tokens)).not.toContain(token);
      const { removed } = await callRoute(api.removeToken, { ...admin, params: { id: record.id } });
      expect(removed.id).toBe(record.id);
      await expectCode(callRoute(api.whoami, { baseUrl: registry.url, token }), 'not-signed-in');
      await expectCode(
        callRoute(api.removeToken, { ...admin, params: { id: record.id } }),
        'token-not-found',
      );
      expect(registry.logged.join('')).not.toContain(token);
    },
  );

  it('is kept as a hash only', verifies('registry.tokens'), async () => {
    const registry = await testRegistry();
    const { token } = await tokenFor(registry, { namespaces: ['com.acme'] });
    await registry.stop();
    const folder = join(registry.folder, 'registry');
    for (const name of await readdir(folder)) {
      if ((await stat(join(folder, name))).isFile()) {
        expect((await readFile(join(folder, name))).includes(token), name).toBe(false);
      }
    }
  });

  it(
    'publishes in its namespaces only, and cannot manage tokens',
    verifies('registry.tokens-scoped'),
    async () => {
      const registry = await testRegistry();
      const { token } = await tokenFor(registry, { namespaces: ['com.acme', 'org.tools.*'] });
      const skill = (name: string) => skillPackage({ name, key });
      const key = createKey();
      for (const namespace of ['com.acme', 'org.tools.deep', 'com.other'])
        await registry.admin.registerKey(namespace, key.record);
      await publishTo(registry, await skill('com.acme/one'), token);
      await publishTo(registry, await skill('org.tools.deep/two'), token);
      await expectCode(publishTo(registry, await skill('com.other/three'), token), 'namespace-not-yours');
      const which = { baseUrl: registry.url, token };
      await expectCode(callRoute(api.tokens, which), 'forbidden');
      await expectCode(
        callRoute(api.addToken, { ...which, body: { name: 'more', admin: true } }),
        'forbidden',
      );
      await publishTo(registry, await skill('com.other/three'));
      const params = { namespace: 'com.other', name: 'three', version: '1.0.0' };
      await expectCode(callRoute(api.yank, { ...which, params, body: {} }), 'namespace-not-yours');
    },
  );

  it('that is wrong, mistyped, or no token at all is refused', verifies('registry.tokens'), async () => {
    const registry = await testRegistry();
    for (const token of [createToken(), `${registry.adminToken}0`, 'x', registry.adminToken.slice(0, -1)]) {
      await expectCode(callRoute(api.whoami, { baseUrl: registry.url, token }), 'not-signed-in');
      // Not even where no token is needed: whoever sends one wants to know.
      await expectCode(callRoute(api.health, { baseUrl: registry.url, token }), 'not-signed-in');
    }
    const basic = await fetch(`${registry.url}/v1/whoami`, { headers: { authorization: 'Basic dTpw' } });
    expect([basic.status, basic.headers.get('www-authenticate')]).toEqual([
      401,
      'Bearer realm="berth", error="invalid_token"',
    ]);
  });

  it('ends at its time', verifies('registry.tokens'), async () => {
    const token = createToken();
    const row = {
      id: 'tok_1',
      name: 'author',
      hash: Buffer.alloc(32),
      admin: false,
      namespaces: [],
      createdAt: '',
      lastUsedAt: null,
    };
    const store = { tokenByHash: async () => ({ ...row, expiresAt: '2026-01-01T00:00:00.000Z' }) };
    const at = (time: string) => callerOf({ store, clock: () => new Date(time) }, `Bearer ${token}`);
    expect(await at('2025-12-31T23:59:59.999Z')).toMatchObject({ tokenId: 'tok_1' });
    await expectCode(at('2026-01-01T00:00:00.000Z'), 'token-expired');
  });

  it('needs a namespace or the admin flag', async () => {
    const registry = await testRegistry();
    await expectCode(tokenFor(registry, {}), 'request-invalid');
    await expectCode(tokenFor(registry, { namespaces: ['*'] }), 'request-invalid');
    expect((await tokenFor(registry, { admin: true, expiresInDays: null })).record.expiresAt).toBeNull();
  });

  it('shows when it was used last', async () => {
    const registry = await testRegistry();
    const { token } = await tokenFor(registry, { namespaces: ['com.acme'] });
    await callRoute(api.whoami, { baseUrl: registry.url, token });
    await registry.stop();
    const again = await testRegistry({}, registry.folder);
    expect((await callRoute(api.whoami, { baseUrl: again.url, token })).lastUsedAt).toMatch(/^20/);
  });
});

describe('the admin token of the home', () => {
  it('lives and dies with its file', verifies('registry.home-token'), async () => {
    const registry = await testRegistry();
    const file = join(registry.folder, 'admin.token');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expectCode(
      callRoute(api.removeToken, {
        baseUrl: registry.url,
        token: registry.adminToken,
        params: { id: 'home' },
      }),
      'forbidden',
    );
    await registry.stop();
    await rm(file);
    const again = await testRegistry({}, registry.folder);
    expect(again.adminToken).not.toBe(registry.adminToken);
    await expectCode(
      callRoute(api.whoami, { baseUrl: again.url, token: registry.adminToken }),
      'not-signed-in',
    );
    expect((await callRoute(api.whoami, { baseUrl: again.url, token: again.adminToken })).admin).toBe(true);
    await again.stop();
    await writeFile(file, 'something else');
    await expectCode(testRegistry({}, registry.folder), 'config-invalid');
  });
});
