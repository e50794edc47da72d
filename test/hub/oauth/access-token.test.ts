import { createHmac, createPublicKey } from 'node:crypto';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessTokens, looksLikeJwt } from '../../../hub/oauth/access-token.ts';
import { oauthSchema } from '../../../hub/oauth/config.ts';
import { fetchJson } from '../../../hub/oauth/fetch-json.ts';
import { issuerKeys } from '../../../hub/oauth/issuer-keys.ts';
import { createToken } from '../../../protocol/node/tokens.ts';
import { type AuthorizationServer, authorizationServer } from '../../support/authorization-server.ts';
import { expectCode } from '../../support/expect-code.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';

const HUB = 'https://hub.test';
const SCOPES = { notes: { skills: ['local.test/notes'] }, all: { skills: ['*'] } };

let server: AuthorizationServer;
const cleaning: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await authorizationServer({
    scopes: ['notes', 'all', 'unmapped'],
    alg: 'RS256',
    cleanUp: (stop) => void cleaning.push(stop),
  });
});

afterAll(async () => {
  await Promise.all(cleaning.map((clean) => clean()));
});

/** A hub's check of tokens against a real authorization server; the hub's clock is the test's. */
function rig(settings: Record<string, unknown> = {}, { issuer } = server) {
  const clock = manualClock(Date.now());
  const config = oauthSchema.parse({
    resource: HUB,
    issuers: [{ url: issuer }],
    scopes: SCOPES,
    ...settings,
  });
  const keys = new Map(
    config.issuers.map((issuer) => [issuer.url, issuerKeys({ fetchJson, clock }, issuer)]),
  );
  return { clock, principalOf: accessTokens({ config, keys, clock }) };
}

const seconds = (): number => Math.floor(Date.now() / 1_000);

function goodClaims(): JWTPayload {
  return {
    iss: server.issuer,
    aud: HUB,
    sub: 'ada',
    client_id: 'agent',
    scope: 'notes',
    iat: seconds(),
    exp: seconds() + 300,
  };
}

describe('an access token of a trusted authorization server', () => {
  it(
    'stands for its user and client, named within their issuer, and for the scopes that the hub knows',
    verifies('oauth.accepts'),
    async () => {
      const { principalOf } = rig();
      const token = await server.token({ resource: HUB, scope: 'notes unmapped' });
      expect(looksLikeJwt(token)).toBe(true);
      expect(await principalOf(token)).toEqual({
        user: `agent@${server.issuer}`,
        client: `agent@${server.issuer}`,
        scopes: ['notes'],
      });
    },
  );

  it.each(['RS256', 'ES256', 'EdDSA'] as const)(
    'may be signed by %s',
    verifies('oauth.accepts'),
    async (alg) => {
      const other = await authorizationServer({ scopes: ['notes'], alg });
      const { principalOf } = rig({}, other);
      expect(await principalOf(await other.token({ resource: HUB, scope: 'notes' }))).toBeDefined();
      const { principalOf: narrow } = rig({ algorithms: [alg === 'RS256' ? 'ES256' : 'RS256'] }, other);
      await expectCode(narrow(await other.token({ resource: HUB })), 'not-signed-in');
    },
  );

  it('is checked once in a while, not for each request', async () => {
    const { clock, principalOf } = rig();
    const token = await server.token({ resource: HUB, scope: 'notes' });
    const first = await principalOf(token);
    expect(await principalOf(token)).toBe(first);
    clock.advance(30_000);
    expect(await principalOf(token)).not.toBe(first);
  });

  it('can never name the local user or a user of another issuer', verifies('oauth.users-apart'), async () => {
    const { principalOf } = rig();
    for (const sub of ['owner', 'cli', `owner@https://other.test`]) {
      const { user } = await principalOf(await server.forge({ ...goodClaims(), sub }));
      expect(user).toBe(`${sub}@${server.issuer}`);
    }
  });

  it('names its user by the claim that was chosen', async () => {
    const { principalOf } = rig({ userClaim: 'email' });
    const claims = { ...goodClaims(), email: 'ada@example.org' };
    expect((await principalOf(await server.forge(claims))).user).toBe(`ada@example.org@${server.issuer}`);
    await expectCode(principalOf(await server.forge(goodClaims())), 'not-signed-in');
  });

  it('may spell a resource without a path with a slash, as older MCP clients do', async () => {
    const { principalOf } = rig();
    const token = await server.token({ resource: `${HUB}/`, scope: 'notes' });
    expect(await principalOf(token)).toMatchObject({ scopes: ['notes'] });
  });
});

