import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hubConfigSchema } from '../../../hub/config.ts';
import { type ConfigFault, describeConfig, loadConfig } from '../../../protocol/node/config.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const GOOD = {
  resource: 'https://hub.example.com',
  issuers: [{ url: 'https://id.example.com/tenant' }],
  scopes: { notes: { skills: ['dev.berth/memory'], tools: ['recall'] } },
};
const ENV = { BERTH_HUB_HOME: '/nowhere', BERTH_HUB_PATH: '/usr/bin' };

async function load(oauth: unknown, env: Record<string, string> = {}) {
  const file = join(await tempFolder(), 'hub.json');
  await writeFile(file, JSON.stringify({ oauth }));
  return loadConfig(hubConfigSchema, { file, env: { ...ENV, ...env }, prefix: 'BERTH_HUB_' });
}

describe('the settings for authorization servers', () => {
  it('are tight where nothing is said', verifies('oauth.config'), async () => {
    const { oauth } = await load(GOOD);
    expect(oauth).toEqual({
      ...GOOD,
      algorithms: ['RS256', 'ES256', 'EdDSA'],
      tokenTypes: ['at+jwt'],
      userClaim: 'sub',
      clockSkewSeconds: 30,
    });
    const none = await loadConfig(hubConfigSchema, { env: ENV, prefix: 'BERTH_HUB_' });
    expect(none.oauth).toBeUndefined();
  });

  it('may name an authorization server on this machine without TLS', verifies('oauth.config'), async () => {
    for (const url of ['http://127.0.0.1:3000', 'http://localhost:3000/realm', 'http://[::1]:3000'])
      expect((await load({ ...GOOD, issuers: [{ url }] })).oauth?.issuers).toEqual([{ url }]);
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['an issuer without TLS elsewhere', 'issuers.0.url', { issuers: [{ url: 'http://id.example.com' }] }],
    [
      'an issuer that only looks like loopback',
      'issuers.0.url',
      { issuers: [{ url: 'http://127.0.0.1.evil.test' }] },
    ],
    ['an issuer with a password', 'issuers.0.url', { issuers: [{ url: 'https://me:pw@id.example.com' }] }],
    ['an issuer with a query', 'issuers.0.url', { issuers: [{ url: 'https://id.example.com/?a=b' }] }],
    ['an issuer that is a file', 'issuers.0.url', { issuers: [{ url: 'file:///etc/passwd' }] }],
    ['the same issuer twice', 'issuers', { issuers: [...GOOD.issuers, ...GOOD.issuers] }],
    ['no issuer', 'issuers', { issuers: [] }],
    [
      'keys without TLS',
      'issuers.0.jwksUrl',
      { issuers: [{ ...GOOD.issuers[0], jwksUrl: 'http://id.example.com/jwks' }] },
    ],
    ['a shared secret as signature', 'algorithms.0', { algorithms: ['HS256'] }],
    ['no signature', 'algorithms.0', { algorithms: ['none'] }],
    ['no algorithm', 'algorithms', { algorithms: [] }],
    ['clocks an hour apart', 'clockSkewSeconds', { clockSkewSeconds: 3_600 }],
    ['a resource with a fragment', 'resource', { resource: 'https://hub.example.com#a' }],
    ['a resource with a slash at its end', 'resource', { resource: 'https://hub.example.com/' }],
    ['a resource that is no address of the hub', 'resource', { resource: 'https://hub.example.com/other' }],
    ['a resource without TLS', 'resource', { resource: 'http://hub.example.com' }],
    ['no scope', 'scopes', { scopes: {} }],
    ['a scope that would end the header', 'scopes.a"b', { scopes: { 'a"b': { skills: ['*'] } } }],
    ['a scope that opens nothing', 'scopes.a.skills', { scopes: { a: { skills: [] } } }],
    ['a skill that is no name', 'scopes.a.skills.0', { scopes: { a: { skills: ['files'] } } }],
    ['a word that is not known', 'scopes.a.skill', { scopes: { a: { skills: ['*'], skill: 1 } } }],
  ])('stop the start with %s', verifies('oauth.config'), async (_name, key, wrong) => {
    const error = await expectCode(load({ ...GOOD, ...wrong }), 'config-invalid');
    const faults = (error.data?.['faults'] ?? []) as ConfigFault[];
    expect(faults.map((fault) => fault.key)).toContain(`oauth.${key}`);
  });

  it('that one variable cannot hold are said to belong into the file', verifies('oauth.config'), async () => {
    const types = Object.fromEntries(
      describeConfig(hubConfigSchema, 'BERTH_HUB_').map(({ key, type }) => [key, type]),
    );
    expect(types).toMatchObject({
      'oauth.issuers': 'objects, in the file only',
      'oauth.scopes': 'object, in the file only',
      'oauth.algorithms': 'list',
    });
    expect((await load(GOOD, { BERTH_HUB_OAUTH_ALGORITHMS: 'ES256' })).oauth?.algorithms).toEqual(['ES256']);
    const error = await expectCode(
      load(GOOD, { BERTH_HUB_OAUTH_ISSUERS: 'https://id.example.com' }),
      'config-invalid',
    );
    expect(error.message).toContain('BERTH_HUB_OAUTH_ISSUERS');
  });
});
