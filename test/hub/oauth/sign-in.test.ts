import {
  Client as ModernClient,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type OAuthTokens,
  StreamableHTTPClientTransport as ModernTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { UnauthorizedError as OldUnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { authorizationServer, DESKTOP, signInAs } from '../../support/authorization-server.ts';
import { installedSkill, tool } from '../../support/installed-skill.ts';
import { verifies } from '../../support/verifies.ts';
import { accessRig } from './rig.ts';

const HUB = 'https://hub.test';
const INFO = { name: 'desktop', version: '1.0.0' };
const SCOPES = {
  notes: { skills: ['local.test/notes'] },
  'notes:read': { skills: ['local.test/notes'], tools: ['read'] },
};

/** What a program keeps for its person, and the person: signs in wherever the program sends them. */
function person(login: string) {
  let tokens: OAuthTokens | undefined;
  let verifier = '';
  let discovered: OAuthDiscoveryState | undefined;
  const signedIn: { scope: string | null; resource: string | null; answer: URLSearchParams }[] = [];
  const provider: OAuthClientProvider = {
    redirectUrl: DESKTOP.redirectUrl,
    clientMetadata: { redirect_uris: [DESKTOP.redirectUrl], token_endpoint_auth_method: 'none' },
    clientInformation: () => ({ client_id: DESKTOP.id }),
    tokens: () => tokens,
    saveTokens: (given) => void (tokens = given),
    saveCodeVerifier: (given) => void (verifier = given),
    codeVerifier: () => verifier,
    saveDiscoveryState: (found) => void (discovered = found),
    discoveryState: () => discovered,
    async redirectToAuthorization(url) {
      const asked = { scope: url.searchParams.get('scope'), resource: url.searchParams.get('resource') };
      signedIn.push({ ...asked, answer: await signInAs(login, url) });
    },
  };
  return { provider, signedIn };
}

type Attempt = (
  url: URL,
  fetched: typeof fetch,
  provider: OAuthClientProvider,
) => {
  connect(): Promise<void>;
  finish(answer: URLSearchParams): Promise<void>;
  call(name: string): Promise<unknown>;
};

const CLIENTS: Record<string, Attempt> = {
  'v1 SDK': (url, fetched, provider) => {
    const client = new OldClient(INFO);
    const transport = new OldTransport(url, { authProvider: provider, fetch: fetched });
    onTestFinished(() => client.close());
    return {
      connect: () => client.connect(transport),
      finish: (answer) => transport.finishAuth(String(answer.get('code'))),
      call: (name) => client.callTool({ name, arguments: {} }),
    };
  },
  'v2 SDK': (url, fetched, provider) => {
    const client = new ModernClient(INFO, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    const transport = new ModernTransport(url, { authProvider: provider, fetch: fetched });
    onTestFinished(() => client.close());
    return {
      connect: () => client.connect(transport),
      finish: (answer) => transport.finishAuth(answer),
      call: (name) => client.callTool({ name, arguments: {} }),
    };
  },
};

const isUnauthorized = (error: unknown): boolean =>
  error instanceof UnauthorizedError || error instanceof OldUnauthorizedError;

describe('a person with a program that knows nothing but the address of the hub', () => {
  it.each(Object.keys(CLIENTS))(
    'signs in at the authorization server, calls, and agrees to more when a call needs it: %s',
    verifies('oauth.accepts', 'oauth.challenge', 'oauth.scopes'),
    async (kind) => {
      const server = await authorizationServer({ scopes: Object.keys(SCOPES) });
      const notes = installedSkill({
        name: 'local.test/notes',
        surface: { tools: [tool('read'), tool('write')] },
        answers: { read: 'allow', write: 'allow' },
      });
      const door = await accessRig({
        skills: [notes],
        oauth: { resource: HUB, issuers: [{ url: server.issuer }], scopes: SCOPES },
      });
      // The hub's public name leads here, as its proxy would see to.
      const fetched: typeof fetch = (url, init) =>
        fetch(String(url instanceof Request ? url.url : url).replace(HUB, door.url), init);
      const { provider, signedIn } = person('ada');
      const start = () =>
        (CLIENTS[kind] as Attempt)(new URL(`${HUB}/s/local.test/notes/mcp`), fetched, provider);

      const agreed = async (program: ReturnType<Attempt>) =>
        program.finish(signedIn.at(-1)?.answer ?? new URLSearchParams());

      const first = start();
      await expect(first.connect()).rejects.toSatisfy(isUnauthorized);
      await agreed(first);
      const program = start();
      await program.connect();
      expect(await program.call('read')).toMatchObject({ content: [{ text: 'done' }] });
      expect((await door.records())[0]).toMatchObject({
        principal: { user: `ada@${server.issuer}`, client: `${DESKTOP.id}@${server.issuer}` },
      });

      await expect(program.call('write')).rejects.toSatisfy(isUnauthorized);
      await agreed(program);
      expect(await program.call('write')).toMatchObject({ content: [{ text: 'done' }] });
      const resource = expect.stringMatching(/^https:\/\/hub\.test\/?$/) as string;
      expect(signedIn).toMatchObject([
        { scope: 'notes:read', resource },
        { scope: expect.stringMatching(/\bnotes$|\bnotes /) as string, resource },
      ]);
    },
  );
});
