import { beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../../support/fixture-skills.ts';
import { verifies } from '../../support/verifies.ts';
import { endpointRig, exchange, INITIALIZE, modernRequest, type Surfaces } from './rig.ts';

let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  surfaces = { modern, legacy };
});

const codeOf = (answer: { json: () => Record<string, unknown> }): unknown =>
  (answer.json()['error'] as { data?: { code?: string } }).data?.code;
const rpcCodeOf = (answer: { json: () => Record<string, unknown> }): unknown =>
  (answer.json()['error'] as { code?: number }).code;

describe('the token', () => {
  it.each(['/mcp', '/s/org.example/modern/mcp'])(
    'is needed at %s, for every method',
    verifies('mcp.token'),
    async (path) => {
      const rig = await endpointRig(surfaces);
      for (const method of ['POST', 'GET', 'DELETE', 'OPTIONS', 'PUT']) {
        const answer = await exchange(rig, { method, path, headers: { authorization: '' } });
        expect(answer.status).toBe(401);
      }
    },
  );

  it('is asked for without a reason where none came, as RFC 6750 says', verifies('mcp.token'), async () => {
    const rig = await endpointRig(surfaces);
    const { port } = rig;
    const answer = await fetch(`http://127.0.0.1:${port}/mcp`, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="berth"');
    expect(await answer.json()).toMatchObject({
      jsonrpc: '2.0',
      id: null,
      error: { data: { code: 'not-signed-in' } },
    });
  });

  it.each([
    ['wrong', 'Bearer nobody-knows-this', 'not-signed-in', 'Sign in first'],
    ['expired', 'Bearer expired', 'token-expired', 'The token has expired'],
    ['not a bearer token', 'Basic dXNlcjpwYXNz', 'not-signed-in', 'Sign in first'],
    ['two words', 'Bearer token-of-ada token-of-bob', 'not-signed-in', 'Sign in first'],
    ['of absurd length', `Bearer ${'x'.repeat(10_000)}`, 'not-signed-in', 'Sign in first'],
  ])('that is %s opens nothing', verifies('mcp.token'), async (_what, authorization, code, title) => {
    const rig = await endpointRig(surfaces);
    const answer = await exchange(rig, { headers: { authorization }, body: INITIALIZE });
    expect(answer.status).toBe(401);
    expect(codeOf(answer)).toBe(code);
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer realm="berth", error="invalid_token", error_description="${title}"`,
    );
    expect(answer.headers).not.toHaveProperty('mcp-session-id');
  });
});

describe('Host and Origin', () => {
  it.each([
    ['Host', { host: 'evil.example' }],
    ['Host without the port', { host: '127.0.0.1' }],
    ['Host with another port', { host: '127.0.0.1:1' }],
    ['Origin', { origin: 'https://evil.example' }],
    ['Origin with another port', { origin: 'http://127.0.0.1:1' }],
    ['Origin that is opaque', { origin: 'null' }],
  ])('a foreign %s is refused, whatever the token', verifies('mcp.dns-rebinding'), async (_what, headers) => {
    const rig = await endpointRig(surfaces);
    for (const authorization of ['Bearer token-of-ada', 'Bearer wrong']) {
      const answer = await exchange(rig, {
        headers: { ...headers, authorization },
        body: INITIALIZE,
      });
      expect(answer.status).toBe(403);
      expect(codeOf(answer)).toBe('host-refused');
    }
  });

  it('of the hub itself are taken, under each of its names', async () => {
    const rig = await endpointRig(surfaces);
    const own = { host: `LOCALHOST:${rig.port}`, origin: `http://127.0.0.1:${rig.port}` };
    expect((await exchange(rig, { headers: own, body: INITIALIZE })).status).toBe(200);
  });
});

describe('a body', () => {
  const pad = (bytes: number): string =>
    JSON.stringify(INITIALIZE).replace('test-client', `test-client ${'x'.repeat(bytes)}`);

  it('that is too large is refused, announced or not', verifies('mcp.bounds'), async () => {
    const rig = await endpointRig(surfaces, { limits: { requestBytes: 10_000 } });
    expect((await exchange(rig, { body: pad(9_000) })).status).toBe(200);
    const announced = await exchange(rig, { body: pad(2_000_000) });
    expect([announced.status, codeOf(announced)]).toEqual([413, 'request-too-large']);
    const streamed = await exchange(rig, {
      headers: { 'transfer-encoding': 'chunked' },
      body: pad(2_000_000),
    });
    expect([streamed.status, codeOf(streamed)]).toEqual([413, 'request-too-large']);
  });

  it(
    'that is nested too deep is refused before anything recurses into it',
    verifies('mcp.bounds'),
    async () => {
      const rig = await endpointRig(surfaces);
      const deep = JSON.stringify(INITIALIZE).replace(
        '"capabilities":{}',
        `"capabilities":${'[['.repeat(500_000)}${']]'.repeat(500_000)}`,
      );
      const answer = await exchange(rig, { body: deep });
      expect([answer.status, rpcCodeOf(answer), codeOf(answer)]).toEqual([400, -32600, 'request-invalid']);
    },
  );

  it.each([
    ['half a document', '{"jsonrpc":'],
    ['nothing', ''],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1')],
  ])('that is %s is a parse error', verifies('mcp.bounds'), async (what, body) => {
    const rig = await endpointRig(surfaces);
    const answer =
      what === 'not UTF-8'
        ? await fetch(`${rig.url}/mcp`, {
            method: 'POST',
            headers: { authorization: 'Bearer token-of-ada', 'content-type': 'application/json' },
            body: Buffer.from(body, 'latin1'),
          }).then(async (response) => ({
            status: response.status,
            json: await response.json().then((value) => () => value as Record<string, unknown>),
          }))
        : await exchange(rig, { body });
    expect([answer.status, rpcCodeOf(answer)]).toEqual([400, -32700]);
  });

  it('that is JSON but no JSON-RPC is an invalid request', verifies('mcp.bounds'), async () => {
    const rig = await endpointRig(surfaces);
    for (const body of ['{"hello":1}', '[]', '"text"', 'null']) {
      const answer = await exchange(rig, { body });
      expect([answer.status, rpcCodeOf(answer)]).toEqual([400, -32600]);
    }
  });

  it('that a form could have sent is refused', async () => {
    const rig = await endpointRig(surfaces);
    const answer = await exchange(rig, { headers: { 'content-type': 'text/plain' }, body: INITIALIZE });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'request-invalid']);
  });
});

