import { CompiledQuery, type Kysely, type Transaction } from 'kysely';
import { type AuditEvent, type AuditRecord, linked, signHead } from '../../protocol/audit.ts';
import { canonicalJson } from '../../protocol/canonical.ts';
import type { SigningKey } from '../../protocol/node/keys.ts';
import type { HubTables } from '../store/schema.ts';
import { type Clock, timestamp } from '../clock.ts';

/** How many records one signed head covers at most. */
const RECORDS_PER_HEAD = 256;
/** So that one statement stays small. */
const ROWS_PER_INSERT = 1000;
/** How long a note waits for other records to be written with. */
const NOTE_DELAY_MS = 20;

/** The append-only, hash-chained record of what the hub decided and did. */
export interface AuditLog {
  /**
   * Adds records in this order; resolves once they are on disk. Records of one tick share a commit.
   * Rejects when they could not be written: what was to be recorded must then not happen.
   */
  append(...events: AuditEvent[]): Promise<void>;
  /**
   * Adds records that nothing has to wait for: they are written with the next ones, or soon. Settles as `append`
   * does. What is lost of them with a killed hub is closed as unknown by the next start.
   */
  note(...events: AuditEvent[]): Promise<void>;
  /** Everything that was added by now is on disk, or has failed. */
  settle(): Promise<void>;
  /** Runs database work whose records stand or fall with it. */
  transaction<T>(
    work: (trx: Transaction<HubTables>, record: (event: AuditEvent) => void) => Promise<T>,
  ): Promise<T>;
  head(): { records: number; head: string };
  /** Signs the head now: what lies before it can no longer be changed unnoticed. */
  sign(): Promise<void>;
  /** Signs the head; nothing can be appended afterwards. */
  close(): Promise<void>;
}

interface AuditLogParts {
  db: Kysely<HubTables>;
  key: SigningKey;
  clock: Clock;
}

/** Opens the log of a database and goes on from its last record. */
export async function openAuditLog({ db, key, clock }: AuditLogParts): Promise<AuditLog> {
  let last = await lastRecord(db);
  let signedUpTo = await lastSignedHead(db);
  let closed = false;
  let queue: Waiting[] = [];
  /** Whether the queue is about to be written, and how to give up a later time for it. */
  let isDue = false;
  let stopWaiting: (() => void) | undefined;
  /** Everything that writes to the chain goes through this queue: one writer, one order. */
  let turn: Promise<unknown> = Promise.resolve();

  function exclusive<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  }

  /** The records of some events behind a tip. @throws AppError `request-invalid` for what canonical JSON cannot say. */
  function chained(tip: AuditRecord | undefined, events: readonly AuditEvent[]): Chained {
    let end = tip;
    const rows = events.map((event) => {
      const { record, text } = linked(end, { time: timestamp(clock), ...event });
      end = record;
      return { seq: record.seq, record: text };
    });
    return { tip: end, rows };
  }

  async function signTip(trx: Kysely<HubTables>, tip: AuditRecord | undefined): Promise<void> {
    if (tip === undefined || tip.seq === signedUpTo) return;
    await trx
      .insertInto('audit_head')
      .values({ seq: tip.seq, head: canonicalJson(signHead(tip, key)) })
      .execute();
    signedUpTo = tip.seq;
  }

  async function flush(): Promise<void> {
    const batch = queue;
    queue = [];
    isDue = false;
    stopWaiting?.();
    stopWaiting = undefined;
    let tip = last;
    const rows: Row[] = [];
    const written: Waiting[] = [];
    for (const waiting of batch) {
      try {
        const own = chained(tip, waiting.events);
        tip = own.tip;
        for (const row of own.rows) rows.push(row);
        written.push(waiting);
      } catch (error) {
        // What cannot be said is the fault of one; the others of this moment have no part in it.
        waiting.reject(error);
      }
    }
    if (rows.length === 0) return;
    try {
      if (rows.length > ROWS_PER_INSERT) await db.transaction().execute((trx) => insert(trx, rows));
      else await insert(db, rows);
      last = tip;
      for (const waiting of written) waiting.resolve();
    } catch (error) {
      for (const waiting of written) waiting.reject(error);
      return;
    }
    if (last !== undefined && last.seq - signedUpTo >= RECORDS_PER_HEAD) await signTip(db, last);
  }

  function add(events: readonly AuditEvent[]): Promise<void> {
    if (events.length === 0) return Promise.resolve();
    if (closed) return Promise.reject(new Error('the audit log is closed'));
    return new Promise<void>((resolve, reject) => void queue.push({ events, resolve, reject }));
  }

  function writeSoon(): void {
    if (isDue || queue.length === 0) return;
    isDue = true;
    // What was written is written: a head that could not be signed is signed with the next records.
    setImmediate(() => void exclusive(flush).catch(() => undefined));
  }

  return {
    append(...events) {
      const written = add(events);
      writeSoon();
      return written;
    },

    note(...events) {
      const written = add(events);
      if (queue.length > 0) stopWaiting ??= clock.after(NOTE_DELAY_MS, writeSoon);
      return written;
    },

    settle: () => exclusive(flush),

    transaction(work) {
      if (closed) return Promise.reject(new Error('the audit log is closed'));
      return exclusive(async () => {
        // What was added before keeps its place.
        await flush();
        let tip = last;
        const result = await db.transaction().execute(async (trx) => {
          const events: AuditEvent[] = [];
          const answer = await work(trx, (event) => void events.push(event));
          const own = chained(last, events);
          await insert(trx, own.rows);
          tip = own.tip;
          return answer;
        });
        last = tip;
        return result;
      });
    },

    head: () => ({ records: last?.seq ?? 0, head: last?.hash ?? '' }),

    sign: () => exclusive(() => signTip(db, last)),

    async close() {
      closed = true;
      await exclusive(flush);
      await exclusive(() => signTip(db, last));
    },
  };
}

interface Row {
  seq: number;
  record: string;
}

interface Chained {
  tip: AuditRecord | undefined;
  rows: Row[];
}

/** One text for any number of rows: nothing is built or prepared for their number. */
const INSERT = 'insert into audit (seq, record) select ? + key, value from json_each(?)';

/** Writes rows whose numbers follow each other. */
async function insert(db: Kysely<HubTables>, rows: readonly Row[]): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_PER_INSERT) {
    const part = rows.slice(at, at + ROWS_PER_INSERT);
    const texts = JSON.stringify(part.map(({ record }) => record));
    await db.executeQuery(CompiledQuery.raw(INSERT, [part[0]?.seq, texts]));
  }
}

interface Waiting {
  events: readonly AuditEvent[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

async function lastRecord(db: Kysely<HubTables>): Promise<AuditRecord | undefined> {
  const row = await db
    .selectFrom('audit')
    .select('record')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? undefined : (JSON.parse(row.record) as AuditRecord);
}

async function lastSignedHead(db: Kysely<HubTables>): Promise<number> {
  const row = await db
    .selectFrom('audit_head')
    .select('seq')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.seq ?? 0;
}
