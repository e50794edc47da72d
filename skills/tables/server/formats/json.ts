import { createReadStream } from 'node:fs';
import {
  affinityOfValues,
  cellOf,
  learnValue,
  nothingLearned,
  parseExactly,
  uniqueNames,
  type Learned,
  type Loading,
} from '../cells.ts';

/** One element of the list, or one line. */
const MOST_VALUE_BYTES = 16 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT, COMMA] = [
  ...Buffer.from('"\\[]{},'),
];
const SPACES = new Set(Buffer.from(' \t\r\n'));

/**
 * Loads a list of objects, or objects one after the other (NDJSON). Keys become columns in the order they appear; a
 * list of lists becomes `column_1`, …; other elements the column `value`. It is read twice, as a CSV file is.
 */
export async function loadJson(loading: Loading): Promise<void> {
  const learned = new Map<string, Learned>();
  await eachElement(loading, (element) => {
    for (const [key, value] of Object.entries(element)) {
      let column = learned.get(key);
      if (column === undefined) learned.set(key, (column = nothingLearned()));
      learnValue(column, cellOf(value));
    }
  });
  if (learned.size === 0) throw new Error('The file has no records with any key.');

  const keys = [...learned.keys()];
  const names = uniqueNames(keys);
  loading.writer.begin(
    [...learned.values()].map((column, index) => ({
      name: names[index] ?? '',
      affinity: affinityOfValues(column),
    })),
  );
  await eachElement(loading, (element) =>
    loading.writer.row(keys.map((key) => cellOf(Object.hasOwn(element, key) ? element[key] : undefined))),
  );
}

async function eachElement(
  loading: Loading,
  onElement: (element: Record<string, unknown>) => void,
): Promise<void> {
  let count = 0;
  for await (const text of values(loading.absolute)) {
    loading.goOn();
    count += 1;
    onElement(asObject(parseElement(text, count)));
  }
}

function parseElement(text: string, count: number): unknown {
  try {
    return parseExactly(text);
  } catch (error) {
    throw new Error(
      `Record ${count} is not valid JSON: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return { value };
  if (!Array.isArray(value)) return value as Record<string, unknown>;
  return Object.fromEntries(value.map((item, index) => [`column_${index + 1}`, item as unknown]));
}

/**
 * The texts of the elements of one top-level list, or of the values that follow each other, without holding the file in
 * memory. Only brackets and strings are understood here; each text is parsed in full by the caller.
 */
async function* values(absolute: string): AsyncGenerator<string> {
  let base: 0 | 1 | undefined;
  let depth = 0;
  let inString = false;
  let escaped = false;
  let closed = false;
  let pending: Buffer[] = [];
  let pendingBytes = 0;

  const take = (bytes: Buffer): string => {
    const text = Buffer.concat([...pending, bytes]).toString('utf8');
    pending = [];
    pendingBytes = 0;
    return text;
  };

  for await (const chunk of createReadStream(absolute, {
    highWaterMark: CHUNK_BYTES,
  }) as AsyncIterable<Buffer>) {
    const bytes = base === undefined && chunk[0] === 0xef && chunk[1] === 0xbb ? chunk.subarray(3) : chunk;
    let start = pendingBytes > 0 ? 0 : -1;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
        continue;
      }
      if (SPACES.has(byte) || byte === COMMA) {
        if (start !== -1 && depth === base) {
          yield take(bytes.subarray(start, at));
          start = -1;
        }
        continue;
      }
      if (closed) throw new Error('Something follows the end of the list.');
      if (base === undefined) {
        base = byte === OPEN_LIST ? 1 : 0;
        if (base === 1) {
          depth = 1;
          continue;
        }
      }
      if (byte === CLOSE_LIST && base === 1 && depth === 1) {
        if (start !== -1) yield take(bytes.subarray(start, at));
        start = -1;
        depth = 0;
        closed = true;
        continue;
      }
      if (start === -1) start = at;
      if (byte === QUOTE) inString = true;
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth += 1;
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        depth -= 1;
        if (depth < base) throw new Error('A closing bracket has no opening one.');
        if (depth === base) {
          yield take(bytes.subarray(start, at + 1));
          start = -1;
        }
      }
    }
    if (start !== -1) {
      pending.push(bytes.subarray(start));
      pendingBytes += bytes.length - start;
      if (pendingBytes > MOST_VALUE_BYTES) throw new Error(`One record has over ${MOST_VALUE_BYTES} bytes.`);
    }
  }
  if (inString || depth > 0) throw new Error('The file ends in the middle of a value.');
  if (pendingBytes > 0) yield take(Buffer.alloc(0));
}
