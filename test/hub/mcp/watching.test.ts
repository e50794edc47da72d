import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../../support/fixture-skills.ts';
import { newClient, oldClient } from '../../support/mcp-clients.ts';
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
  const [modern, legacy] = await Promise.all([capture('modern-asks'), capture('legacy-asks')]);
  surfaces = { modern, legacy };
});

/** The first skill keeps the URI that both have, so each test puts its own first. */
const rigWith = (skill: 'modern' | 'legacy'): Promise<EndpointRig> =>
  endpointRig(
    { modern: surfaces[skill], legacy: surfaces[skill] },
    { fixtures: { modern: `${skill}-asks`, legacy: `${skill}-asks` } },
  );

const headers = { authorization: 'Bearer token-of-ada' };

/** What came, one after the other; `next` waits for more. */
function heardBy() {
  const heard: string[] = [];
  let wake = (): void => undefined;
  return {
    push(uri: string) {
      heard.push(uri);
      wake();
    },
    async next(): Promise<string> {
      while (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return heard.shift() as string;
    },
  };
}

const entrance = (rig: EndpointRig) => ({ url: `${rig.url}/mcp`, token: 'token-of-ada' });

async function oldWatcher(rig: EndpointRig) {
  const heard = heardBy();
  const client = await oldClient(entrance(rig));
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => heard.push(params.uri));
  return {
    next: () => heard.next(),
    touch: () => client.callTool({ name: 'modern__touch', arguments: {} }),
    async watch() {
      await client.subscribeResource({ uri: 'note://one' });
      return async () => void (await client.unsubscribeResource({ uri: 'note://one' }));
    },
  };
}

async function newWatcher(rig: EndpointRig) {
  const heard = heardBy();
  const client = await newClient(entrance(rig));
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => heard.push(params.uri));
  return {
    next: () => heard.next(),
    touch: () => client.callTool({ name: 'modern__touch', arguments: {} }),
    async watch() {
      const stream = await client.listen({ resourceSubscriptions: ['note://one'] });
      return () => stream.close();
    },
  };
}

describe.each([
  ['modern', 'modern', newWatcher],
  ['modern', 'legacy', newWatcher],
  ['legacy', 'modern', oldWatcher],
  ['legacy', 'legacy', oldWatcher],
] as const)('a %s client and a resource of a %s skill', (_era, skill, connect) => {
  it('hears of a change that it asked to hear of', verifies('mcp.subscriptions'), async () => {
    const rig = await rigWith(skill);
    const client = await connect(rig);
    await client.watch();
    await client.touch();
    expect(await client.next()).toBe('note://one');
    await client.touch();
    expect(await client.next()).toBe('note://one');
  });
});

describe('a subscription', () => {
  it('ends at the skill when the last who listens has gone', verifies('mcp.subscriptions'), async () => {
    const rig = await rigWith('legacy');
    const [one, other] = await Promise.all([newWatcher(rig), oldWatcher(rig)]);
    const [stopOne, stopOther] = await Promise.all([one.watch(), other.watch()]);
    await stopOne();
    await one.touch();
    expect(await other.next()).toBe('note://one');
    await stopOther();
    await rig.said('unsubscribed');
    expect(JSON.stringify(await one.touch())).toContain('unwatched');
  });

  it('ends with its session', verifies('mcp.subscriptions'), async () => {
    const rig = await rigWith('legacy');
    const opened = await exchange(rig, { body: INITIALIZE });
    const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
    const body = { jsonrpc: '2.0', id: 2, method: 'resources/subscribe', params: { uri: 'note://one' } };
    expect((await exchange(rig, { headers: session, body })).json()).toMatchObject({ result: {} });
    await exchange(rig, { method: 'DELETE', headers: session });
    await rig.said('unsubscribed');
  });

  it('of more than one stream may have is refused whole', verifies('mcp.subscriptions'), async () => {
    const rig = await rigWith('legacy');
    const { headers: own, body } = modernRequest('subscriptions/listen', {
      notifications: {
        resourceSubscriptions: Array.from({ length: 257 }, (_none, index) => `note://${index}`),
      },
    });
    const { status } = await eventStream(rig, { method: 'POST', headers: { ...headers, ...own }, body });
    expect(status).toBe(400);
  });
});
