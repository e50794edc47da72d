import type { Kysely, Transaction } from 'kysely';
import { type AuditEvent, type ChainTip, linked, signHead } from '../../protocol/audit.ts';
import { canonicalJson } from '../../protocol/canonical.ts';
import type { Database } from '../../protocol/node/database.ts';
import type { SigningKey } from '../../protocol/node/keys.ts';
import type { HubTables } from '../store/schema.ts';
import { type Clock, timestamp } from '../clock.ts';

/** How many records one signed head covers at most. */
const RECORDS_PER_HEAD = 256;
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
  database: Database<HubTables>;
  key: SigningKey;
  clock: Clock;
}

/** Opens the log of a database and goes on from its last record. */
export async function openAuditLog({ database, key, clock }: AuditLogParts): Promise<AuditLog> {
  const { query: db, raw } = database;
  const inserting = raw.prepare('insert into audit (seq, record) values (?, ?)');
  const insertTogether = raw.transaction(insert);
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
  function chained(tip: ChainTip | undefined, events: readonly AuditEvent[]): Linked[] {
    const records: Linked[] = [];
    for (const event of events) records.push(linked(records.at(-1) ?? tip, timestamp(clock), event));
    return records;
  }

  /** Adds records to the transaction that is open on the connection. */
  function insert(records: readonly Linked[]): void {
    for (const { seq, text } of records) inserting.run(seq, text);
  }

  async function signTip(trx: Kysely<HubTables>, tip: ChainTip | undefined): Promise<void> {
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
    const records: Linked[] = [];
    const written: Waiting[] = [];
    let awaited = 0;
    for (const waiting of batch) {
      try {
        for (const record of chained(records.at(-1) ?? last, waiting.events)) records.push(record);
        written.push(waiting);
        if (waiting.isAwaited) awaited += 1;
      } catch (error) {
        // What cannot be said is the fault of one; the others of this moment have no part in it.
        waiting.reject(error);
      }
    }
    if (records.length === 0) return;
    try {
      await database.commit(() => insertTogether(records), { alone: awaited <= 1 });
      last = records.at(-1);
      for (const waiting of written) waiting.resolve();
    } catch (error) {
      for (const waiting of written) waiting.reject(error);
      return;
    }
    if (last !== undefined && last.seq - signedUpTo >= RECORDS_PER_HEAD) await signTip(db, last);
  }

  function add(events: readonly AuditEvent[], isAwaited: boolean): Promise<void> {
    if (events.length === 0) return Promise.resolve();
    if (closed) return Promise.reject(new Error('the audit log is closed'));
    return new Promise<void>((resolve, reject) => void queue.push({ events, isAwaited, resolve, reject }));
  }

  function writeSoon(): void {
    if (isDue || queue.length === 0) return;
    isDue = true;
    // What was written is written: a head that could not be signed is signed with the next records.
    setImmediate(() => void exclusive(flush).catch(() => undefined));
  }

  return {
    append(...events) {
      const written = add(events, true);
      writeSoon();
      return written;
    },

    note(...events) {
      const written = add(events, false);
      if (queue.length > 0) stopWaiting ??= clock.after(NOTE_DELAY_MS, writeSoon);
      return written;
    },

    settle: () => exclusive(flush),

    transaction(work) {
      if (closed) return Promise.reject(new Error('the audit log is closed'));
      return exclusive(async () => {
        // What was added before keeps its place.
        await flush();
        let records: Linked[] = [];
        const result = await db.transaction().execute(async (trx) => {
          const events: AuditEvent[] = [];
          const answer = await work(trx, (event) => void events.push(event));
          records = chained(last, events);
          insert(records);
          return answer;
        });
        last = records.at(-1) ?? last;
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

type Linked = ReturnType<typeof linked>;

interface Waiting {
  events: readonly AuditEvent[];
  /** Whether something is only done once this is on disk. */
  isAwaited: boolean;
  resolve: () => void;
  reject: (error: unknown) => void;
}

async function lastRecord(db: Kysely<HubTables>): Promise<ChainTip | undefined> {
  const row = await db
    .selectFrom('audit')
    .select('record')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? undefined : (JSON.parse(row.record) as ChainTip);
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
