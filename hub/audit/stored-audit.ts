import { setImmediate as nextTurn } from 'node:timers/promises';
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
    await nextTurn();
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
 * Checks the whole stored chain against the hub's keys. A running hub gives `head`, the last record it wrote by now:
 * without it, records missing behind the last signed head cannot be noticed. What it writes meanwhile is left for
 * the next time.
 * @throws AppError `audit-broken` with `record` (the first bad one) and `reason`.
 */
export async function verifyStoredAudit(
  db: Kysely<HubTables>,
  keys: readonly PublicKeyRecord[],
  head?: () => { records: number; head: string },
): Promise<{ records: number; head: string }> {
  const end = head?.();
  const upTo = end === undefined || end.records === 0 ? Number.MAX_SAFE_INTEGER : end.records;
  const heads = await db
    .selectFrom('audit_head')
    .selectAll()
    .where('seq', '<=', upTo)
    .orderBy('seq')
    .execute();
  const verdict = await verifyChain(
    recordsInOrder(db, { upTo }),
    heads.map((row) => row.head),
    keys,
    end === undefined || end.records === 0 ? undefined : { seq: end.records, hash: end.head },
  );
  if (!verdict.ok) throw auditBroken(verdict.record, verdict.reason);
  if (head !== undefined) await refuseStrayRow(db, head);
  return { records: verdict.records, head: verdict.head };
}

/** A row behind everything that the hub has written is somebody else's. */
async function refuseStrayRow(db: Kysely<HubTables>, head: () => { records: number }): Promise<void> {
  const newest = await db
    .selectFrom('audit')
    .select('seq')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  // A write that is in the table may not have been told to the hub yet.
  await nextTurn();
  const written = head().records;
  if (newest !== undefined && newest.seq > written)
    throw auditBroken(written + 1, 'is not one that this hub wrote');
}

function auditBroken(record: number, reason: string): AppError {
  return new AppError('audit-broken', {
    detail: `Record ${record} of the audit log ${reason}.`,
    hint: 'Somebody or something wrote to the database. Keep a copy, and compare with a backup.',
    data: { record, reason },
  });
}

/** The stored records, first to last, a page at a time; between pages others have their turn. */
export async function* recordsInOrder(
  db: Kysely<HubTables>,
  { from = Number.MIN_SAFE_INTEGER, upTo = Number.MAX_SAFE_INTEGER }: { from?: number; upTo?: number } = {},
): AsyncGenerator<{ seq: number; record: string }> {
  let next = from;
  for (;;) {
    const rows = await db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '>=', next)
      .where('seq', '<=', upTo)
      .orderBy('seq')
      .limit(PAGE)
      .execute();
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined) return;
    next = last.seq + 1;
    await nextTurn();
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
