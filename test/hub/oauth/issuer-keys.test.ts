import { describe, expect, it } from 'vitest';
import { accessTokens } from '../../../hub/oauth/access-token.ts';
import { oauthSchema } from '../../../hub/oauth/config.ts';
import { fetchJson, type FetchJson } from '../../../hub/oauth/fetch-json.ts';
import { issuerKeys, metadataUrls } from '../../../hub/oauth/issuer-keys.ts';
import { authorizationServer } from '../../support/authorization-server.ts';
import { expectCode } from '../../support/expect-code.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { servedJson } from '../../support/served-json.ts';
import { verifies } from '../../support/verifies.ts';

const HUB = 'https://hub.test';
const MINUTE_MS = 60_000;

async function rig({ fetch = fetchJson }: { fetch?: FetchJson } = {}) {
  const server = await authorizationServer({ scopes: ['notes'] });
  const clock = manualClock(Date.now());
  const config = oauthSchema.parse({
    resource: HUB,
    issuers: [{ url: server.issuer }],
    scopes: { notes: { skills: ['*'] } },
  });
  const keys = new Map(
    config.issuers.map((issuer) => [issuer.url, issuerKeys({ fetchJson: fetch, clock }, issuer)]),
  );
  const principalOf = accessTokens({ config, keys, clock });
  const fresh = () => server.token({ resource: HUB, scope: 'notes' });
  return { server, clock, principalOf, fresh, fetched: () => server.asked.get('/jwks') ?? 0 };
}

describe('the keys of an authorization server', () => {
  it('are asked for once, however many tokens wait for them', verifies('oauth.keys'), async () => {
    const { principalOf, fresh, fetched } = await rig();
    const tokens = await Promise.all(Array.from({ length: 20 }, fresh));
    await Promise.all(tokens.map(principalOf));
    expect(fetched()).toBe(1);
  });

  it('may be rotated without a restart of the hub', verifies('oauth.keys'), async () => {
    const { server, clock, principalOf, fresh, fetched } = await rig();
    const before = await fresh();
    await principalOf(before);
    await server.rotate();
    const after = await fresh();
    clock.advance(MINUTE_MS);
    await principalOf(after);
    expect(fetched()).toBe(2);
    // What was signed with the key that is gone is not taken any more.
    await expectCode(principalOf(before), 'not-signed-in');
  });

  it(
    'are not asked for again and again by tokens that name invented keys',
    verifies('oauth.keys'),
    async () => {
      const { server, clock, principalOf, fresh, fetched } = await rig();
      await principalOf(await fresh());
      const invent = (kid: number) => server.forge({ iss: server.issuer }, { kid: `invented-${kid}` });
      for (let kid = 0; kid < 30; kid += 1) {
        await expectCode(principalOf(await invent(kid)), 'not-signed-in');
      }
      expect(fetched()).toBe(1);
      clock.advance(MINUTE_MS);
      for (let kid = 0; kid < 30; kid += 1) {
        await expectCode(principalOf(await invent(kid)), 'not-signed-in');
      }
      expect(fetched()).toBe(2);
    },
  );

  it('that cannot be had let nobody in, and the reason is told', verifies('oauth.fails-closed'), async () => {
    const { server, principalOf, fresh, clock } = await rig();
    const token = await fresh();
    await server.stop();
    const error = await expectCode(principalOf(token), 'unavailable');
    expect(error.message).toContain(server.issuer);
    clock.advance(MINUTE_MS);
    await expectCode(principalOf(token), 'unavailable');
  });

  it('outlast an outage of the server by an hour at most', verifies('oauth.fails-closed'), async () => {
    const { server, clock, principalOf, fresh } = await rig();
    await principalOf(await fresh());
    const claims = {
      iss: server.issuer,
      aud: HUB,
      sub: 'ada',
      client_id: 'agent',
      exp: Math.floor(Date.now() / 1_000) + 100_000,
    };
    const token = await server.forge(claims);
    await server.stop();
    clock.advance(30 * MINUTE_MS);
    expect(await principalOf(token)).toBeDefined();
    clock.advance(31 * MINUTE_MS);
    await expectCode(principalOf(token), 'unavailable');
  });

  it('are not asked for while a failure is seconds old', verifies('oauth.fails-closed'), async () => {
    let asked = 0;
    const down: FetchJson = async () => {
      asked += 1;
      throw new Error('down');
    };
    const { clock, principalOf, fresh } = await rig({ fetch: down });
    const token = await fresh();
    for (let count = 0; count < 10; count += 1) await expectCode(principalOf(token), 'unavailable');
    expect(asked).toBe(1);
    clock.advance(6_000);
    await expectCode(principalOf(token), 'unavailable');
    expect(asked).toBe(2);
  });
});

describe('the metadata of an authorization server', () => {
  it('is looked for where MCP clients look, too', () => {
    expect(metadataUrls('https://id.test')).toEqual([
      'https://id.test/.well-known/oauth-authorization-server',
      'https://id.test/.well-known/openid-configuration',
    ]);
    expect(metadataUrls('https://id.test/tenant')).toEqual([
      'https://id.test/.well-known/oauth-authorization-server/tenant',
      'https://id.test/.well-known/openid-configuration/tenant',
      'https://id.test/tenant/.well-known/openid-configuration',
    ]);
  });

  it.each([
    ['speaks for another issuer', { issuer: 'https://other.test', jwks_uri: 'https://id.test/jwks' }],
    ['names no keys', { issuer: 'https://id.test' }],
    ['names keys at an unencrypted address', { issuer: 'https://id.test', jwks_uri: 'http://id.test/jwks' }],
    ['names keys that are no web address', { issuer: 'https://id.test', jwks_uri: 'file:///etc/passwd' }],
    ['is no object', []],
    ['is not there', undefined],
  ])('is not believed when it %s', verifies('oauth.fails-closed'), async (_name, document) => {
    const asked: string[] = [];
    const find = issuerKeys(
      {
        clock: manualClock(),
        fetchJson: async (url) => {
          asked.push(url);
          return url.includes('.well-known') ? document : { keys: [] };
        },
      },
      { url: 'https://id.test' },
    );
    await expectCode(Promise.resolve(find({ alg: 'RS256' }, { payload: '', signature: '' })), 'unavailable');
    expect(asked.every((url) => url.includes('.well-known'))).toBe(true);
  });
});

describe('a document of an authorization server', () => {
  it('is read within bounds and never from elsewhere', verifies('oauth.fails-closed'), async () => {
    const served = await servedJson({
      '/good': { status: 200, body: '{"a":1}' },
      '/big': { status: 200, body: `"${'x'.repeat(300 * 1024)}"` },
      '/moved': { status: 302, body: '', headers: { location: '/good' } },
      '/broken': { status: 500, body: '{}' },
      '/text': { status: 200, body: 'hello' },
    });
    expect(await fetchJson(`${served}/good`)).toEqual({ a: 1 });
    expect(await fetchJson(`${served}/missing`)).toBeUndefined();
    for (const path of ['big', 'moved', 'broken', 'text'])
      await expect(fetchJson(`${served}/${path}`), path).rejects.toThrow();
  });
});
