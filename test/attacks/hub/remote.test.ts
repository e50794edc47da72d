import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { isPublicAddress } from '../../../hub/egress/addresses.ts';
import { authorizedFetch } from '../../../hub/remote/authorized-fetch.ts';
import { createSharing } from '../../../hub/remote/oauth-client.ts';
import { guardedFetch } from '../../../hub/remote/guarded-fetch.ts';
import { passingSignIn } from '../../../hub/remote/sign-ins.ts';
import { captureSurface } from '../../../hub/runner/capture.ts';
import { expectCode } from '../../support/expect-code.ts';
import { IDENTITY } from '../../support/fixture-skills.ts';
import { logLines } from '../../support/log-lines.ts';
import { plainDriver } from '../../support/plain-driver.ts';
import { type Gate, modernRemote } from '../../support/remote-server.ts';
import { privateInternet } from '../../support/tls.ts';
import { verifies } from '../../support/verifies.ts';

const TOKENS = { access_token: 'token-of-ada', token_type: 'Bearer', refresh_token: 'refresh-of-ada' };
const SKILL = 'org.example/remote@1.0.0';

async function remote(gate: Gate = () => false) {
  const internet = await privateInternet();
  const serve = (host: string, hostGate: Gate) =>
    modernRemote({ http: internet.http, origin: `https://${host}`, gate: hostGate });
  return { internet, serve, server: await serve('tools.example', gate) };
}

/** The way of a user who is signed in, as a remote skill's requests take it. */
function signedIn(internet: Awaited<ReturnType<typeof privateInternet>>, url: string) {
  const store = passingSignIn({ clients: {}, tokens: TOKENS });
  const fetch = authorizedFetch({
    skill: SKILL,
    url,
    fetch: guardedFetch(internet.outside),
    store,
    sharing: createSharing(),
    authorize: undefined,
    redirectUrl: 'http://127.0.0.1/callback',
  });
  return { store, fetch };
}

function captured(url: string, fetch: ReturnType<typeof guardedFetch>) {
  const logged = logLines();
  const parts = { driver: plainDriver(), identity: IDENTITY, log: logged.log };
  const plan = { label: SKILL, url, fetch };
  return { work: captureSurface(parts, { plan, protocol: '2026-07-28' }), lines: logged.lines };
}

describe('a remote skill whose name leads into this machine', () => {
  it.each([
    ['a name of loopback', 'https://tools.example', ['127.0.0.1']],
    ['a name of a public and a private address', 'https://tools.example', ['1.1.1.1', '10.0.0.1']],
    ['a name of a cloud’s metadata', 'https://tools.example', ['169.254.169.254']],
    ['no address', 'https://tools.example', []],
    ['an address', 'https://127.0.0.1', []],
    ['an address in another spelling', 'https://2130706433', []],
    ['an address of IPv6', 'https://[::1]', []],
    ['an IPv4 address in IPv6', 'https://[::ffff:127.0.0.1]', []],
  ])('is not reached: %s', verifies('remote.addresses'), async (_what, origin, addresses) => {
    const { internet, server } = await remote();
    const { port } = new URL(server.url);
    const fetch = guardedFetch({
      ...internet.outside,
      permits: isPublicAddress,
      resolve: async () => addresses.map((address) => ({ address, family: 4 })),
    });
    const error = await expectCode(fetch(`${origin}:${port}/mcp`), 'remote-failed');
    expect(error.message).toContain('nothing was sent');
    expect(server.seen).toEqual([]);
  });

  it('is not reached by answering differently the second time', verifies('remote.addresses'), async () => {
    const { internet, server } = await remote();
    let asked = 0;
    const fetch = guardedFetch({
      ...internet.outside,
      permits: (address) => address === '127.0.0.1',
      async resolve() {
        asked += 1;
        return [{ address: asked === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }];
      },
    });
    await fetch(server.url);
    expect(asked).toBe(1);
    await expectCode(fetch(server.url), 'remote-failed');
  });

  it(
    'is not reached without encryption, nor with a certificate of its own making',
    verifies('remote.addresses'),
    async () => {
      const { internet, server } = await remote();
      await expectCode(guardedFetch(internet.outside)(server.url.replace('https', 'http')), 'remote-failed');
      const { ca: _trusted, ...strict } = internet.outside;
      const error = await expectCode(captured(server.url, guardedFetch(strict)).work, 'remote-failed');
      expect(error.message).toContain('Nothing was done');
      expect(server.seen).toEqual([]);
    },
  );
});

