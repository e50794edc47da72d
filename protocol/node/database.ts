import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { CompiledQuery, Kysely, SqliteDialect, SqliteDriver, sql, type DatabaseConnection } from 'kysely';
import { AppError } from '../errors.ts';
import { type SyncFile, walSync } from './wal-sync.ts';

/** One step forward of a schema. Once released it is never edited; there is no way back. */
export interface Migration {
  /** `0001-what-it-does`; the order of the names is the order of the steps. */
  name: string;
  up(query: Kysely<unknown>): Promise<void>;
}

/** An open database file, with every migration applied. */
export interface Database<Schema> {
  query: Kysely<Schema>;
  /**
   * The same connection, synchronous, for the few places where a write must be on disk before the
   * next line. Not for use while a `query.transaction()` may be open: it would join it.
   */
  raw: Sqlite.Database;
  /**
   * Commits what `write` does with `raw`, and resolves once that is on disk. The thread goes on meanwhile, so that
   * whatever comes until then can share the next commit. `alone`, with nobody else to go on for, it waits itself where
   * the disk is quick, which takes less time in all. Rejects when the disk did not take it, and from then on always:
   * nobody can know what was lost.
   */
  commit(write: () => void, options: { alone: boolean }): Promise<void>;
  close(): Promise<void>;
}

/** A thread that waits for the disk longer than this keeps too many others waiting. */
const QUICK_COMMIT_MS = 1;

/** How long a statement waits for another process that writes to the same file. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens a SQLite file (made with mode 0600 if new): write-ahead log, every commit on disk before it
 * is answered, foreign keys on, and brings its schema up to date. `:memory:` works too.
 * Fails with `data-newer` when the file knows migrations that this code doesn't, `data-damaged`
 * when it is no database, `no-space` when the disk is full.
 */
export async function openDatabase<Schema>(
  path: string,
  { migrations, syncFile }: { migrations: readonly Migration[]; syncFile?: SyncFile },
): Promise<Database<Schema>> {
  const raw = openFile(path);
  const wal = path === ':memory:' ? undefined : walSync(path, syncFile);
  const query = new Kysely<Schema>({ dialect: new ImmediateSqliteDialect(raw) });
  try {
    await migrate(query as Kysely<unknown>, path, migrations);
  } catch (error) {
    raw.close();
    throw error;
  }
  let lastCommitMs = 0;
  return {
    query,
    raw,
    async commit(write, { alone }) {
      // A transaction that somebody has open must not take this in: the one connection is free when it is done.
      while (raw.inTransaction) await query.connection().execute(() => Promise.resolve());
      wal?.refuseAfterFailure();
      const started = performance.now();
      if (alone && lastCommitMs < QUICK_COMMIT_MS) write();
      else {
        withoutSync(raw, write);
        await wal?.sync();
      }
      lastCommitMs = performance.now() - started;
    },
    async close() {
      wal?.close();
      await query.destroy();
    },
  };
}

/** A commit that may be lost with the power until the log is on disk, though nothing is ever torn. */
function withoutSync(raw: Sqlite.Database, write: () => void): void {
  raw.exec('pragma synchronous = normal');
  try {
    write();
  } finally {
    raw.exec('pragma synchronous = full');
  }
}

function openFile(path: string): Sqlite.Database {
  // SQLite gives its side files the mode of the main file, so that one is made first.
  if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600));
  const raw = new Sqlite(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    raw.pragma('journal_mode = WAL');
    raw.pragma('synchronous = FULL');
    raw.pragma('foreign_keys = ON');
    raw.pragma('trusted_schema = OFF');
    // So that `insert or replace` meets the triggers that protect history, too.
    raw.pragma('recursive_triggers = ON');
  } catch (error) {
    raw.close();
    throw damagedOr(error, path);
  }
  return raw;
}

function damagedOr(error: unknown, path: string): unknown {
  const code = error instanceof Sqlite.SqliteError ? error.code : '';
  if (!/^SQLITE_(NOTADB|CORRUPT)/.test(code)) return error;
  return new AppError('data-damaged', {
    detail: `${path} is not a readable database (${code}).`,
    hint: 'Put a backup of the file in its place.',
    cause: error,
  });
}

/**
 * Takes the write lock at `begin`: a transaction that reads first and writes later would otherwise
 * fail half-way when another process wrote in between.
 */
class ImmediateSqliteDriver extends SqliteDriver {
  readonly #raw: Sqlite.Database;

  constructor(raw: Sqlite.Database) {
    super({ database: raw });
    this.#raw = raw;
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  // SQLite itself rolls back when the disk is full; a second rollback would hide why.
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#raw.inTransaction) await super.rollbackTransaction(connection);
  }
}

class ImmediateSqliteDialect extends SqliteDialect {
  readonly #raw: Sqlite.Database;

  constructor(raw: Sqlite.Database) {
    super({ database: raw });
    this.#raw = raw;
  }

  override createDriver(): ImmediateSqliteDriver {
    return new ImmediateSqliteDriver(this.#raw);
  }
}

interface MigrationTable {
  migration: { name: string; applied_at: string };
}

/** All missing steps in one transaction: a crash leaves the old schema whole. */
async function migrate(
  anyQuery: Kysely<unknown>,
  path: string,
  migrations: readonly Migration[],
): Promise<void> {
  const query = anyQuery as Kysely<MigrationTable>;
  await query.transaction().execute(async (tx) => {
    await sql`create table if not exists migration (name text primary key, applied_at text not null)`.execute(
      tx,
    );
    const applied = new Set(
      (await tx.selectFrom('migration').select('name').execute()).map((row) => row.name),
    );
    const known = new Set(migrations.map((migration) => migration.name));
    const unknown = [...applied].filter((name) => !known.has(name));
    if (unknown.length > 0) {
      throw new AppError('data-newer', {
        detail: `${path} has been changed by a newer version of Berth (${unknown.toSorted().join(', ')}).`,
        hint: 'Start that newer version, or put back a backup made before the upgrade.',
      });
    }
    for (const migration of migrations.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (applied.has(migration.name)) continue;
      await migration.up(tx as unknown as Kysely<unknown>);
      await sql`insert into migration (name, applied_at) values (${migration.name}, datetime('now'))`.execute(
        tx,
      );
    }
  });
}

/**
 * Claims a home for this process until `release()` or its end, however it ends: the lock is one of
 * the kernel's, so a killed process leaves nothing to clean. Fails with `already-running`.
 */
export function lockHome(home: string): { release(): void } {
  const path = join(home, 'lock');
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  const lock = new Sqlite(path, { timeout: 0 });
  try {
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    if (!(error instanceof Sqlite.SqliteError) || !error.code.startsWith('SQLITE_BUSY'))
      throw damagedOr(error, path);
    throw new AppError('already-running', {
      detail: `Another Berth process uses ${home}.`,
      hint: 'Stop it, or choose another home with BERTH_HOME.',
      cause: error,
    });
  }
  return { release: () => lock.close() };
}
