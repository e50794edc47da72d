import init, { type Database as SqliteDatabase, type PreparedStatement } from '@sqlite.org/sqlite-wasm';
import type { Cell, Column } from './cells.ts';
import { insertInto } from './insert.ts';

/** What the loaded tables and everything a query sorts or joins may take together. */
const MOST_HEAP_BYTES = 192 * 1024 * 1024;
/** The longest value and the longest statement. */
const MOST_VALUE_BYTES = 16 * 1024 * 1024;
const MOST_SQL_BYTES = 64 * 1024;
const MOST_COLUMNS = 500;
const MOST_EXPRESSION_DEPTH = 200;
/** Steps of SQLite's machine between two looks whether the caller has given up; about a millisecond. */
const STEPS_BETWEEN_LOOKS = 20_000;

/** Characters of one cell that are answered, and of a whole answer. */
const MOST_CELL_CHARS = 2000;
const MOST_ANSWER_CHARS = 200_000;

/** The memory that may be used is used up. */
export class TooBig extends Error {}
/** A statement names a table that there is none of. */
export class NoSuchTable extends Error {
  readonly table: string;
  constructor(table: string) {
    super(`There is no table or file "${table}".`);
    this.table = table;
  }
}

/** What a table that was loaded turned out to hold. */
export interface TableFacts {
  readonly rows: number;
  readonly columns: readonly { name: string; type: string; nulls: number }[];
}

/** Rows of an answer. Integers a JSON reader would round are texts of their digits; blobs are hexadecimal. */
export interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly (string | number | null)[][];
  readonly truncated?: 'rows' | 'size';
  readonly cellsCut: number;
}

/** A table while its rows come in. */
export interface Filling {
  row(cells: readonly Cell[]): void;
  finish(): TableFacts;
  abandon(): void;
}

/** SQLite in memory. Loading may write; what users ask may only read. */
export interface Database {
  createTable(name: string, columns: readonly Column[]): Filling;
  drop(name: string): void;
  /** Runs one SELECT, WITH or EXPLAIN over views that exist for it alone. */
  query(sql: string, views: ReadonlyMap<string, string>, mostRows: number): Rows;
}

/** Opens an empty database. `givenUp` is asked all the time a statement runs. */
export async function openDatabase(givenUp: () => boolean): Promise<Database> {
  // SQLite's glue code would print failing statements, with the data in them.
  const quiet = (): void => undefined;
  Object.assign(globalThis, { sqlite3ApiConfig: { warn: quiet, error: quiet, log: quiet, debug: quiet } });
  const sqlite = await init();
  const { capi, oo1 } = sqlite;
  const db: SqliteDatabase = new oo1.DB(':memory:');
  db.exec(`PRAGMA hard_heap_limit = ${MOST_HEAP_BYTES}; PRAGMA trusted_schema = OFF;`);
  const { pointer } = db;
  if (pointer === undefined) throw new Error('SQLite did not open.');
  for (const [limit, value] of [
    [capi.SQLITE_LIMIT_LENGTH, MOST_VALUE_BYTES],
    [capi.SQLITE_LIMIT_SQL_LENGTH, MOST_SQL_BYTES],
    [capi.SQLITE_LIMIT_EXPR_DEPTH, MOST_EXPRESSION_DEPTH],
  ] as const) {
    capi.sqlite3_limit(pointer, limit, value);
  }
  capi.sqlite3_progress_handler(pointer, STEPS_BETWEEN_LOOKS, () => Number(givenUp()), 0);

  const reads = new Set([capi.SQLITE_SELECT, capi.SQLITE_READ, capi.SQLITE_FUNCTION, capi.SQLITE_RECURSIVE]);
  const readsOnly = (_: unknown, action: number, table: string | 0): number => {
    const schema = typeof table === 'string' && /^sqlite_(temp_)?(master|schema)$/.test(table);
    return reads.has(action as never) && !schema ? capi.SQLITE_OK : capi.SQLITE_DENY;
  };

  /** Compiles exactly one statement, and only one that reads. */
  const prepareOne = (sql: string): PreparedStatement => {
    if (sql.includes('\0')) throw new Error('SQL cannot contain a NUL character.');
    const statement = translated(() => db.prepare(sql));
    // SQLite compiles the first statement of a text and keeps its part of it.
    const rest = sql.slice(capi.sqlite3_sql(statement).length);
    if (NOTHING.test(rest) && capi.sqlite3_stmt_readonly(statement) && statement.columnCount > 0)
      return statement;
    statement.finalize();
    throw NOTHING.test(rest)
      ? onlyReads()
      : new Error('Give one statement at a time; this is more than one.');
  };

  const failure = (message: string, code: number): Error => {
    const missing = /no such table: (.*)$/s.exec(message)?.[1];
    if (missing !== undefined) return new NoSuchTable(missing);
    if (
      code === capi.SQLITE_AUTH ||
      message.includes('not authorized') ||
      /prohibited|cannot modify/.test(message)
    )
      return onlyReads();
    if (code === capi.SQLITE_NOMEM) return new TooBig(tooBig());
    if (code === capi.SQLITE_INTERRUPT) return new Error('The query was stopped.');
    if (code === capi.SQLITE_TOOBIG) return new Error(`A value or the statement is too long.`);
    return new Error(`SQLite: ${message}`);
  };

  const translated = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (error instanceof sqlite.WasmAllocError) throw new TooBig(tooBig());
      if (!(error instanceof sqlite.SQLite3Error)) throw error;
      throw failure(capi.sqlite3_errmsg(pointer), error.resultCode);
    }
  };

  return {
    createTable: (name, columns) => {
      if (columns.length > MOST_COLUMNS) {
        throw new Error(`The file has ${columns.length} columns; at most ${MOST_COLUMNS} are loaded.`);
      }
      if (columns.length === 0) throw new Error('The file has no columns.');
      const seen = columns.map(() => new Set<string>());
      const nulls = columns.map(() => 0);
      let rows = 0;
      translated(() =>
        db.exec(`BEGIN; CREATE TABLE ${quoted(name)} (${columns.map(definition).join(', ')})`),
      );
      const fault = (code: number): Error => failure(capi.sqlite3_errmsg(pointer), code);
      const placeholders = columns.map(() => '?').join(', ');
      const insert = insertInto(sqlite, db, `INSERT INTO ${quoted(name)} VALUES (${placeholders})`, fault);
      const end = (sql: string): void => {
        insert.end();
        // A statement that ran out of memory has rolled back and ended the transaction already.
        if (capi.sqlite3_get_autocommit(pointer) === 0) db.exec(sql);
      };
      return {
        row: (cells) => {
          translated(() => insert.row(cells));
          rows += 1;
          for (const [index, cell] of cells.entries()) {
            if (cell === null) nulls[index] = (nulls[index] ?? 0) + 1;
            else seen[index]?.add(typeOf(cell, columns[index]));
          }
        },
        finish: () => {
          translated(() => end('COMMIT'));
          return {
            rows,
            columns: columns.map((column, index) => ({
              name: column.name,
              type: [...(seen[index] ?? [])].toSorted().join('|') || 'null',
              nulls: nulls[index] ?? 0,
            })),
          };
        },
        abandon: () => end('ROLLBACK'),
      };
    },

    drop: (name) => void db.exec(`DROP TABLE IF EXISTS ${quoted(name)}`),

    query: (sql, views, mostRows) => {
      const made: string[] = [];
      try {
        for (const [view, table] of views) {
          translated(() =>
            db.exec(`CREATE TEMP VIEW ${quoted(view)} AS SELECT * FROM main.${quoted(table)}`),
          );
          made.push(view);
        }
        capi.sqlite3_set_authorizer(pointer, readsOnly, 0);
        const statement = prepareOne(sql);
        try {
          return translated(() => take(statement, mostRows));
        } finally {
          statement.finalize();
        }
      } finally {
        capi.sqlite3_set_authorizer(pointer, 0 as never, 0);
        for (const view of made) db.exec(`DROP VIEW temp.${quoted(view)}`);
      }
    },
  };
}

