import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import Provider, { type Adapter, type AdapterPayload, type Configuration } from 'oidc-provider';
import { onTestFinished } from 'vitest';

const CLIENT = { id: 'agent', secret: 'agent-secret-of-a-test' };
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
  settings = {},
  cleanUp = onTestFinished,
}: {
  scopes: readonly string[];
  settings?: Configuration;
  /** What ends it; by default the end of the test that started it. */
  cleanUp?: (stop: () => Promise<void>) => void;
}): Promise<AuthorizationServer> {
  const asked = new Map<string, number>();
  let answer: (request: IncomingMessage, response: ServerResponse) => unknown = () => undefined;
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    asked.set(path, (asked.get(path) ?? 0) + 1);
    void answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  cleanUp(stop);

  let key: JWK = {};
  let generation = 0;
  async function rotate(): Promise<void> {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    generation += 1;
    key = { ...(await exportJWK(privateKey)), kid: `key-${generation}`, alg: 'RS256', use: 'sig' };
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
    async forge(claims, { alg = 'RS256', kid = String(key.kid), typ = 'at+jwt' } = {}) {
      return new SignJWT(claims).setProtectedHeader({ alg, kid, typ }).sign(await importJWK(key, alg));
    },
    publicKey() {
      const { kty, n, e, kid, alg, use } = key;
      return { kty, n, e, kid, alg, use } as JWK;
    },
  };
}

function configuration(key: JWK, scopes: readonly string[], settings: Configuration): Configuration {
  return {
    adapter: memoryAdapter(),
    jwks: { keys: [key as never] },
    scopes: [...scopes],
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    ...settings,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: scopes.join(' '),
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: TOKEN_TTL_SECONDS,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
      ...settings.features,
    },
  };
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
