import { parse, stringify } from 'lossless-json';

/** What a cell of a loaded table can hold. */
export type Cell = null | string | number | bigint | Uint8Array;

/** How SQLite is to store a column; empty leaves every value as it is. */
export type Affinity = 'INTEGER' | 'REAL' | 'TEXT' | '';

/** A column of a table that is being loaded. */
export interface Column {
  readonly name: string;
  readonly affinity: Affinity;
}

/** Where the reader of a format puts what it reads. */
export interface TableWriter {
  begin(columns: readonly Column[]): void;
  row(cells: readonly Cell[]): void;
}

/** What a reader of a format is given. */
export interface Loading {
  readonly absolute: string;
  readonly writer: TableWriter;
  /** Throws when the caller has given up; called every few rows. */
  readonly goOn: () => void;
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
/** Every integer of this many digits is exact as a JavaScript number. */
const SAFE_DIGITS = 15;
/** A decimal with more digits than a double holds is kept as text rather than rounded. */
const MOST_REAL_DIGITS = 17;

const INTEGER = /^[+-]?(?:0|[1-9]\d{0,18})$/;
const REAL = /^[+-]?(?:0|[1-9]\d*)?(?:\.\d+|(?<=\d)\.?)(?:[eE][+-]?\d{1,3})?$/;

/** A column's history: decides how it is stored once all its values were seen. */
export interface Learned {
  integer: boolean;
  big: boolean;
  real: boolean;
  text: boolean;
}

/** Nothing seen yet. */
export function nothingLearned(): Learned {
  return { integer: false, big: false, real: false, text: false };
}

/** Notes what one text cell could be. Codes such as `007` stay text: as numbers they would lose their zeros. */
export function learnText(learned: Learned, cell: string): void {
  if (learned.text || cell === '') return;
  if (INTEGER.test(cell)) {
    if (cell.length <= SAFE_DIGITS) learned.integer = true;
    else if (fitsInt64(BigInt(cell.replace(/^\+/, '')))) learned.big = true;
    else learned.text = true;
  } else if (
    REAL.test(cell) &&
    cell.replace(/\D/g, '').length <= MOST_REAL_DIGITS &&
    Number.isFinite(Number(cell))
  ) {
    learned.real = true;
  } else learned.text = true;
}

/** Storage for a column of texts: numbers only where no value changes by it. */
export function affinityOfTexts({ integer, big, real, text }: Learned): Affinity {
  if (text || (big && real)) return 'TEXT';
  if (real) return 'REAL';
  return integer || big ? 'INTEGER' : 'TEXT';
}

/** A text cell as its column stores it. An empty cell is NULL. */
export function textCell(cell: string | undefined, affinity: Affinity): Cell {
  if (cell === undefined || cell === '') return null;
  if (affinity === 'REAL') return Number(cell);
  if (affinity !== 'INTEGER') return cell;
  return cell.length <= SAFE_DIGITS ? Number(cell) : BigInt(cell.replace(/^\+/, ''));
}

/** Notes what one value of JSON is. */
export function learnValue(learned: Learned, cell: Cell): void {
  if (typeof cell === 'number') learned[Number.isSafeInteger(cell) ? 'integer' : 'real'] = true;
  else if (typeof cell === 'bigint') learned.big = true;
  else if (cell !== null) learned.text = true;
}

/** Storage for a column of JSON: `[1, 1.5]` is a column of reals, everything else stays as it was written. */
export function affinityOfValues({ big, real, text }: Learned): Affinity {
  return real && !big && !text ? 'REAL' : '';
}

/** Any value as a cell: booleans as 0 and 1, times as ISO 8601, lists and objects as JSON text. */
export function cellOf(value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'bigint') return fitsInt64(value) ? value : value.toString();
  if (typeof value === 'boolean') return Number(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  return stringify(value, plain) ?? null;
}

function plain(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

/** JSON whose integers keep all their digits: beyond 2^53 as bigint, beyond 64 bits as text. */
export function parseExactly(json: string): unknown {
  if (!/\d{16}/.test(json)) return JSON.parse(json);
  return parse(json, undefined, (digits) => {
    if (!/^-?\d+$/.test(digits) || digits.length <= SAFE_DIGITS) return Number(digits);
    const integer = BigInt(digits);
    return fitsInt64(integer) ? integer : digits;
  });
}

function fitsInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

/** Names that are not empty and, as SQL does not tell `A` from `a`, differ in more than case. */
export function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((given, index) => {
    const base = given.trim() === '' ? `column_${index + 1}` : given.trim();
    let name = base;
    for (let copy = 2; taken.has(name.toLowerCase()); copy += 1) name = `${base}_${copy}`;
    taken.add(name.toLowerCase());
    return name;
  });
}