/** What may follow a statement: spaces and comments. */
const NOTHING = /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$))*$/;

function take(statement: PreparedStatement, mostRows: number): Rows {
  const columns = statement.getColumnNames();
  const rows: (string | number | null)[][] = [];
  let chars = 0;
  let cellsCut = 0;
  while (statement.step()) {
    if (rows.length === mostRows) return { columns, rows, truncated: 'rows', cellsCut };
    const row = columns.map((_, index) => {
      const shown = answered(statement.get(index));
      chars += typeof shown === 'string' ? shown.length + 3 : 8;
      if (typeof shown !== 'string' || shown.length <= MOST_CELL_CHARS) return shown;
      cellsCut += 1;
      return `${shown.slice(0, MOST_CELL_CHARS)}…`;
    });
    if (chars > MOST_ANSWER_CHARS && rows.length > 0) return { columns, rows, truncated: 'size', cellsCut };
    rows.push(row);
  }
  return { columns, rows, cellsCut };
}

function answered(value: unknown): string | number | null {
  if (typeof value === 'bigint') return value.toString();
  // The hexadecimal form is cut like any other text, so no more bytes than that are looked at.
  if (value instanceof Uint8Array) return Buffer.from(value.subarray(0, MOST_CELL_CHARS)).toString('hex');
  // JSON has no infinity.
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return (value as string | null) ?? null;
}

function typeOf(cell: Cell, column: Column | undefined): string {
  if (typeof cell === 'string') return 'text';
  if (typeof cell === 'bigint') return 'integer';
  if (typeof cell === 'number')
    return Number.isSafeInteger(cell) && column?.affinity !== 'REAL' ? 'integer' : 'real';
  return 'blob';
}

function definition({ name, affinity }: Column): string {
  return `${quoted(name)} ${affinity}`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function onlyReads(): Error {
  return new Error(
    'Only SELECT, WITH and EXPLAIN run here, over the files you name: the data cannot be changed, and there is no ' +
      'schema to look into. "list" and "describe" show what there is.',
  );
}

function tooBig(): string {
  return `That needs more than ${MOST_HEAP_BYTES / 1024 / 1024} MB of memory. Use smaller files, fewer columns, or a stricter WHERE.`;
}
