import { chmod, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { adminApi } from '../../../hub/admin-api.ts';
import { callRoute } from '../../../protocol/node/http-client.ts';
import { endpointRig, exchange, INITIALIZE, modernRequest, type Surfaces } from '../../hub/mcp/rig.ts';
import { capture } from '../../support/fixture-skills.ts';
import { hubRig } from '../../support/hub-rig.ts';
import { skillFolder } from '../../support/skill-folder.ts';
import { verifies } from '../../support/verifies.ts';

const NAME = 'local.test/subject';
let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  surfaces = { modern, legacy };
});

describe('a client that was removed', () => {
  it('does not finish a request that it began to send before', verifies('clients.removal'), async () => {
    const rig = await hubRig();
    await rig.publish(await skillFolder({ tools: { hello: { code: `return 'hello'` } } }));
    await rig.install(NAME, '*', {});
    const { token } = await callRoute(adminApi.addClient, { ...rig.admin, body: { name: 'agent' } });
    const { headers, body } = modernRequest('tools/call', { name: 'subject__hello', arguments: {} });
    const text = JSON.stringify(body);
    const url = new URL(rig.hub.mcp);
    const outgoing = request(url, {
      method: 'POST',
      headers: {
        ...headers,
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'content-length': String(text.length),
        // So that the hub is known to have let the client in, and to wait for the body.
        expect: '100-continue',
      },
    });
    const answer = new Promise<number | undefined>((resolve, reject) => {
      outgoing.once('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      outgoing.once('error', reject);
    });
    outgoing.flushHeaders();
    await new Promise((resolve) => outgoing.once('continue', resolve));
    outgoing.write(text.slice(0, 10));
    await callRoute(adminApi.removeClient, { ...rig.admin, params: { client: 'agent' } });
    outgoing.end(text.slice(10));
    expect(await answer).toBe(401);
    const records = await callRoute(adminApi.audit, { ...rig.admin, query: { event: 'call.' } });
    expect(records).toEqual([]);
  });
});

describe('a client that asks for everything at once', () => {
  it('has no more sessions than it may have', verifies('mcp.sessions'), async () => {
    const rig = await endpointRig(surfaces, { limits: { sessionsPerClient: 5 } });
    const opened = await Promise.all(Array.from({ length: 40 }, () => exchange(rig, { body: INITIALIZE })));
    const ids = opened.filter(({ status }) => status === 200).map(({ headers }) => headers['mcp-session-id']);
    const alive = await Promise.all(
      ids.map((id) =>
        exchange(rig, {
          headers: { 'mcp-session-id': String(id), 'mcp-protocol-version': '2025-11-25' },
          body: { jsonrpc: '2.0', id: 2, method: 'ping' },
        }),
      ),
    );
    expect(alive.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(5);
    expect(alive.some(({ status }) => status === 200)).toBe(true);
  });

  it(
    'has no more requests in hand than it may have, and others are answered',
    verifies('mcp.requests-bounded'),
    async () => {
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      const rig = await endpointRig(surfaces, {
        limits: { requestsPerClient: 20 },
        request: async () => {
          await held;
          return { content: [] };
        },
      });
      const call = (token: string) =>
        exchange(rig, {
          ...modernRequest('tools/call', { name: 'modern__greet', arguments: {} }),
          headers: {
            ...modernRequest('tools/call', { name: 'modern__greet' }).headers,
            authorization: `Bearer ${token}`,
          },
        });
      const storm = Array.from({ length: 200 }, () => call('token-of-ada'));
      const refused = Promise.all(storm).then((all) => all.filter(({ status }) => status === 429));
      const other = call('token-of-bob');
      await expect.poll(() => rig.asked.length, { interval: 5 }).toBe(21);
      release();
      expect((await other).status).toBe(200);
      expect(await refused).toHaveLength(180);
      expect((await call('token-of-ada')).status).toBe(200);
    },
  );
});

describe('the doors of a hub', () => {
  it('answer nothing without a token, by any method or spelling', verifies('mcp.token'), async () => {
    const rig = await hubRig();
    const { token } = await callRoute(adminApi.addClient, { ...rig.admin, body: { name: 'agent' } });
    const port = Number(new URL(rig.hub.url).port);
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const path of [
        '/mcp',
        `/mcp?token=${token}`,
        `/mcp?access_token=${token}`,
        '/mcp/',
        '//mcp',
        '/s/a.b/c/mcp',
      ]) {
        const { status } = await exchange({ port }, { method, path, headers: { authorization: '' } });
        expect([401, 404], `${method} ${path}`).toContain(status);
      }
    }
    for (const method of ['HEAD', 'OPTIONS', 'PUT', 'PATCH']) {
      const { status } = await exchange({ port }, { method, headers: { authorization: `Bearer ${token}` } });
      expect([400, 404, 405], method).toContain(status);
    }
  });

  it(
    'stay shut to other accounts, whatever the folder was before',
    verifies('hub.admin-folder'),
    async () => {
      const rig = await hubRig();
      const folder = join(rig.home, 'hub');
      await chmod(folder, 0o777);
      await rig.restart();
      expect((await stat(folder)).mode & 0o777).toBe(0o700);
      expect((await stat(join(folder, 'admin.sock'))).mode & 0o777).toBe(0o600);
      expect((await stat(join(folder, 'hub.db'))).mode & 0o777).toBe(0o600);
    },
  );
});
