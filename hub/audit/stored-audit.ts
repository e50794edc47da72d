import type { Kysely } from 'kysely';
import { type AuditRecord, describeRecord, verifyChain } from '../../protocol/audit.ts';
import { AppError } from '../../protocol/errors.ts';
import type { PublicKeyRecord } from '../../protocol/provenance.ts';
import type { HubTables } from '../store/schema.ts';

/** How many rows are read at a time. */
const PAGE = 2000;

/** A record as people look at it. */
export interface AuditEntry {
  seq: number;
  time: string;
  event: string;
  sentence: string;
  record: Record<string, unknown>;
}

export interface AuditQuery {
  limit?: number | undefined;
  before?: number | undefined;
  skill?: string | undefined;
  event?: string | undefined;
}

/** The newest records that fit, newest first. */
export async function auditEntries(db: Kysely<HubTables>, query: AuditQuery): Promise<AuditEntry[]> {
  const found: AuditEntry[] = [];
  let before = query.before ?? Number.MAX_SAFE_INTEGER;
  const limit = query.limit ?? 50;
  for (;;) {
    const rows = await db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '<', before)
      .orderBy('seq', 'desc')
      .limit(PAGE)
      .execute();
    for (const row of rows) {
      const entry = entryOf(row);
      if (query.event !== undefined && !entry.event.startsWith(query.event)) continue;
      if (query.skill !== undefined && entry.record['skill'] !== query.skill) continue;
      found.push(entry);
      if (found.length === limit) return found;
    }
    const last = rows.at(-1);
    if (last === undefined) return found;
    before = last.seq;
  }
}

/** @throws AppError `record-not-found`. */
export async function auditEntry(db: Kysely<HubTables>, seq: number): Promise<AuditEntry> {
  const row = await db.selectFrom('audit').selectAll().where('seq', '=', seq).executeTakeFirst();
  if (row === undefined) {
    throw new AppError('record-not-found', {
      detail: `There is no audit record ${seq}.`,
      hint: 'berth audit ls',
    });
  }
  return entryOf(row);
}

/**
 * Checks the whole stored chain against the hub's keys. A running hub gives `end`, the last record it wrote: without
 * it, records missing behind the last signed head cannot be noticed.
 * @throws AppError `audit-broken` with `record` (the first bad one) and `reason`.
 */
export async function verifyStoredAudit(
  db: Kysely<HubTables>,
  keys: readonly PublicKeyRecord[],
  end?: { records: number; head: string },
): Promise<{ records: number; head: string }> {
  const heads = await db.selectFrom('audit_head').selectAll().orderBy('seq').execute();
  const verdict = await verifyChain(
    rowsInOrder(db),
    heads.map((row) => row.head),
    keys,
    end === undefined || end.records === 0 ? undefined : { seq: end.records, hash: end.head },
  );
  if (verdict.ok) return { records: verdict.records, head: verdict.head };
  throw new AppError('audit-broken', {
    detail: `Record ${verdict.record} of the audit log ${verdict.reason}.`,
    hint: 'Somebody or something wrote to the database. Keep a copy, and compare with a backup.',
    data: { record: verdict.record, reason: verdict.reason },
  });
}

async function* rowsInOrder(db: Kysely<HubTables>): AsyncGenerator<{ seq: number; record: string }> {
  let after = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const rows = await db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '>', after)
      .orderBy('seq')
      .limit(PAGE)
      .execute();
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.seq;
  }
}

/** A damaged row is shown as such: looking at the log must work best when something is wrong with it. */
function entryOf(row: { seq: number; record: string }): AuditEntry {
  try {
    const record = JSON.parse(row.record) as AuditRecord;
    return {
      seq: row.seq,
      time: record.time,
      event: record.event,
      sentence: describeRecord(record),
      record: { ...record },
    };
  } catch {
    return {
      seq: row.seq,
      time: '',
      event: 'unreadable',
      sentence: 'This record cannot be read.',
      record: {},
    };
  }
}
