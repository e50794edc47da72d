import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { openAuditLog } from '../../hub/audit/audit-log.ts';
import { systemClock } from '../../hub/clock.ts';
import { recentlyUsed } from '../../hub/recent.ts';
import { hubMigrations } from '../../hub/store/migrations/migrations.ts';
import type { HubTables } from '../../hub/store/schema.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { openDatabase } from '../../protocol/node/database.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { hubRig, type HubRig } from '../support/hub-rig.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

const NAME = 'local.test/subject';

describe('what was used last', () => {
  it(
    'is read from the audit log: each skill and user once, refused calls never',
    verifies('runner.ahead'),
    async () => {
      const path = join(await tempFolder(), 'hub.db');
      const database = await openDatabase<HubTables>(path, { migrations: hubMigrations });
      const audit = await openAuditLog({ database, key: createKey(), clock: systemClock });
      const decided = (skill: string, user: string, answer: 'allow' | 'deny' = 'allow') =>
        audit.append({
          event: 'call.decided',
          call: `call_${skill}_${user}`,
          principal: { user, client: 'desk' },
          skill: `local.test/${skill}`,
          version: '1.0.0',
          what: 'tool',
          name: 'hello',
          argumentsDigest: `sha256:${'0'.repeat(64)}`,
          answer,
          reasons: [],
          grants: [],
        });
      await decided('old', 'ada');
      await decided('often', 'ada');
      // A chatty skill hides nobody who came shortly before it.
      for (let call = 0; call < 600; call += 1) await decided('often', 'bob');
      await decided('refused', 'bob', 'deny');
      await decided('last', 'bob');
      const found = async (most: number) =>
        (await recentlyUsed(database.query, most)).map(({ skill, user }) => `${skill.split('/')[1]} ${user}`);
      expect(await found(10)).toEqual(['last bob', 'often bob', 'often ada', 'old ada']);
      expect(await found(2)).toEqual(['last bob', 'often bob']);
      const [{ usedAt } = { usedAt: 0 }] = await recentlyUsed(database.query, 1);
      expect(Math.abs(usedAt - Date.now())).toBeLessThan(60_000);
      await audit.close();
      await database.close();
    },
  );
});

describe('after a restart of the hub', () => {
  const status = ({ admin }: HubRig) => callRoute(adminApi.status, { ...admin });
  const starts = async ({ admin }: HubRig) =>
    (await callRoute(adminApi.audit, { ...admin, query: { event: 'skill.started' } })).length;

  async function used(config: Parameters<typeof hubRig>[0]) {
    const rig = await hubRig(config);
    await rig.publish(await skillFolder({ tools: { hello: { code: `return 'hello'` } } }));
    await rig.install(NAME, '*', { tools: { '*': 'allow' } });
    await rig.text(NAME, 'hello');
    expect(await starts(rig)).toBe(1);
    await rig.restart();
    return rig;
  }

  it(
    'a skill that was used is ready before its first call, which starts nothing',
    verifies('runner.ahead', 'runner.one-start'),
    async () => {
      const rig = await used({ config: { runner: { startAhead: 2 } } });
      let now = await status(rig);
      while (now.running[0]?.state !== 'ready' || now.memory.bytes === 0) now = await status(rig);
      expect(now.running).toMatchObject([{ skill: NAME, user: 'owner', calls: 0 }]);
      expect(now.running[0]?.memoryBytes).toBeGreaterThan(1024 * 1024);
      await rig.text(NAME, 'hello');
      expect(await starts(rig)).toBe(2);
    },
  );

  it('nothing starts by itself unless that is wanted', verifies('runner.one-start'), async () => {
    const rig = await used({});
    expect((await status(rig)).running).toEqual([]);
    await rig.text(NAME, 'hello');
    expect(await starts(rig)).toBe(2);
  });
});
