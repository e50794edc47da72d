import { beforeEach, describe, expect, it } from 'vitest';
import { type AuthorizationServer, authorizationServer } from '../../support/authorization-server.ts';
import { installedSkill, tool } from '../../support/installed-skill.ts';
import { verifies } from '../../support/verifies.ts';
import { type ClientName, CLIENTS, exchange, INITIALIZE, modernRequest } from '../mcp/rig.ts';
import { type AccessRig, accessRig, LOCAL_TOKEN } from './rig.ts';

const HUB = 'https://hub.test';
const METADATA = '/.well-known/oauth-protected-resource';
const SCOPES = {
  everything: { skills: ['*'] },
  notes: { skills: ['local.test/notes'] },
  'notes:read': { skills: ['local.test/notes'], tools: ['read'] },
  mail: { skills: ['local.test/mail'] },
};

let server: AuthorizationServer;
let door: AccessRig;

beforeEach(async () => {
  server = await authorizationServer({ scopes: Object.keys(SCOPES) });
  door = await accessRig({
    skills: ['notes', 'mail'].map((name) =>
      installedSkill({
        name: `local.test/${name}`,
        surface: { tools: [tool('read'), tool('write')] },
        answers: { read: 'allow', write: 'allow' },
      }),
    ),
    oauth: { resource: HUB, issuers: [{ url: server.issuer }], scopes: SCOPES },
  });
});

const token = (scope?: string): Promise<string> =>
  server.token({ resource: HUB, ...(scope === undefined ? {} : { scope }) });
