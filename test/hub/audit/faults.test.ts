import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openAuditLog } from '../../../hub/audit/audit-log.ts';
import { verifyStoredAudit } from '../../../hub/audit/stored-audit.ts';
import { systemClock } from '../../../hub/clock.ts';
import { recordStart } from '../../../hub/recovery.ts';
import { hubMigrations } from '../../../hub/store/migrations/migrations.ts';
import type { HubTables } from '../../../hub/store/schema.ts';
import type { AuditEvent } from '../../../protocol/audit.ts';
import { openDatabase } from '../../../protocol/node/database.ts';
import { createKey } from '../../../protocol/node/keys.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const key = createKey();
const added = (client: string): AuditEvent => ({ event: 'client.added', client, user: 'owner', by: 'owner' });

async function rig() {
  const database = await openDatabase<HubTables>(join(await tempFolder(), 'hub.db'), {
    migrations: hubMigrations,
  });
  const { query: db, close } = database;
  onTestFinished(close);
  return { db, audit: await openAuditLog({ database, key, clock: systemClock }) };
}

describe('the audit log', () => {
  it('takes nothing any more once the disk has lost something', verifies('audit.disk-lost'), async () => {
    let fault: Error | undefined;
    const database = await openDatabase<HubTables>(join(await tempFolder(), 'hub.db'), {
      migrations: hubMigrations,
      syncFile: async () => {
        if (fault !== undefined) throw fault;
      },
    });
    onTestFinished(() => database.close());
    const audit = await openAuditLog({ database, key, clock: systemClock });
    const together = () => Promise.allSettled([audit.append(added('a')), audit.append(added('b'))]);
    const statuses = async () => (await together()).map(({ status }) => status);
    expect(await statuses()).toEqual(['fulfilled', 'fulfilled']);
    fault = new Error('the disk is gone');
    expect(await statuses()).toEqual(['rejected', 'rejected']);
    fault = undefined;
    expect(await statuses()).toEqual(['rejected', 'rejected']);
    await expect(audit.append(added('c'))).rejects.toThrow('the disk is gone');
    await expect(audit.transaction(async (_trx, record) => record(added('d')))).rejects.toThrow();
    expect(audit.head().records).toBe(2);
  });

  it(
    'refuses a record that cannot be said, and no other of its moment',
    verifies('audit.one-by-one'),
    async () => {
      const { db, audit } = await rig();
      const [first, bad, last] = await Promise.allSettled([
        audit.append(added('a')),
        audit.append(added('half a pair: \ud800')),
        audit.append(added('b')),
      ]);
      expect([first?.status, bad?.status, last?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      await audit.append(added('c'));
      expect(await verifyStoredAudit(db, [key.record], audit.head)).toMatchObject({ records: 3 });
    },
  );

  it(
    'goes on when its head cannot be signed, and signs it with a later record',
    verifies('audit.signed-heads'),
    async () => {
      const { db, audit } = await rig();
      const heads = async () =>
        (await db.selectFrom('audit_head').select('seq').execute()).map(({ seq }) => seq);
      await sql`create trigger no_head before insert on audit_head begin select raise(abort, 'no head'); end`.execute(
        db,
      );
      // More than one head covers, one after the other; a failure that nobody takes would end the process, and this test.
      for (let at = 0; at < 300; at += 1) await audit.append(added(String(at)));
      await audit.note(added('noted'));
      expect(await heads()).toEqual([]);
      await sql`drop trigger no_head`.execute(db);
      await audit.append(added('last'));
      // The head is signed behind the record; the next one waits for it.
      await audit.append(added('behind it'));
      expect(await heads()).toEqual([302]);
      expect(await verifyStoredAudit(db, [key.record], audit.head)).toMatchObject({ records: 303 });
    },
  );

  it('takes any number of records of one moment', verifies('audit.one-by-one'), async () => {
    const { db, audit } = await rig();
    await Promise.all(Array.from({ length: 20_000 }, (_, at) => audit.append(added(String(at)))));
    await audit.append(...Array.from({ length: 20_000 }, (_, at) => added(String(at))));
    expect(await verifyStoredAudit(db, [key.record], audit.head)).toMatchObject({ records: 40_000 });
  });

  it(
    'is verified beside the work, which goes on, and is no false alarm',
    verifies('audit.beside'),
    async () => {
      const { db, audit } = await rig();
      await audit.append(...Array.from({ length: 15_000 }, (_, at) => added(String(at))));
      let verifying = true;
      let written = 0;
      const work = (async () => {
        for (; verifying; written += 1) {
          await audit.append(added('meanwhile'));
          await audit.transaction(async (_trx, record) => record(added('meanwhile')));
        }
      })();
      await verifyStoredAudit(db, [key.record], audit.head);
      verifying = false;
      await work;
      expect(written).toBeGreaterThan(3);
      // A row behind the last one is found all the same.
      const tip = await db
        .selectFrom('audit')
        .selectAll()
        .orderBy('seq', 'desc')
        .limit(1)
        .executeTakeFirstOrThrow();
      await db
        .insertInto('audit')
        .values({ seq: tip.seq + 1, record: tip.record })
        .execute();
      const error = await expectCode(verifyStoredAudit(db, [key.record], audit.head), 'audit-broken');
      expect(error.data?.['record']).toBe(tip.seq + 1);
    },
  );

  it(
    'closes every open call of the run before, however many records there are',
    verifies('hub.killed-call'),
    async () => {
      const { db, audit } = await rig();
      const decided = (call: string): AuditEvent => ({
        event: 'call.decided',
        call,
        principal: { user: 'owner', client: 'agent' },
        skill: 'a.b/c',
        version: '1.0.0',
        what: 'tool',
        name: 'say',
        argumentsDigest: `sha256:${'0'.repeat(64)}`,
        answer: 'allow',
        reasons: [],
        grants: [],
      });
      await audit.append(decided('first'), ...Array.from({ length: 5_000 }, (_, at) => added(String(at))));
      await audit.append(decided('last'));
      await recordStart(db, audit);
      const rows = await db.selectFrom('audit').select('record').orderBy('seq', 'desc').limit(3).execute();
      const [started, ...finished] = rows.map((row) => JSON.parse(row.record) as Record<string, unknown>);
      expect(started).toMatchObject({ event: 'hub.started', unfinished: ['first', 'last'] });
      expect(finished.map((record) => [record['call'], record['outcome']])).toEqual([
        ['last', 'unknown'],
        ['first', 'unknown'],
      ]);
    },
  );
});
