import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import { type Adapter, type AdapterPayload, type Configuration, Provider } from 'oidc-provider';
import { onTestFinished } from 'vitest';

const CLIENT = { id: 'agent', secret: 'agent-secret-of-a-test' };
/** A program of a person, which has no secret. */
export const DESKTOP = { id: 'desktop', redirectUrl: 'http://127.0.0.1/callback' };
const TOKEN_TTL_SECONDS = 600;

/** A real authorization server (`oidc-provider`) on loopback that gives JWT access tokens for any resource. */
export interface AuthorizationServer {
  issuer: string;
  /** A token by the client credentials grant, as an agent without a person would get it. */
  token(given: { resource: string; scope?: string }): Promise<string>;
  /** What no honest server would give: any claims and header, signed with the server's own key. */
  forge(claims: JWTPayload, header?: { alg?: string; kid?: string; typ?: string }): Promise<string>;
  publicKey(): JWK;
  /** New keys under new ids; the old ones are not served any more. */
  rotate(): Promise<void>;
  /** How often something was asked for, by path. */
  asked: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** Starts one on a free port; `settings` are added to its configuration. */
export async function authorizationServer({
  scopes,
  alg = 'ES256',
  settings = {},
  tls,
  cleanUp = onTestFinished,
}: {
  scopes: readonly string[];
  /** What it signs with. */
  alg?: 'RS256' | 'ES256' | 'EdDSA';
  settings?: Configuration;
  /** Behind TLS, under a name of its own. */
  tls?: { key: string; cert: string; host: string };
  /** What ends it; by default the end of the test that started it. */
  cleanUp?: (stop: () => Promise<void>) => void;
}): Promise<AuthorizationServer> {
  const asked = new Map<string, number>();
  let answer: (request: IncomingMessage, response: ServerResponse) => unknown = () => undefined;
  const heard = (request: IncomingMessage, response: ServerResponse): void => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    asked.set(path, (asked.get(path) ?? 0) + 1);
    void answer(request, response);
  };
  const server = tls === undefined ? createServer(heard) : createTlsServer(tls, heard);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = tls === undefined ? `http://127.0.0.1:${port}` : `https://${tls.host}:${port}`;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  cleanUp(stop);

  let key: JWK = {};
  let generation = 0;
  async function rotate(): Promise<void> {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    generation += 1;
    key = { ...(await exportJWK(privateKey)), kid: `key-${generation}`, alg, use: 'sig' };
    answer = new Provider(issuer, configuration(key, scopes, settings)).callback();
  }
  await rotate();

  return {
    issuer,
    asked,
    rotate,
    stop,
    async token({ resource, scope }) {
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}` },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          resource,
          ...(scope === undefined ? {} : { scope }),
        }),
      });
      const body = (await response.json()) as { access_token?: string };
      if (body.access_token === undefined)
        throw new Error(`The authorization server said ${JSON.stringify(body)}`);
      return body.access_token;
    },
    async forge(claims, { alg: signedBy = alg, kid = String(key.kid), typ = 'at+jwt' } = {}) {
      const header = { alg: signedBy, kid, typ };
      return new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(key, signedBy));
    },
    publicKey() {
      const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...open } = key;
      return open;
    },
  };
}

function configuration(key: JWK, scopes: readonly string[], settings: Configuration): Configuration {
  return {
    adapter: memoryAdapter(),
    jwks: { keys: [key] },
    scopes: [...scopes],
    ttl: {
      AccessToken: TOKEN_TTL_SECONDS,
      ClientCredentials: TOKEN_TTL_SECONDS,
      Grant: TOKEN_TTL_SECONDS,
      IdToken: TOKEN_TTL_SECONDS,
      Interaction: TOKEN_TTL_SECONDS,
      Session: TOKEN_TTL_SECONDS,
    },
    cookies: { keys: ['for a test'] },
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: key.alg as 'ES256',
      },
      {
        client_id: DESKTOP.id,
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['authorization_code'],
        redirect_uris: [DESKTOP.redirectUrl],
        response_types: ['code'],
        id_token_signed_response_alg: key.alg as 'ES256',
      },
    ],
    ...settings,
    features: {
      // Its forms for signing in and agreeing, which `signInAs` fills in.
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: scopes.join(' '),
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: TOKEN_TTL_SECONDS,
          jwt: { sign: { alg: key.alg as 'ES256' } },
        }),
      },
      ...settings.features,
    },
  };
}

/**
 * Does at the authorization server what a person does in a browser: signs in, agrees, and is sent back. Answers with
 * the parameters that the program gets then.
 */
export async function signInAs(
  login: string,
  authorizationUrl: URL,
  {
    fetched = fetch,
    redirectUrl = DESKTOP.redirectUrl,
  }: { fetched?: (url: URL, init: RequestInit) => Promise<Response>; redirectUrl?: string } = {},
): Promise<URLSearchParams> {
  const jar = new Map<string, string>();
  const visit = async (url: URL, form?: Record<string, string>): Promise<Response> => {
    const response = await fetched(url, {
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      jar.set(name, value);
    }
    return response;
  };
  let url = authorizationUrl;
  let response = await visit(url);
  for (let step = 0; step < 12; step += 1) {
    const next = response.headers.get('location');
    if (next === null) {
      const prompt = /name="prompt" value="(\w+)"/.exec(await response.text())?.[1];
      if (prompt === undefined) throw new Error(`Nothing to fill in at ${url.href} (${response.status}).`);
      response = await visit(url, prompt === 'login' ? { prompt, login, password: 'any' } : { prompt });
      continue;
    }
    url = new URL(next, url);
    if (url.href.startsWith(redirectUrl)) return url.searchParams;
    response = await visit(url);
  }
  throw new Error('Signing in came to no end.');
}

/** What the server keeps, as long as it lives. */
function memoryAdapter(): (model: string) => Adapter {
  const kept = new Map<string, AdapterPayload>();
  return (model) => {
    const keyOf = (id: string): string => `${model}:${id}`;
    const findWhere = async (fits: (payload: AdapterPayload) => boolean) =>
      [...kept].find(([key, payload]) => key.startsWith(`${model}:`) && fits(payload))?.[1];
    return {
      upsert: async (id, payload) => void kept.set(keyOf(id), payload),
      find: async (id) => kept.get(keyOf(id)),
      findByUid: (uid) => findWhere((payload) => payload.uid === uid),
      findByUserCode: (code) => findWhere((payload) => payload.userCode === code),
      destroy: async (id) => void kept.delete(keyOf(id)),
      async consume(id) {
        const payload = kept.get(keyOf(id));
        if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1_000);
      },
      async revokeByGrantId(grantId) {
        for (const [key, payload] of kept) if (payload.grantId === grantId) kept.delete(key);
      },
    };
  };
}
