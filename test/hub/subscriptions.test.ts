import { describe, expect, it } from 'vitest';
import { createSubscriptions, type ServedResource } from '../../hub/subscriptions.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { callPath } from '../support/call-path.ts';
import { expectCode } from '../support/expect-code.ts';
import { installedSkill } from '../support/installed-skill.ts';
import { verifies } from '../support/verifies.ts';

const NOTE = { skill: 'local.test/echo', user: 'owner', uri: 'note://one' };

function rig() {
  const renewed: ServedResource[] = [];
  const released: ServedResource[] = [];
  const subscriptions = createSubscriptions({
    renew: async (resource) => void renewed.push(resource),
    release: async (resource) => void released.push(resource),
    log: createLogger({ level: 'silent', name: 'test' }),
  });
  return { subscriptions, renewed, released };
}

describe('subscriptions', () => {
  it(
    'are asked for again of a new process, and whoever listens looks again',
    verifies('mcp.subscriptions'),
    async () => {
      const { subscriptions, renewed } = rig();
      let told = 0;
      await subscriptions.listen(
        NOTE,
        async () => undefined,
        () => void (told += 1),
      );
      subscriptions.started(NOTE.skill, NOTE.user);
      expect([told, renewed]).toEqual([0, []]);
      subscriptions.ended(NOTE.skill, NOTE.user);
      subscriptions.started(NOTE.skill, 'somebody else');
      expect([told, renewed]).toEqual([0, []]);
      subscriptions.started(NOTE.skill, NOTE.user);
      expect([told, renewed]).toEqual([1, [NOTE]]);
    },
  );

  it(
    'of a process that is gone are not given back to the next one',
    verifies('mcp.subscriptions'),
    async () => {
      const { subscriptions, released } = rig();
      const stop = await subscriptions.listen(
        NOTE,
        async () => undefined,
        () => undefined,
      );
      subscriptions.ended(NOTE.skill, NOTE.user);
      stop();
      stop();
      expect(released).toEqual([]);
    },
  );

  it('that are refused leave nothing', verifies('mcp.subscriptions'), async () => {
    const { subscriptions, released } = rig();
    let told = 0;
    const refused = subscriptions.listen(
      NOTE,
      () => Promise.reject(new Error('no')),
      () => void (told += 1),
    );
    await expect(refused).rejects.toThrow('no');
    subscriptions.updated(NOTE);
    expect([told, released]).toEqual([0, []]);
  });

  it(
    'are decided and on record like every request',
    verifies('mcp.subscriptions', 'call.recorded'),
    async () => {
      const watchable = installedSkill({
        surface: {
          resources: [{ uri: 'note://one', name: 'one' }],
          capabilities: { resourcesSubscribe: true },
        },
      });
      const path = await callPath({ skills: [watchable] });
      await path.gateway.subscribe(
        { user: 'owner', client: 'agent' },
        { kind: 'all' },
        'note://one',
        () => undefined,
      );
      expect(await path.records()).toMatchObject([
        { event: 'call.decided', what: 'subscription', name: 'note://one', answer: 'allow' },
        { event: 'call.finished', outcome: 'ok' },
      ]);
      const denying = await callPath({
        skills: [watchable],
        policy: { decide: async () => ({ answer: 'deny', reasons: [] }) },
      });
      const asked = denying.gateway.subscribe(
        { user: 'owner', client: 'agent' },
        { kind: 'all' },
        'note://one',
        () => undefined,
      );
      await expectCode(asked, 'call-denied');
      expect(denying.performed).toEqual([]);
    },
  );
});
