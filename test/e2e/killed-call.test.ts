import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { newHome, removeHome, startBerth } from '../support/berth.ts';
import { arm, killedHub, ownFolders, processesWith, until } from '../support/killed-hub.ts';
import { verifies } from '../support/verifies.ts';

const root = join(import.meta.dirname, '../..');

const folders = ownFolders();

describe('a hub that is killed', () => {
  it(
    'at any step of a call leaves it undone, done or said to be unknown',
    { ...verifies('hub.killed-call'), timeout: 600_000 },
    async () => {
      const { home, workspace } = folders;
      const up = await startBerth(home);
      await up.ok('publish', join(root, 'test/e2e/probe'));
      const folder = await newHome();
      const first = await killedHub(folder, up.urls.registry, Number.MAX_SAFE_INTEGER);
      await callRoute(adminApi.install, {
        ...first.admin,
        body: { name: 'local.e2e/probe', accept: { workspace, tools: { '*': 'allow' } } },
      });
      await first.kill();
      const body = { skill: 'probe', tool: 'count', arguments: { to: 1 } };
      const outcomes = new Set<unknown>();
      for (let [at, called] = [1, false]; !called; at += 1) {
        const hub = await killedHub(folder, up.urls.registry, at);
        await callRoute(adminApi.verifyAudit, hub.admin);
        const records = (await callRoute(adminApi.audit, { ...hub.admin, query: { limit: 1000 } })).map(
          (entry) => entry.record,
        );
        const ended = new Map(
          records.filter((r) => r['event'] === 'call.finished').map((r) => [r['call'], r['outcome']]),
        );
        for (const record of records.filter((r) => r['event'] === 'call.decided')) {
          expect([...ended.keys()]).toContain(record['call']);
        }
        for (const outcome of ended.values()) outcomes.add(outcome);
        await arm(hub);
        called = await callRoute(adminApi.call, { ...hub.admin, body }).then(
          () => true,
          () => false,
        );
        if (called) await hub.kill();
        else await hub.gone;
      }
      expect(outcomes).toContain('unknown');
      await removeHome(folder);
      expect(await up.stop()).toBe(0);
      await until(() => processesWith(folder).length === 0, 2_000);
    },
  );
});
