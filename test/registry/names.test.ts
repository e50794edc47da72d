import { describe, expect, it } from 'vitest';
import { callRoute } from '../../protocol/node/http-client.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { coveringPatterns, mayPublish } from '../../registry/names.ts';
import { expectCode } from '../support/expect-code.ts';
import { publishTo, testRegistry } from '../support/registry.ts';
import { skillPackage } from '../support/skill-package.ts';
import { verifies } from '../support/verifies.ts';

const api = registryApi;

describe('patterns', () => {
  it('cover what lies below them, label by label', () => {
    expect(coveringPatterns('local.a.b')).toEqual(['local.a.b', 'local.a.*', 'local.*']);
    expect(coveringPatterns('local.*')).toEqual(['local.*']);
    const caller = { tokenId: '', name: '', admin: false, namespaces: ['com.acme', 'local.*'] };
    const may = (namespace: string) => mayPublish(caller, namespace);
    expect(['com.acme', 'local.a', 'local.a.b', 'local.*'].map(may)).toEqual([true, true, true, true]);
    expect(['com.acme.sub', 'com.acmee', 'localx.a', 'local', 'com.*'].map(may)).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('keys of a namespace', () => {
  it(
    'start with one of whoever may publish there; more, and patterns, are the admin’s',
    verifies('registry.keys'),
    async () => {
      const registry = await testRegistry();
      const admin = { baseUrl: registry.url, token: registry.adminToken };
      const { token } = await callRoute(api.addToken, {
        ...admin,
        body: { name: 'author', namespaces: ['com.acme'] },
      });
      const author = { baseUrl: registry.url, token };
      const [first, second] = [createKey(), createKey('p256')];
      const add = (as: typeof author, namespace: string, key = first) =>
        callRoute(api.addKey, { ...as, params: { namespace }, body: { publicKey: key.record.publicKey } });

      await expectCode(add(author, 'com.other'), 'namespace-not-yours');
      expect((await add(author, 'com.acme')).keys).toEqual([first.record]);
      expect((await add(author, 'com.acme')).keys).toEqual([first.record]);
      await expectCode(add(author, 'com.acme', second), 'forbidden');
      expect((await add(admin, 'com.acme', second)).keys).toEqual([first.record, second.record]);
      await expectCode(add(author, 'com.acme.*'), 'namespace-not-yours');
      expect((await add(admin, 'org.tools.*', second)).keys).toEqual([second.record]);
      const served = await callRoute(api.keys, {
        baseUrl: registry.url,
        params: { namespace: 'org.tools.deep' },
      });
      expect(served).toEqual({ namespace: 'org.tools.deep', keys: [second.record] });
      expect(
        (await callRoute(api.keys, { baseUrl: registry.url, params: { namespace: 'org.tools' } })).keys,
      ).toEqual([]);
    },
  );

  it('that are retired stay retired, everywhere', verifies('registry.signer'), async () => {
    const registry = await testRegistry();
    const admin = { baseUrl: registry.url, token: registry.adminToken };
    const skill = await skillPackage();
    const { keyId, publicKey } = skill.key.record;
    await registry.admin.registerKey('local.*', skill.key.record);
    await registry.admin.registerKey('local.me', skill.key.record);
    await publishTo(registry, skill);
    const retire = (namespace: string) =>
      callRoute(api.retireKey, { ...admin, params: { namespace }, body: { keyId } });
    const { keys } = await retire('local.*');
    expect(keys[0]?.retiredAt).toMatch(/^20/);
    expect(await retire('local.*')).toEqual({ namespace: 'local.*', keys });
    const served = await callRoute(api.keys, { baseUrl: registry.url, params: { namespace: 'local.me' } });
    expect(served.keys).toEqual(keys);
    await expectCode(
      publishTo(registry, await skillPackage({ key: skill.key, version: '2.0.0' })),
      'key-retired',
    );
    await expectCode(
      callRoute(api.addKey, { ...admin, params: { namespace: 'local.*' }, body: { publicKey } }),
      'key-retired',
    );
    await expectCode(retire('com.none'), 'key-not-found');
  });

  it('must be real keys', async () => {
    const registry = await testRegistry();
    const call = { baseUrl: registry.url, token: registry.adminToken, params: { namespace: 'com.acme' } };
    await expectCode(callRoute(api.addKey, { ...call, body: { publicKey: 'AAAA' } }), 'request-invalid');
    await expectCode(
      callRoute(api.addKey, { ...call, params: { namespace: 'Not-a-name' }, body: { publicKey: 'AAAA' } }),
      'request-invalid',
    );
  });
});
