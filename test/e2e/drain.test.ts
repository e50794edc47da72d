import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openWire } from '../bench/wire.ts';
import { eventStream, exchange, INITIALIZE, modernRequest } from '../hub/mcp/rig.ts';
import { berth } from '../support/berth.ts';
import { allGone, type ChaosHome, chaosHome, end, filesIn, until } from '../support/chaos-home.ts';
import { verifies } from '../support/verifies.ts';

/** Longer than any test may take: whoever waits for it fails. */
const FOR_EVER = { BERTH_HUB_DRAIN_MS: '3600000' };
const TASKS = 'io.modelcontextprotocol/tasks';

interface Entry {
  record: Record<string, unknown>;
}

let home: ChaosHome | undefined;
afterEach(() => home?.remove());

async function hubWith(env: Record<string, string>): Promise<ChaosHome> {
  home = await chaosHome(env);
  await home.install({ name: 'patient' }, 60_000);
  return home;
}

/** The streams on which a client of either era hears of changes. */
async function openStreams({ up, token }: ChaosHome) {
  const port = Number(new URL(up.urls.hub).port);
  const authorization = `Bearer ${token}`;
  const opened = await exchange({ port }, { headers: { authorization }, body: INITIALIZE });
  const session = {
    'mcp-session-id': String(opened.headers['mcp-session-id']),
    'mcp-protocol-version': '2025-11-25',
  };
  const listen = modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } });
  const modern = await eventStream(
    { port },
    { method: 'POST', headers: { authorization, ...listen.headers }, body: listen.body },
  );
  // It is open once it says so.
  await modern.next();
  const legacy = await eventStream({ port }, { method: 'GET', headers: { authorization, ...session } });
  return [legacy, modern];
}

/** From here on nothing new is taken. */
function stopsAccepting({ up }: ChaosHome): Promise<void> {
  return until(() =>
    openWire(up.urls.mcp).then(
      (wire) => (wire.close(), false),
      () => true,
    ),
  );
}

/** The newest record of how a call ended, from the hub that was started again. */
async function lastEnd({ up }: ChaosHome): Promise<Entry['record'] | undefined> {
  const [last] = (await up.ok('audit', 'ls', '--event', 'call.finished')) as unknown as Entry[];
  return last?.record;
}

describe('a hub that is told to stop', () => {
  it('lets calls in flight finish and leaves no process', verifies('hub.drain'), async () => {
    const { up, install: _install, clients, workspace, alive } = await hubWith(FOR_EVER);
    const crowd = await clients(8);
    const path = '/workspace/go';
    const ends = crowd.map((client) => end(client, 'patient', 'until', { path }));
    await filesIn(workspace, crowd.length);
    const below = alive();
    const gone = up.stop();
    await stopsAccepting(home as ChaosHome);
    await writeFile(join(workspace, 'go'), '');
    expect(await Promise.all(ends)).toEqual(crowd.map(() => 'ok'));
    expect(await gone).toBe(0);
    await until(() => allGone(below));
    expect((await berth(up.home, ['audit', 'verify', '--json'])).code).toBe(0);
  });

  it(
    'gives a call of several seconds its time, and ends streams for news at once',
    verifies('hub.drain'),
    async () => {
      const here = await hubWith(FOR_EVER);
      const [client] = await here.clients(1);
      const streams = await openStreams(here);
      const order: string[] = [];
      const call = end(client as never, 'patient', 'slow', { ms: 5_000 }).then((how) => order.push(how));
      await until(async () => (await here.running()).some(({ calls }) => calls > 0));
      const gone = here.up.stop();
      for (const stream of streams) expect(await stream.next()).toBeUndefined();
      order.push('streams');
      await call;
      expect(order).toEqual(['streams', 'ok']);
      expect(await gone).toBe(0);
    },
  );

  it('waits for nobody who only listens', verifies('hub.drain'), async () => {
    const here = await hubWith(FOR_EVER);
    const streams = await openStreams(here);
    expect(await here.up.stop()).toBe(0);
    for (const stream of streams) expect(await stream.next()).toBeUndefined();
  });

  it('breaks off what takes too long, with an answer and a record', verifies('hub.drain-limit'), async () => {
    const here = await hubWith({ BERTH_HUB_DRAIN_MS: '300' });
    const [, client] = await here.clients(2);
    const call = end(client as never, 'patient', 'until', { path: '/workspace/never' });
    await filesIn(here.workspace, 1);
    const below = here.alive();
    expect(await here.up.stop()).toBe(0);
    expect(await call).toBe('skill-crashed');
    await until(() => allGone(below));
    expect((await berth(here.up.home, ['audit', 'verify', '--json'])).code).toBe(0);
    await here.restart();
    expect(await lastEnd(here)).toMatchObject({
      outcome: 'crashed',
      detail: expect.stringContaining('the hub is stopping'),
    });
  });

  it(
    'is made to hurry by a second signal, and still ends in order',
    verifies('hub.drain-limit'),
    async () => {
      const here = await hubWith(FOR_EVER);
      const [client] = await here.clients(1);
      const call = end(client as never, 'patient', 'until', { path: '/workspace/never' });
      await filesIn(here.workspace, 1);
      const gone = here.up.stop();
      await stopsAccepting(here);
      here.up.process.kill('SIGINT');
      expect(await call).toBe('skill-crashed');
      expect(await gone).toBe(0);
      expect((await berth(here.up.home, ['audit', 'verify', '--json'])).code).toBe(0);
      await here.restart();
      const [start, stop] = (await here.up.ok('audit', 'ls', '--event', 'hub')) as unknown as Entry[];
      expect(start?.record).toMatchObject({ event: 'hub.started', unfinished: [] });
      expect(stop?.record['event']).toBe('hub.stopped');
    },
  );

  it('lets tasks finish, so that their results are there afterwards', verifies('hub.drain'), async () => {
    const here = await hubWith({ ...FOR_EVER, BERTH_HUB_TASKS_AFTER_MS: '0' });
    const ask = async (method: string, params: Record<string, unknown>) => {
      const { headers, body } = modernRequest(method, params);
      const capabilities = { extensions: { [TASKS]: {} } };
      const { _meta: envelope } = body.params;
      const meta = { ...envelope, 'io.modelcontextprotocol/clientCapabilities': capabilities };
      const named = method === 'tasks/get' ? { 'mcp-name': String(params['taskId']) } : {};
      const answer = await exchange(
        { port: Number(new URL(here.up.urls.hub).port) },
        {
          headers: { ...headers, ...named, authorization: `Bearer ${here.token}` },
          body: { ...body, params: { ...body.params, _meta: meta } },
        },
      );
      return answer.json()['result'] as Record<string, unknown>;
    };
    const task = await ask('tools/call', { name: 'patient__until', arguments: { path: '/workspace/go' } });
    expect(task).toMatchObject({ resultType: 'task', status: 'working' });
    await filesIn(here.workspace, 1);
    const gone = here.up.stop();
    await stopsAccepting(here);
    await writeFile(join(here.workspace, 'go'), '');
    expect(await gone).toBe(0);
    await here.restart();
    expect(await ask('tasks/get', { taskId: task['taskId'] })).toMatchObject({ status: 'completed' });
  });
});