describe('a token that is not for this hub', () => {
  const cases: Record<string, () => Promise<string>> = {
    'of another audience': () => server.token({ resource: 'https://other.test', scope: 'notes' }),
    'of an audience that only begins like the hub': () =>
      server.token({ resource: `${HUB}.evil.test`, scope: 'notes' }),
    'of a path below the hub': () => server.token({ resource: `${HUB}/mcp`, scope: 'notes' }),
    'without an audience': async () => {
      const { aud: _aud, ...claims } = goodClaims();
      return server.forge(claims);
    },
    'without an expiry': async () => {
      const { exp: _exp, ...claims } = goodClaims();
      return server.forge(claims);
    },
    'without a user': async () => {
      const { sub: _sub, ...claims } = goodClaims();
      return server.forge(claims);
    },
    'without a client': async () => {
      const { client_id: _client, ...claims } = goodClaims();
      return server.forge(claims);
    },
    'that is not valid yet': () => server.forge({ ...goodClaims(), nbf: seconds() + 600 }),
    'whose issuer differs by a slash': () => server.forge({ ...goodClaims(), iss: `${server.issuer}/` }),
    'that is an ID token': () => server.forge(goodClaims(), { typ: 'JWT' }),
    'that is a logout token': () => server.forge(goodClaims(), { typ: 'logout+jwt' }),
    'that is bound to a key of its client': () => server.forge({ ...goodClaims(), cnf: { jkt: 'x' } }),
    'whose user has letters that cannot be recorded': () =>
      server.forge({ ...goodClaims(), sub: 'ada\nowner' }),
    'whose user has too long a name': () => server.forge({ ...goodClaims(), sub: 'a'.repeat(300) }),
    'of alg none': async () => new UnsecuredJWT(goodClaims()).encode(),
    'of HS256 with the public key as its secret': async () => {
      const key = createPublicKey({ key: server.publicKey() as never, format: 'jwk' });
      const pem = key.export({ type: 'spki', format: 'pem' });
      const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const header = { alg: 'HS256', kid: server.publicKey().kid, typ: 'at+jwt' };
      const signed = `${encoded(header)}.${encoded(goodClaims())}`;
      return `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`;
    },
    'of an algorithm that is not accepted': () => server.forge(goodClaims(), { alg: 'PS256' }),
    'whose signature was changed': async () => {
      const [header, payload, signature = ''] = (await server.token({ resource: HUB })).split('.');
      return [header, payload, `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`].join('.');
    },
    'whose claims were changed': async () => {
      const [header, , signature] = (await server.token({ resource: HUB, scope: 'notes' })).split('.');
      const payload = Buffer.from(JSON.stringify({ ...goodClaims(), scope: 'all' }));
      return [header, payload.toString('base64url'), signature].join('.');
    },
    'signed with a key of its own, under the id of the server’s': async () => {
      const { privateKey } = await generateKeyPair('RS256');
      const header = { alg: 'RS256', kid: String(server.publicKey().kid), typ: 'at+jwt' };
      return new SignJWT(goodClaims()).setProtectedHeader(header).sign(privateKey);
    },
    'that brings its own key in the header': async () => {
      const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
      const jwk = await exportJWK(publicKey);
      const header = { alg: 'RS256', typ: 'at+jwt', jwk, jku: `${server.issuer}/mine` };
      return new SignJWT(goodClaims()).setProtectedHeader(header).sign(privateKey);
    },
    'of a key that the server does not have': () => server.forge(goodClaims(), { kid: 'unknown' }),
    'of nonsense': async () => 'eyJhbGciOiJSUzI1NiJ9.e30x.abc',
  };
  for (const [name, make] of Object.entries(cases)) {
    it(`is refused: ${name}`, verifies('oauth.refuses'), async () => {
      const { principalOf } = rig();
      await expectCode(principalOf(await make()), 'not-signed-in');
    });
  }

  it('is refused: of another issuer, which is not even asked', verifies('oauth.refuses'), async () => {
    const { principalOf } = rig();
    const other = await authorizationServer({ scopes: ['notes'] });
    await expectCode(principalOf(await other.token({ resource: HUB, scope: 'notes' })), 'not-signed-in');
    expect([...other.asked.keys()]).toEqual(['/token']);
  });

  it('is refused: expired, beyond what clocks may differ', verifies('oauth.refuses'), async () => {
    const { clock, principalOf } = rig({ clockSkewSeconds: 10 });
    const token = await server.token({ resource: HUB, scope: 'notes' });
    clock.advance(605_000);
    await principalOf(token);
    clock.advance(6_000);
    await expectCode(principalOf(token), 'token-expired');
  });

  it('is refused: a good one whose verdict was kept, once it has expired', async () => {
    const { clock, principalOf } = rig({ clockSkewSeconds: 0 });
    const token = await server.forge({ ...goodClaims(), exp: seconds() + 5 });
    await principalOf(token);
    clock.advance(6_000);
    await expectCode(principalOf(token), 'token-expired');
  });

  it('is taken without a type where the admin said so', async () => {
    const { principalOf } = rig({ tokenTypes: ['at+jwt', 'JWT'] });
    expect(await principalOf(await server.forge(goodClaims(), { typ: 'JWT' }))).toBeDefined();
    await expectCode(principalOf(await server.forge(goodClaims(), { typ: 'logout+jwt' })), 'not-signed-in');
  });
});

describe('the hub’s own tokens', () => {
  it('are never taken for those of an authorization server', () => {
    for (let count = 0; count < 100; count += 1) expect(looksLikeJwt(createToken())).toBe(false);
    expect(looksLikeJwt('berth_a.b.c')).toBe(false);
  });
});
