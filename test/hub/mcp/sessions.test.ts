import { beforeAll, describe, expect, it } from 'vitest';
import { hasFastLane } from '../../support/berth.ts';
import { capture } from '../../support/fixture-skills.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { type EndpointRig, endpointRig, eventStream, exchange, INITIALIZE, type Surfaces } from './rig.ts';

let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  surfaces = { modern, legacy };
});

const LIST = { jsonrpc: '2.0', id: 2, method: 'tools/list' };

async function openSession(
  rig: EndpointRig,
  { token = 'token-of-ada', path = '/mcp' } = {},
): Promise<string> {
  const answer = await exchange(rig, {
    path,
    headers: { authorization: `Bearer ${token}` },
    body: INITIALIZE,
  });
  expect(answer.status).toBe(200);
  return String(answer.headers['mcp-session-id']);
}

function inSession(
  rig: EndpointRig,
  id: string,
  {
    method = 'POST',
    token = 'token-of-ada',
    path = '/mcp',
    body = LIST,
  }: { method?: string; token?: string; path?: string; body?: object } = {},
) {
  return exchange(rig, {
    method,
    path,
    headers: { authorization: `Bearer ${token}`, 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' },
    ...(method === 'POST' ? { body } : {}),
  });
}

/** How often what the SDK holds of a session was made anew. */
function resumed({ lines }: EndpointRig): number {
  return lines.filter(({ msg }) => msg === 'a session goes on after a rest').length;
}

describe('a session', () => {
  it('is opened by initialize and used by whoever opened it', verifies('mcp.sessions'), async () => {
    const rig = await endpointRig(surfaces);
    const id = await openSession(rig);
    const answer = await inSession(rig, id);
    const { tools } = answer.json()['result'] as { tools: unknown[] };
    expect(tools).toHaveLength(surfaces.modern.tools.length + surfaces.legacy.tools.length);
    expect(answer.json()).not.toHaveProperty('result.ttlMs');
  });

  it('of somebody else is answered like none at all', verifies('mcp.sessions'), async () => {
    const rig = await endpointRig(surfaces);
    const id = await openSession(rig);
    const unknown = await inSession(rig, '00000000-0000-0000-0000-000000000000');
    const foreign = await inSession(rig, id, { token: 'token-of-bob' });
    const otherDoor = await inSession(rig, id, { path: '/s/org.example/modern/mcp' });
    for (const answer of [unknown, foreign, otherDoor]) {
      expect(answer.status).toBe(404);
      expect(answer.json()).toMatchObject({ error: { code: -32001, data: { code: 'session-not-found' } } });
    }
    for (const method of ['GET', 'DELETE']) {
      expect((await inSession(rig, id, { method, token: 'token-of-bob' })).status).toBe(404);
    }
    expect((await inSession(rig, id)).status).toBe(200);
  });

  it('ends with DELETE', verifies('mcp.sessions'), async () => {
    const rig = await endpointRig(surfaces);
    const id = await openSession(rig);
    expect((await inSession(rig, id, { method: 'DELETE' })).status).toBe(200);
    expect((await inSession(rig, id)).status).toBe(404);
  });

  it('cancels what it has in flight when it ends', verifies('mcp.sessions', 'mcp.cancel'), async () => {
    const rig = await endpointRig(surfaces);
    const id = await openSession(rig);
    const call = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'modern__wait' } };
    const open = inSession(rig, id, { body: call });
    await rig.said('waiting');
    await inSession(rig, id, { method: 'DELETE' });
    await rig.said('cancelled');
    expect((await open).text).toBe('');
  });

  it('does not keep the stream of a cancelled call open', verifies('mcp.cancel'), async () => {
    const rig = await endpointRig(surfaces);
    const id = await openSession(rig);
    const call = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'legacy__wait' } };
    const open = inSession(rig, id, { body: call });
    await rig.said('waiting');
    const cancel = {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 3, reason: 'enough' },
    };
    expect((await inSession(rig, id, { body: cancel })).status).toBe(202);
    expect((await open).text).toBe('');
    await rig.said('cancelled');
    expect((await inSession(rig, id)).status).toBe(200);
  });

  it('goes on where it was after a rest', verifies('mcp.sessions-rest'), async () => {
    const clock = manualClock();
    const rig = await endpointRig(surfaces, { clock });
    const id = await openSession(rig);
    const ready = { jsonrpc: '2.0', method: 'notifications/initialized' };
    const ping = { jsonrpc: '2.0', id: 3, method: 'ping' };
    const prompts = {
      jsonrpc: '2.0',
      id: 4,
      method: 'prompts/list',
      params: { _meta: { progressToken: 1 } },
    };
    const rest = async () => {
      clock.advance(1_000);
      // What the SDK holds of a session is let go in promises that nobody waits for.
      await new Promise(setImmediate);
    };
    for (const [body, status] of [
      [ready, 202],
      [ping, 200],
      [prompts, 200],
      [INITIALIZE, 400],
      [ready, 202],
    ] as const) {
      await rest();
      const answer = await inSession(rig, id, { body });
      expect([body.method, answer.status]).toEqual([body.method, status]);
    }
    await rest();
    const stream = await eventStream(rig, {
      method: 'GET',
      headers: { authorization: 'Bearer token-of-ada', 'mcp-session-id': id },
    });
    rig.hide('ada', 'modern__echo');
    expect(await stream.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    expect((await inSession(rig, id, { method: 'DELETE' })).status).toBe(200);
    expect(await stream.next()).toBeUndefined();
    // By the ping, the list with progress, the second initialize, and the stream: what is plain wakes nobody up, as long
    // as there is a fast lane to carry it.
    expect(resumed(rig)).toBe(hasFastLane ? 4 : 6);
    expect((await inSession(rig, id)).status).toBe(404);
  });

  it('goes on with a call whose client has hung up', verifies('mcp.sessions-rest'), async () => {
    const clock = manualClock();
    const rig = await endpointRig(surfaces, { clock });
    const id = await openSession(rig);
    const params = { name: 'modern__wait', _meta: { progressToken: 1 } };
    const hangUp = new AbortController();
    const call = fetch(`${rig.url}/mcp`, {
      method: 'POST',
      signal: hangUp.signal,
      headers: {
        authorization: 'Bearer token-of-ada',
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': id,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 3, method: 'tools/call', params }),
    });
    await rig.said('waiting');
    hangUp.abort();
    await (await call).text().catch(() => undefined);
    const echo = { name: 'modern__echo', arguments: { message: 'still there' } };
    // After a request that waits for the skill, the session would have been let go, and the call with it.
    for (let rest = 0; rest < 2; rest += 1) {
      await inSession(rig, id, { body: { jsonrpc: '2.0', id: 4, method: 'tools/call', params: echo } });
      clock.advance(1_000);
      await new Promise(setImmediate);
    }
    expect([JSON.stringify(rig.lines).includes('cancelled'), resumed(rig)]).toEqual([false, 0]);
    await inSession(rig, id, { method: 'DELETE' });
    await rig.said('cancelled');
  });

  it('that nobody uses ends by itself', verifies('mcp.sessions'), async () => {
    const clock = manualClock();
    const rig = await endpointRig(surfaces, { clock, limits: { sessionTtlMs: 60_000 } });
    const id = await openSession(rig);
    clock.advance(59_999);
    expect((await inSession(rig, id)).status).toBe(200);
    clock.advance(59_999);
    expect((await inSession(rig, id)).status).toBe(200);
    clock.advance(60_000);
    expect((await inSession(rig, id)).status).toBe(404);
  });

  it(
    'makes room for a newer one of the same client, the idlest first, and for nobody else’s',
    verifies('mcp.sessions'),
    async () => {
      const clock = manualClock();
      const rig = await endpointRig(surfaces, { clock, limits: { sessionsPerClient: 2 } });
      const ids: string[] = [];
      for (let opened = 0; opened < 2; opened += 1) {
        ids.push(await openSession(rig));
        clock.advance(1);
      }
      await inSession(rig, ids[0] ?? '');
      clock.advance(1);
      await openSession(rig, { token: 'token-of-bob' });
      ids.push(await openSession(rig));
      const statuses = await Promise.all(ids.map(async (id) => (await inSession(rig, id)).status));
      expect(statuses).toEqual([200, 404, 200]);
    },
  );

  it('is refused when all of a client’s sessions are busy', verifies('mcp.sessions'), async () => {
    const rig = await endpointRig(surfaces, { limits: { sessionsPerClient: 1 } });
    const id = await openSession(rig);
    const call = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'modern__wait' } };
    const open = inSession(rig, id, { body: call });
    await rig.said('waiting');
    expect((await exchange(rig, { body: INITIALIZE })).status).toBe(429);
    await inSession(rig, id, { method: 'DELETE' });
    await open;
    await openSession(rig);
  });

  it('is needed by whoever speaks an older revision', async () => {
    const rig = await endpointRig(surfaces);
    const without = await exchange(rig, { body: LIST });
    expect([without.status, (without.json()['error'] as { message: string }).message]).toEqual([
      400,
      expect.stringContaining('initialize first'),
    ]);
    for (const method of ['GET', 'DELETE']) {
      const answer = await exchange(rig, { method });
      expect([answer.status, answer.headers['allow']]).toEqual([405, 'POST']);
    }
  });

  it('of a removed client ends at once, with its calls', verifies('mcp.removed-client'), async () => {
    const rig = await endpointRig(surfaces);
    const id = await openSession(rig);
    const bobs = await openSession(rig, { token: 'token-of-bob' });
    const call = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'modern__wait' } };
    const open = inSession(rig, id, { body: call });
    await rig.said('waiting');
    await rig.endpoint.end('editor');
    await rig.said('cancelled');
    await open;
    expect((await inSession(rig, id)).status).toBe(404);
    expect((await inSession(rig, bobs, { token: 'token-of-bob' })).status).toBe(200);
  });
});
