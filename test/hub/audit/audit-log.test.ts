import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { openAuditLog } from '../../../hub/audit/audit-log.ts';
import { auditEntries, verifyStoredAudit } from '../../../hub/audit/stored-audit.ts';
import { systemClock } from '../../../hub/clock.ts';
import { hubMigrations } from '../../../hub/store/migrations/migrations.ts';
import type { HubTables } from '../../../hub/store/schema.ts';
import { openDatabase } from '../../../protocol/node/database.ts';
import { createKey } from '../../../protocol/node/keys.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const key = createKey();

async function openIn(folder: string) {
  const path = join(folder, 'hub.db');
  const database = await openDatabase<HubTables>(path, { migrations: hubMigrations });
  const db = database.query;
  const audit = await openAuditLog({ database, key, clock: systemClock });
  return {
    path,
    db,
    audit,
    verify: () => verifyStoredAudit(db, [key.record]),
    close: () => database.close(),
  };
}

function pinned(n: number) {
  return { event: 'registry.pinned', registry: `http://127.0.0.1:${n}`, keyId: 'key' } as const;
}

/** Changes the database from outside, as somebody with the sqlite3 shell would. */
function tamper(path: string, sql: string): void {
  const shell = new Sqlite(path);
  shell.exec(sql);
  shell.close();
}

describe('the audit log', () => {
  it('goes on from where it stopped, and verifies whole', verifies('audit.chain'), async () => {
    const folder = await tempFolder();
    const first = await openIn(folder);
    await Promise.all([1, 2, 3].map((n) => first.audit.append(pinned(n))));
    await first.audit.close();
    await first.close();
    const second = await openIn(folder);
    await second.audit.append(pinned(4));
    expect(await second.verify()).toEqual(second.audit.head());
    expect((await auditEntries(second.db, {})).map((entry) => entry.seq)).toEqual([4, 3, 2, 1]);
    await second.close();
  });

  it('signs its head every 256 records, however they come', verifies('audit.signed-heads'), async () => {
    const { audit, db, close } = await openIn(await tempFolder());
    for (let batch = 0; batch < 6; batch += 1) {
      await Promise.all(Array.from({ length: 100 }, (_, n) => audit.append(pinned(n))));
    }
    const heads = (await db.selectFrom('audit_head').select('seq').execute()).map((row) => row.seq);
    expect(heads.length).toBeGreaterThanOrEqual(2);
    for (const [at, seq] of heads.entries())
      expect(seq - (heads[at - 1] ?? 0)).toBeLessThanOrEqual(256 + 100);
    await audit.close();
    await close();
  });

  it('writes records in one commit with the work they belong to, or not at all', async () => {
    const { audit, db, verify, close } = await openIn(await tempFolder());
    await expect(
      audit.transaction(async (trx, record) => {
        record(pinned(1));
        await trx.insertInto('registry_pin').values({ url: 'u', key_json: '{}', pinned_at: 'now' }).execute();
        throw new Error('half-way');
      }),
    ).rejects.toThrow('half-way');
    await Promise.all([
      audit.append(pinned(2)),
      audit.transaction(async (_trx, record) => record(pinned(3))),
    ]);
    expect(await verify()).toMatchObject({ records: 2 });
    expect(await db.selectFrom('registry_pin').selectAll().execute()).toEqual([]);
    await close();
  });

  it('refuses to append once it cannot write', verifies('audit.fail-closed'), async () => {
    const { audit, close } = await openIn(await tempFolder());
    await audit.append(pinned(1));
    await close();
    await expect(audit.append(pinned(2))).rejects.toThrow();
  });

  const EDITS: Record<string, [sql: string, record: number]> = {
    'an edited': [`update audit set record = replace(record, '127.0.0.1:3', '127.0.0.1:9') where seq = 3`, 3],
    'a re-spaced': [`update audit set record = record || ' ' where seq = 4`, 4],
    'a deleted': ['delete from audit where seq = 3', 3],
    'a deleted first': ['delete from audit where seq = 1', 1],
    'a deleted last (its head is signed)': ['delete from audit where seq = 6', 6],
    'a reordered': [
      `update audit set seq = -1 where seq = 2; update audit set seq = 2 where seq = 3; update audit set seq = 3 where seq = -1`,
      2,
    ],
    'an inserted': [`insert into audit (seq, record) select 7, record from audit where seq = 6`, 7],
    'an unreadable': [`update audit set record = 'x' where seq = 5`, 5],
  };
  for (const [what, [sql, record]] of Object.entries(EDITS)) {
    it(`names ${what} row`, verifies('audit.tampering'), async () => {
      const { path, audit, verify, close } = await openIn(await tempFolder());
      for (let n = 1; n <= 6; n += 1) await audit.append(pinned(n));
      await audit.close();
      expect(await verify()).toMatchObject({ records: 6 });
      tamper(path, sql);
      const error = await expectCode(verify(), 'audit-broken');
      expect(error.data?.['record']).toBe(record);
      expect(error.exit).toBe(6);
      await close();
    });
  }
});
