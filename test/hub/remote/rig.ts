import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { importJWK, jwtVerify } from 'jose';
import { authorizedFetch } from '../../../hub/remote/authorized-fetch.ts';
import { type Authorize, createSharing } from '../../../hub/remote/oauth-client.ts';
import { passingSignIn, type SignInStore } from '../../../hub/remote/sign-ins.ts';
import { authorizationServer, DESKTOP, signInAs } from '../../support/authorization-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import type { privateInternet } from '../../support/tls.ts';
import { modernRemote, type RemoteServer } from '../../support/remote-server.ts';

const METADATA_PATH = '/.well-known/oauth-protected-resource/mcp';

/** A remote server of MCP that wants a token of a real authorization server: one scope to list, another to call. */
export async function protectedRemote(internet?: Awaited<ReturnType<typeof privateInternet>>) {
  const issuer = await authorizationServer({
    ...(internet && { tls: { ...internet, host: 'id.example' } }),
    scopes: ['list', 'call', 'offline_access'],
    settings: {
      features: { registration: { enabled: true } },
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      issueRefreshToken: async () => true,
    },
  });
  /** Tokens that it takes no longer. */
  const spent = new Set<string>();
  let server: RemoteServer | undefined;
  server = await modernRemote({
    ...(internet && { http: internet.http, origin: 'https://tools.example' }),
    async gate(request, response) {
      const { origin, href } = new URL(server?.url ?? '');
      if (request.url === METADATA_PATH) {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ resource: href, authorization_servers: [issuer.issuer] }));
        return true;
      }
      const challenge = (status: number, words: string) => {
        response.writeHead(status, {
          'www-authenticate': `Bearer ${words}, resource_metadata="${origin}${METADATA_PATH}"`,
        });
        response.end();
        return true;
      };
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
      if (token === undefined || spent.has(token)) return challenge(401, 'scope="list"');
      const key = await importJWK(issuer.publicKey(), 'ES256');
      const { payload } = await jwtVerify(token, key, { issuer: issuer.issuer, audience: href });
      const called = request.headers['mcp-method'] === 'tools/call';
      if (called && !String(payload['scope']).split(' ').includes('call'))
        return challenge(403, 'error="insufficient_scope", scope="call"');
      return false;
    },
  });
  return { server, issuer, spent };
}

/** A user who agrees to everything, and what was asked of them. */
export function agreeing(): { authorize: Authorize; asked: URL[] } {
  const asked: URL[] = [];
  return {
    asked,
    authorize(url) {
      asked.push(url);
      return signInAs('ada', url);
    },
  };
}

/** The way to that server for one user, with what is kept of the sign-in. */
export function wayTo(
  url: string,
  { authorize, store = passingSignIn() }: { authorize?: Authorize; store?: SignInStore } = {},
) {
  const parts = {
    skill: 'org.example/remote@1.0.0',
    url,
    fetch,
    store,
    sharing: createSharing(),
    authorize,
    redirectUrl: DESKTOP.redirectUrl,
  };
  return { store, parts, fetch: authorizedFetch(parts) };
}

/** One request of MCP 2026-07-28, as a call of a tool or a list of them. */
export function mcpRequest(method: 'tools/list' | 'tools/call'): RequestInit {
  const params = {
    ...(method === 'tools/call' ? { name: 'echo', arguments: { message: 'hi' } } : {}),
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  };
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(method === 'tools/call' ? { 'mcp-name': 'echo' } : {}),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  };
}

/** The skill that `remoteFolder` writes. */
export const SKILL = 'local.test/elsewhere';

/** The sources of a remote skill: a manifest that names its server. */
export async function remoteFolder(
  url: string,
  permissions: Record<string, unknown> = {},
  protocol = '2026-07-28',
): Promise<string> {
  const folder = join(await tempFolder(), 'skill');
  await mkdir(folder);
  const { hostname, port } = new URL(url);
  await writeFile(
    join(folder, 'skill.json'),
    JSON.stringify({
      name: SKILL,
      version: '1.0.0',
      title: 'Elsewhere',
      description: 'A server of somebody else',
      license: 'Apache-2.0',
      runtime: { kind: 'remote', url, protocol },
      permissions: {
        network: [{ host: hostname, ports: [Number(port)], reason: 'It runs there' }],
        ...permissions,
      },
    }),
  );
  return folder;
}