describe('a remote server that sends the hub elsewhere', () => {
  it.each(['https://169.254.169.254/latest/meta-data', 'http://tools.example/mcp', 'other'])(
    'is not followed to %s',
    verifies('remote.addresses', 'remote.token-stays'),
    async (target) => {
      let location = target;
      const { internet, serve, server } = await remote((_request, response) => {
        response.writeHead(307, { location }).end();
        return true;
      });
      const other = await serve('other.example', () => false);
      if (target === 'other') location = other.url;
      const { fetch } = signedIn(internet, server.url);
      await expectCode(captured(server.url, fetch).work, 'remote-failed');
      expect(other.seen).toEqual([]);
    },
  );

  it('learns no token by naming another place for its metadata', verifies('remote.token-stays'), async () => {
    let metadata = '';
    const { internet, serve, server } = await remote((_request, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` }).end();
      return true;
    });
    const other = await serve('other.example', (_request, response) => {
      response.writeHead(404).end();
      return true;
    });
    metadata = `${new URL(other.url).origin}/metadata`;
    const { fetch } = signedIn(internet, server.url);
    await expectCode(captured(server.url, fetch).work, 'remote-sign-in');
    expect(other.seen.length).toBeGreaterThan(0);
    for (const { headers } of other.seen) expect(headers.authorization).toBeUndefined();
  });

  it(
    'cannot have the hub ask an authorization server without encryption',
    verifies('remote.addresses'),
    async () => {
      const documents: Record<string, (origin: string) => object> = {
        '/.well-known/oauth-protected-resource/mcp': (origin) => ({
          resource: `${origin}/mcp`,
          authorization_servers: ['http://id.example'],
        }),
      };
      let origin = '';
      const { internet, server } = await remote((request, response) => {
        const document = documents[request.url ?? ''];
        if (document === undefined) response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
        else {
          response.writeHead(200, { 'content-type': 'application/json' });
          response.end(JSON.stringify(document(origin)));
        }
        return true;
      });
      ({ origin } = new URL(server.url));
      const { fetch } = signedIn(internet, server.url);
      const error = await expectCode(captured(server.url, fetch).work, 'remote-failed');
      expect(error.message).toContain('without encryption');
    },
  );
});

describe('a remote server that repeats what it was sent', () => {
  it('puts no token into an error, the log or the console', verifies('remote.token-stays'), async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    let origin = '';
    const { internet, server } = await remote((request, response) => {
      const json = (status: number, body: object) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      };
      if (request.url?.includes('oauth-protected-resource'))
        json(200, { resource: `${origin}/mcp`, authorization_servers: [origin] });
      else if (request.url?.includes('.well-known'))
        json(200, {
          issuer: origin,
          authorization_endpoint: `${origin}/authorize`,
          token_endpoint: `${origin}/token`,
          response_types_supported: ['code'],
          code_challenge_methods_supported: ['S256'],
        });
      else if (request.url === '/token') json(500, { words: `${TOKENS.refresh_token} is not welcome` });
      else {
        response.writeHead(401, { 'www-authenticate': `Bearer error="${TOKENS.access_token}"` });
        response.end(TOKENS.access_token);
      }
      return true;
    });
    ({ origin } = new URL(server.url));
    const { fetch, store } = signedIn(internet, server.url);
    const client = { client_id: 'berth', issuer: origin };
    await store.keep({ clients: { [origin]: client }, tokens: { ...TOKENS, issuer: origin } });
    const { work, lines } = captured(server.url, fetch);
    const error = await expectCode(work, 'remote-sign-in');
    expect(server.seen.map(({ path }) => path)).toContain('/token');
    const told = JSON.stringify([
      error.message,
      error.hint,
      error.data,
      String(error.cause),
      lines,
      warned.mock.calls,
    ]);
    for (const secret of [TOKENS.access_token, TOKENS.refresh_token]) expect(told).not.toContain(secret);
  });
});

describe('a remote server that does not even speak HTTP well', () => {
  it.each([
    'HTTP/1.1 999 \u0001Odd\r\ncontent-length: 0\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx-odd: a\u0000b\r\ncontent-length: 0\r\n\r\n',
    'SSH-2.0-nothing\r\n',
    '',
  ])('fails the call and nothing else: %j', verifies('remote.faults'), async (answer) => {
    const { key, cert, outside } = await privateInternet();
    const server = createTlsServer({ key, cert }, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.from(answer, 'latin1')));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const url = `https://tools.example:${(server.address() as AddressInfo).port}/mcp`;
    await expectCode(captured(url, guardedFetch(outside)).work, 'remote-failed');
  });
});
