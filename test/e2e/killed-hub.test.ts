import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { appears } from '../support/appears.ts';
import { berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { arm, descendants, isAlive, killedHub, ownFolders, until } from '../support/killed-hub.ts';
import { verifies } from '../support/verifies.ts';

const root = join(import.meta.dirname, '../..');

const folders = ownFolders();

describe('a hub that is killed', () => {
  it(
    'takes every process of its skills with it, and says afterwards that a call has no known end',
    verifies('hub.killed-mid-call'),
    async () => {
      const { home, workspace } = folders;
      const up = await startBerth(home);
      await up.ok('publish', join(root, 'test/e2e/probe'));
      await up.ok('install', 'local.e2e/probe', '--yes', '--workspace', workspace, '--allow-tool', '*');
      const call = berth(home, ['call', 'probe', 'wait', '{"note":"killed"}', '--json']);
      await appears(join(workspace, 'killed.waiting'));
      const children = descendants(up.process.pid ?? 0);
      expect(children.length).toBeGreaterThan(0);
      await up.kill();
      await until(() => !children.some(isAlive), 2_000);
      expect((await call).code).not.toBe(0);

      const again = await startBerth(home);
      const records = (await again.ok('audit', 'ls')) as unknown as {
        event: string;
        record: Record<string, unknown>;
      }[];
      const finished = records.find((entry) => entry.event === 'call.finished');
      expect(finished?.record['outcome']).toBe('unknown');
      expect((await again.run('audit', 'verify')).code).toBe(0);
      const counted = await again.ok('call', 'probe', 'count', '{"to":2}');
      expect(counted['content'][0].text).toBe('counted to 2');
      expect(await again.stop()).toBe(0);
    },
  );

  it(
    'at any step of an install is whole after the restart',
    { ...verifies('hub.killed-install'), timeout: 600_000 },
    async () => {
      const { home } = folders;
      const up = await startBerth(home);
      const folder = await newHome();
      const name = 'dev.berth/review';
      const params = { namespace: 'dev.berth', name: 'review' };
      let at = 0;
      for (let installed = false; !installed;) {
        at += 1;
        const hub = await killedHub(folder, up.urls.registry, at);
        // The restart after the kill before: nothing is half there.
        await callRoute(adminApi.verifyAudit, hub.admin);
        expect(readdirSync(join(folder, 'hub', 'staging'))).toEqual([]);
        const skills = await callRoute(adminApi.skills, hub.admin);
        for (const skill of skills) expect(skill).toMatchObject({ name, state: 'ready' });
        if (skills.length > 0) await callRoute(adminApi.removeSkill, { ...hub.admin, params, query: {} });

        await arm(hub);
        installed = await callRoute(adminApi.install, { ...hub.admin, body: { name, accept: {} } }).then(
          () => true,
          () => false,
        );
        if (installed) await hub.kill();
        else await hub.gone;
        expect(installed || hub.log().includes(`killed before step ${at}`)).toBe(true);
      }
      expect(at).toBeGreaterThan(10);
      await removeHome(folder);
      await up.stop();
    },
  );
});