describe('an address', () => {
  it('that leads nowhere is not found', async () => {
    const rig = await endpointRig(surfaces);
    for (const path of [
      '/mcp/',
      '/s/org.example/mcp',
      '/s/org.example/nothing/mcp',
      '/s/a/b/c/mcp',
      '/s/org.example%2Fmodern/x/mcp',
    ]) {
      const answer = await exchange(rig, { path, body: INITIALIZE });
      expect([path, answer.status]).toEqual([path, 404]);
    }
  });
});

describe('the headers of 2026-07-28', () => {
  it('must say what the body says', verifies('mcp.headers'), async () => {
    const rig = await endpointRig(surfaces);
    const { headers, body } = modernRequest('tools/call', {
      name: 'modern__echo',
      arguments: { message: 'x' },
    });
    expect((await exchange(rig, { headers, body })).json()).toMatchObject({
      result: { resultType: 'complete' },
    });
    for (const wrong of [
      { 'mcp-name': 'modern__fail' },
      { 'mcp-method': 'tools/list' },
      { 'mcp-protocol-version': '2025-11-25' },
    ]) {
      const answer = await exchange(rig, { headers: { ...headers, ...wrong }, body });
      expect([answer.status, rpcCodeOf(answer)]).toEqual([400, -32020]);
    }
    expect(rig.asked).toHaveLength(1);
  });

  it(
    'that a tool asks for are checked against the schema that was approved',
    verifies('mcp.headers'),
    async () => {
      const tools = surfaces.modern.tools.map((tool) =>
        tool.name === 'echo'
          ? {
              ...tool,
              inputSchema: {
                type: 'object' as const,
                properties: { message: { type: 'string', 'x-mcp-header': 'Message' } },
                required: ['message'],
              },
            }
          : tool,
      );
      const answers = { content: [{ type: 'text', text: 'called' }] };
      const rig = await endpointRig(
        { ...surfaces, modern: { ...surfaces.modern, tools } },
        { request: async () => answers },
      );
      const { headers, body } = modernRequest('tools/call', {
        name: 'modern__echo',
        arguments: { message: 'x' },
      });
      const call = (more: Record<string, string>) =>
        exchange(rig, { headers: { ...headers, ...more }, body });
      expect((await call({ 'mcp-param-message': 'x' })).json()).toMatchObject({ result: answers });
      expect(rpcCodeOf(await call({ 'mcp-param-message': 'y' }))).toBe(-32020);
      expect(rpcCodeOf(await call({}))).toBe(-32020);
      expect(rig.asked).toHaveLength(1);
    },
  );

  it('name no method that the door does not have', async () => {
    const rig = await endpointRig(surfaces);
    for (const method of ['tools/steal', 'logging/setLevel', 'resources/subscribe', 'initialize']) {
      const answer = await exchange(rig, modernRequest(method));
      expect([method, answer.status, rpcCodeOf(answer)]).toEqual([method, 404, -32601]);
    }
  });

  it('get lists with a caching hint that is private', async () => {
    const rig = await endpointRig(surfaces, { limits: { listTtlMs: 1_234 } });
    for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
      expect((await exchange(rig, modernRequest(method))).json()).toMatchObject({
        result: { ttlMs: 1_234, cacheScope: 'private' },
      });
    }
    expect(rpcCodeOf(await exchange(rig, modernRequest('tools/list', { cursor: 'page-2' })))).toBe(-32602);
  });

  it('never let a skill have what one client may read shared with another', async () => {
    const contents = [{ uri: 'echo://motto', text: 'x' }];
    const request = async () => ({ contents, ttlMs: 60_000, cacheScope: 'public' });
    const rig = await endpointRig(surfaces, { request });
    expect(
      (await exchange(rig, modernRequest('resources/read', { uri: 'echo://motto' }))).json(),
    ).toMatchObject({
      result: { contents, ttlMs: 60_000, cacheScope: 'private' },
    });
  });
});

describe('a client that goes away', () => {
  it('in the middle of a 2026-07-28 request has cancelled it', verifies('mcp.cancel'), async () => {
    const rig = await endpointRig(surfaces);
    const { headers, body } = modernRequest('tools/call', { name: 'modern__wait' });
    const leave = new AbortController();
    const call = fetch(`${rig.url}/mcp`, {
      method: 'POST',
      headers: { ...headers, authorization: 'Bearer token-of-ada', 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: leave.signal,
    });
    await rig.said('waiting');
    leave.abort();
    await expect(call).rejects.toThrow();
    await rig.said('cancelled');
  });
});