const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` });

/** One 2026-07-28 call, to see its HTTP answer. */
async function post(name: string, text: string, path = '/mcp') {
  const { headers, body } = modernRequest('tools/call', { name, arguments: {} });
  return exchange(door, { path, headers: { ...headers, ...bearer(text) }, body });
}

describe('a client with an access token', () => {
  it.each(Object.keys(CLIENTS) as ClientName[])(
    'sees and calls what its scopes open, with the %s',
    verifies('oauth.accepts', 'oauth.scopes'),
    async (name) => {
      const client = await CLIENTS[name].connect(`${door.url}/mcp`, await token('notes'));
      const { tools } = await client.listTools();
      expect(tools.map((tool) => tool['name'])).toEqual(['notes__read', 'notes__write']);
      expect(await client.callTool({ name: 'notes__write', arguments: {} })).toMatchObject({
        content: [{ text: 'done' }],
      });
      await expect(client.callTool({ name: 'mail__read', arguments: {} })).rejects.toThrow();
      const [record] = await door.records();
      expect(record).toMatchObject({
        name: 'write',
        principal: { user: `agent@${server.issuer}`, client: `agent@${server.issuer}` },
      });
    },
  );

  it('gets in beside local clients, which see everything', verifies('oauth.accepts'), async () => {
    const client = await CLIENTS['v2 SDK (2026-07-28)'].connect(`${door.url}/mcp`, LOCAL_TOKEN);
    expect((await client.listTools()).tools).toHaveLength(4);
    expect((await post('mail__read', LOCAL_TOKEN)).status).toBe(200);
  });

  it('sees only the tools that its scope names', verifies('oauth.scopes'), async () => {
    const narrow = await token('notes:read');
    for (const path of ['/mcp', '/s/local.test/notes/mcp']) {
      const { headers, body } = modernRequest('tools/list');
      const answer = await exchange(door, { path, headers: { ...headers, ...bearer(narrow) }, body });
      expect((answer.json()['result'] as { tools: unknown[] }).tools).toHaveLength(1);
    }
    expect((await post('notes__read', narrow)).status).toBe(200);
    expect((await post('notes__write', narrow)).status).toBe(403);
  });
});

describe('a token that opens too little', () => {
  it('is answered with 403 and the least scope that would do', verifies('oauth.scopes'), async () => {
    const narrow = await token('notes:read');
    const expected = { notes__write: 'notes', mail__read: 'mail' };
    for (const [name, scope] of Object.entries(expected)) {
      const answer = await post(name, narrow);
      expect(answer.status).toBe(403);
      expect(answer.headers['www-authenticate']).toBe(
        `Bearer realm="berth", error="insufficient_scope", error_description="The token does not open this", scope="${scope}", resource_metadata="${HUB}${METADATA}/mcp"`,
      );
      expect(answer.json()).toMatchObject({ error: { data: { code: 'insufficient-scope' } } });
    }
  });

  it('does not enter the door of another skill', verifies('oauth.scopes'), async () => {
    const answer = await post('read', await token('notes'), '/s/local.test/mail/mcp');
    expect(answer.status).toBe(403);
    expect(answer.headers['www-authenticate']).toContain('scope="mail"');
  });

  it('and has no scope of this hub at all is told of every one', verifies('oauth.scopes'), async () => {
    const answer = await post('notes__read', await token());
    expect(answer.status).toBe(403);
    expect(answer.headers['www-authenticate']).toContain(`scope="${Object.keys(SCOPES).join(' ')}"`);
  });

  it('opens more in the same session once it was given more', verifies('oauth.scopes'), async () => {
    const headers = { 'mcp-protocol-version': '2025-11-25' };
    const narrow = await token('notes:read');
    const opened = await exchange(door, { headers: bearer(narrow), body: INITIALIZE });
    const session = String(opened.headers['mcp-session-id']);
    const inSession = async (text: string) =>
      exchange(door, {
        headers: { ...headers, ...bearer(text), 'mcp-session-id': session },
        body: {
          jsonrpc: '2.0',
          id: 2,
          method: 'tools/call',
          params: { name: 'notes__write', arguments: {} },
        },
      });
    expect((await inSession(narrow)).status).toBe(403);
    expect((await inSession(await token('notes'))).text).toContain('done');
    expect((await inSession(narrow)).status).toBe(403);
  });

  it(
    'opens nothing more because a wider one of the same client was there before',
    verifies('oauth.scopes'),
    async () => {
      const list = async (text: string) => {
        const { headers, body } = modernRequest('tools/list');
        const answer = await exchange(door, { headers: { ...headers, ...bearer(text) }, body });
        return (answer.json()['result'] as { tools: unknown[] }).tools.length;
      };
      expect(await list(await token('everything'))).toBe(4);
      expect(await list(await token('notes:read'))).toBe(1);
      expect(await list(await token('notes mail'))).toBe(4);
    },
  );
});

describe('a client that is not let in', () => {
  it('is told where to get a token', verifies('oauth.challenge'), async () => {
    const none = await exchange(door, { headers: { authorization: '' }, body: INITIALIZE });
    expect(none.status).toBe(401);
    expect(none.headers['www-authenticate']).toContain(`resource_metadata="${HUB}${METADATA}/mcp"`);
    const atSkill = await fetch(`${door.url}/s/local.test/notes/mcp`, { method: 'POST' });
    expect(atSkill.status).toBe(401);
    expect(atSkill.headers.get('www-authenticate')).toBe(
      `Bearer realm="berth", scope="notes:read", resource_metadata="${HUB}${METADATA}/s/local.test/notes/mcp"`,
    );
  });

  it(
    'because its token is expired, foreign or for another audience learns that, too',
    verifies('oauth.challenge', 'oauth.refuses'),
    async () => {
      const now = Math.floor(Date.now() / 1_000);
      const claims = { iss: server.issuer, aud: HUB, sub: 'ada', client_id: 'agent', scope: 'notes' };
      const other = await authorizationServer({ scopes: Object.keys(SCOPES) });
      const refused = {
        'token-expired': await server.forge({ ...claims, iat: now - 900, exp: now - 300 }),
        'not-signed-in': await other.token({ resource: HUB, scope: 'notes' }),
        'not-signed-in ': await server.token({ resource: 'https://other.test', scope: 'notes' }),
        'not-signed-in  ': 'berth_not_a_token',
      };
      for (const [code, text] of Object.entries(refused)) {
        const answer = await post('notes__read', text);
        expect(answer.status).toBe(401);
        expect(answer.headers['www-authenticate']).toContain('error="invalid_token"');
        expect(answer.headers['www-authenticate']).toContain(`resource_metadata="${HUB}${METADATA}/mcp"`);
        expect(answer.json()).toMatchObject({ error: { data: { code: code.trim() } } });
        // Not a word of the token comes back.
        expect(answer.text).not.toContain(text);
      }
    },
  );

  it(
    'because its authorization server is down is answered that nobody can tell now',
    verifies('oauth.fails-closed'),
    async () => {
      const text = await token('notes');
      await server.stop();
      const answer = await post('notes__read', text);
      expect(answer.status).toBe(503);
      expect(answer.json()).toMatchObject({ error: { data: { code: 'unavailable' } } });
      expect((await post('notes__read', LOCAL_TOKEN)).status).toBe(200);
    },
  );
});

describe('the metadata of the hub', () => {
  it('is served without a token at every form of its address', verifies('oauth.challenge'), async () => {
    for (const path of ['', '/mcp', '/s/local.test/notes/mcp']) {
      const answer = await fetch(`${door.url}${METADATA}${path}`);
      expect(answer.status).toBe(200);
      expect(await answer.json()).toEqual({
        resource: HUB,
        authorization_servers: [server.issuer],
        scopes_supported: Object.keys(SCOPES),
        bearer_methods_supported: ['header'],
        resource_name: 'Berth',
      });
    }
    expect((await fetch(`${door.url}${METADATA}/elsewhere`)).status).toBe(404);
  });

  it('is not served to a foreign page', verifies('mcp.dns-rebinding'), async () => {
    const foreign = { host: 'evil.test' };
    expect((await exchange(door, { method: 'GET', path: METADATA, headers: foreign })).status).toBe(403);
  });

  it('is not there where no authorization server is configured', async () => {
    const plain = await accessRig({ skills: [], oauth: undefined });
    expect((await fetch(`${plain.url}${METADATA}`)).status).toBe(404);
    const answer = await fetch(`${plain.url}/mcp`, { method: 'POST', headers: bearer(await token('notes')) });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).not.toContain('resource_metadata');
  });
});
