import type { Database, Sqlite3Static, WasmPointer } from '@sqlite.org/sqlite-wasm';
import type { Cell } from './cells.ts';

/** Room for the texts of a usual row. */
const SCRATCH_BYTES = 64 * 1024;
/** The most bytes one UTF-16 unit takes as UTF-8. */
const BYTES_PER_UNIT = 3;
/** Tells SQLite that the bytes stay where they are until the row is in. */
const STATIC = 0;

/** Puts rows into a table, one statement for all of them. */
export interface Insert {
  row(cells: readonly Cell[]): void;
  end(): void;
}

/** The functions of the WebAssembly module this uses; its own types leave them open. */
interface Exports {
  sqlite3_bind_null(statement: WasmPointer, index: number): number;
  sqlite3_bind_double(statement: WasmPointer, index: number, value: number): number;
  sqlite3_bind_int64(statement: WasmPointer, index: number, value: bigint): number;
  sqlite3_bind_text(statement: WasmPointer, index: number, at: number, bytes: number, keep: number): number;
  sqlite3_bind_blob(statement: WasmPointer, index: number, at: number, bytes: number, keep: number): number;
  sqlite3_step(statement: WasmPointer): number;
  sqlite3_reset(statement: WasmPointer): number;
}

/**
 * Binds through the module itself: the object layer converts and allocates for every value, which is five times slower
 * and most of the time it takes to load a file. Texts go through one buffer that is used again for each row.
 */
export function insertInto(
  sqlite: Sqlite3Static,
  db: Database,
  sql: string,
  onFault: (code: number) => Error,
): Insert {
  const { capi, wasm } = sqlite;
  const exports = wasm.exports as unknown as Exports;
  const encoder = new TextEncoder();
  const prepared = db.prepare(sql);
  const statement = prepared.pointer as WasmPointer;
  let scratch = wasm.alloc(SCRATCH_BYTES);
  let room = SCRATCH_BYTES;

  const need = (bytes: number): void => {
    if (bytes <= room) return;
    const larger = wasm.alloc(bytes);
    wasm.dealloc(scratch);
    scratch = larger;
    room = bytes;
  };

  const bind = (index: number, cell: Cell, at: number): { code: number; bytes: number } => {
    if (cell === null) return { code: exports.sqlite3_bind_null(statement, index), bytes: 0 };
    if (typeof cell === 'bigint')
      return { code: exports.sqlite3_bind_int64(statement, index, cell), bytes: 0 };
    if (typeof cell === 'number') {
      const code = Number.isSafeInteger(cell)
        ? exports.sqlite3_bind_int64(statement, index, BigInt(cell))
        : exports.sqlite3_bind_double(statement, index, cell);
      return { code, bytes: 0 };
    }
    // The view is taken anew each time: memory that has grown is another buffer.
    const memory = wasm.heap8u().subarray(at, scratch + room);
    if (typeof cell === 'string') {
      const bytes = encoder.encodeInto(cell, memory).written;
      return { code: exports.sqlite3_bind_text(statement, index, at, bytes, STATIC), bytes };
    }
    memory.set(cell);
    return { code: exports.sqlite3_bind_blob(statement, index, at, cell.length, STATIC), bytes: cell.length };
  };

  return {
    row: (cells) => {
      let most = 0;
      for (const cell of cells) {
        if (typeof cell === 'string') most += cell.length * BYTES_PER_UNIT;
        else if (cell instanceof Uint8Array) most += cell.length;
      }
      need(most);
      let at = scratch;
      let index = 0;
      for (const cell of cells) {
        index += 1;
        const { code, bytes } = bind(index, cell, at);
        if (code !== capi.SQLITE_OK) throw onFault(code);
        at += bytes;
      }
      const code = exports.sqlite3_step(statement);
      exports.sqlite3_reset(statement);
      if (code !== capi.SQLITE_DONE) throw onFault(code);
    },
    end: () => {
      prepared.finalize();
      wasm.dealloc(scratch);
    },
  };
}
