import { beforeAll, describe, expect, it } from 'vitest';
import { adminApi } from '../../../hub/admin-api.ts';
import { callRoute } from '../../../protocol/node/http-client.ts';
import { capture } from '../../support/fixture-skills.ts';
import { hubRig } from '../../support/hub-rig.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { endpointRig, exchange, modernRequest, type Surfaces } from './rig.ts';

let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  surfaces = { modern, legacy };
});

describe('the rate that an admin chose', () => {
  it('holds in the hub', verifies('mcp.rate'), async () => {
    const rig = await hubRig({ config: { rate: { client: { perMinute: 1, burst: 2 } } } });
    const { token } = await callRoute(adminApi.addClient, { ...rig.admin, body: { name: 'agent' } });
    const port = Number(new URL(rig.hub.url).port);
    const { headers, body } = modernRequest('tools/list');
    const ask = async () =>
      exchange({ port }, { headers: { ...headers, authorization: `Bearer ${token}` }, body });
    expect([(await ask()).status, (await ask()).status, (await ask()).status]).toEqual([200, 200, 429]);
  });
});

describe('a client that asks too fast', () => {
  it(
    'is told when to come again, before its body is read, and others are served',
    verifies('mcp.rate'),
    async () => {
      const clock = manualClock();
      const rig = await endpointRig(surfaces, {
        clock,
        limits: { requestRate: { perMinute: 30, burst: 3 } },
      });
      const { headers, body } = modernRequest('tools/list');
      const ask = (token: string, sent: object | string = body) =>
        exchange(rig, { headers: { ...headers, authorization: `Bearer ${token}` }, body: sent });
      for (let count = 0; count < 3; count += 1) expect((await ask('token-of-ada')).status).toBe(200);

      const refused = await ask('token-of-ada', 'this is no JSON');
      expect(refused.status).toBe(429);
      expect(refused.headers['retry-after']).toBe('2');
      expect(refused.json()).toMatchObject({ error: { data: { code: 'rate-limited' } } });
      expect((await ask('token-of-bob')).status).toBe(200);

      clock.advance(2_000);
      expect((await ask('token-of-ada')).status).toBe(200);
      expect((await ask('token-of-ada')).status).toBe(429);
    },
  );

  it('takes nothing from a client by using a token that is none', verifies('mcp.rate'), async () => {
    const rig = await endpointRig(surfaces, { limits: { requestRate: { perMinute: 30, burst: 1 } } });
    const { headers, body } = modernRequest('tools/list');
    for (const token of ['wrong', 'wrong', 'expired']) {
      const answer = await exchange(rig, { headers: { ...headers, authorization: `Bearer ${token}` }, body });
      expect(answer.status).toBe(401);
    }
    expect((await exchange(rig, { headers, body })).status).toBe(200);
  });
});
