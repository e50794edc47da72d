import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openInstalledSkills } from '../../hub/installed.ts';
import { hubMigrations } from '../../hub/store/migrations/migrations.ts';
import type { HubTables } from '../../hub/store/schema.ts';
import { openDatabase } from '../../protocol/node/database.ts';
import { installedSkill, tool } from '../support/installed-skill.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { CAPABILITIES } from '../../hub/sandbox/sandbox.ts';
import { verifies } from '../support/verifies.ts';

describe('the installed skills', () => {
  it('are never half of one state and half of the next', verifies('call.epoch'), async () => {
    const { query: db, close } = await openDatabase<HubTables>(join(await tempFolder(), 'hub.db'), {
      migrations: hubMigrations,
    });
    onTestFinished(close);
    const { manifest, surface, digest } = installedSkill({ surface: { tools: [tool('say')] } });
    const empty = { files_json: '{}', verified_json: '[]', bundle_json: '{}', receipt_json: '{}' };
    await db
      .insertInto('version')
      .values({
        name: manifest.name,
        version: manifest.version,
        digest,
        signer: 'key:test',
        manifest_json: JSON.stringify(manifest),
        surface_json: JSON.stringify(surface),
        ...empty,
        fetched_at: '',
      })
      .execute();
    const row = {
      alias: 'echo',
      workspace: null,
      config_json: '{}',
      quarantine_json: null,
      installed_at: '',
    };
    await db
      .insertInto('skill')
      .values({ name: manifest.name, version: manifest.version, digest, epoch: 1, ...row })
      .execute();
    await db
      .insertInto('tool_answer')
      .values({ skill: manifest.name, tool: 'say', answer: 'deny' })
      .execute();

    const installed = await openInstalledSkills({
      db,
      packagesDir: '/nowhere',
      sandbox: { usable: true, enforces: CAPABILITIES, requires: [] },
      allowUnsandboxed: false,
    });
    const seen: string[] = [];
    installed.onChange(() => {
      const [skill] = installed.list();
      seen.push(`${skill?.epoch} ${skill?.tools.get('say')?.answer}`);
    });
    const reading = installed.reload();
    await db.transaction().execute(async (trx) => {
      await trx.updateTable('skill').set({ epoch: 2 }).execute();
      await trx.updateTable('tool_answer').set({ answer: 'allow' }).execute();
    });
    await Promise.all([reading, installed.reload()]);
    for (const state of seen) expect(['1 deny', '2 allow']).toContain(state);
    expect(seen.at(-1)).toBe('2 allow');
  });
});
