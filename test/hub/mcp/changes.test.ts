import { beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../../support/fixture-skills.ts';
import { verifies } from '../../support/verifies.ts';
import {
  type EndpointRig,
  endpointRig,
  eventStream,
  exchange,
  INITIALIZE,
  modernRequest,
  type Surfaces,
} from './rig.ts';

let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  surfaces = { modern, legacy };
});

/** The stream of a session, over which a server of the older revisions speaks up. */
async function sessionStream(rig: EndpointRig, token: string) {
  const authorization = `Bearer ${token}`;
  const opened = await exchange(rig, { headers: { authorization }, body: INITIALIZE });
  return eventStream(rig, {
    method: 'GET',
    headers: { authorization, 'mcp-session-id': String(opened.headers['mcp-session-id']) },
  });
}

/** A subscription of 2026-07-28, acknowledged. */
async function subscription(rig: EndpointRig, token: string) {
  const { headers, body } = modernRequest('subscriptions/listen', {
    notifications: { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true },
  });
  const stream = await eventStream(rig, {
    method: 'POST',
    headers: { ...headers, authorization: `Bearer ${token}` },
    body,
  });
  expect(await stream.next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' });
  return stream;
}

describe.each([
  ['a session', sessionStream],
  ['a subscription', subscription],
])('%s', (_what, open) => {
  it('hears that its own view changed, and of which list', verifies('mcp.changes'), async () => {
    const rig = await endpointRig(surfaces);
    const stream = await open(rig, 'token-of-ada');
    rig.hide('ada', 'modern__echo');
    expect(await stream.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    rig.hide('ada', 'legacy__greet');
    expect(await stream.next()).toMatchObject({ method: 'notifications/prompts/list_changed' });
    rig.hide('ada', 'motto');
    expect(await stream.next()).toMatchObject({ method: 'notifications/resources/list_changed' });
  });

  it(
    'never hears of another’s view, nor of changes that changed nothing',
    verifies('mcp.changes'),
    async () => {
      const rig = await endpointRig(surfaces);
      const [ada, bob] = [await open(rig, 'token-of-ada'), await open(rig, 'token-of-bob')];
      rig.hide('ada', 'modern__echo');
      expect(await ada.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
      rig.changed();
      rig.hide('bob', 'modern__greet');
      // The first thing that bob hears is his own.
      expect(await bob.next()).toMatchObject({ method: 'notifications/prompts/list_changed' });
      rig.hide('ada', 'modern__greet');
      expect(await ada.next()).toMatchObject({ method: 'notifications/prompts/list_changed' });
    },
  );

  it('of a removed client is ended', verifies('mcp.removed-client'), async () => {
    const rig = await endpointRig(surfaces);
    const [ada, bob] = [await open(rig, 'token-of-ada'), await open(rig, 'token-of-bob')];
    await rig.endpoint.end('editor');
    while ((await ada.next()) !== undefined);
    rig.hide('bob', 'modern__echo');
    expect(await bob.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
  });
});

describe('subscriptions', () => {
  it('are bounded for each client', async () => {
    const rig = await endpointRig(surfaces, { limits: { subscriptionsPerClient: 1 } });
    await subscription(rig, 'token-of-ada');
    const { headers, body } = modernRequest('subscriptions/listen', {
      notifications: { toolsListChanged: true },
    });
    expect((await exchange(rig, { headers, body })).json()).toMatchObject({ error: { code: -32603 } });
    await subscription(rig, 'token-of-bob');
  });
});

describe('a closed endpoint', () => {
  it('follows the hub no longer', async () => {
    const rig = await endpointRig(surfaces);
    expect(rig.listening()).toBe(1);
    await rig.endpoint.close();
    expect(rig.listening()).toBe(0);
  });
});
