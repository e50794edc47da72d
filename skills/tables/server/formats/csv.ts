import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import Papa from 'papaparse';
import {
  affinityOfTexts,
  learnText,
  nothingLearned,
  textCell,
  uniqueNames,
  type Learned,
  type Loading,
} from '../cells.ts';

/** Large pieces: an unclosed quote makes the parser look again at all it has for each of them. */
const CHUNK_BYTES = 4 * 1024 * 1024;
const SNIFFED_BYTES = 64 * 1024;
const DELIMITERS = [',', ';', '\t', '|'];

/**
 * Loads a CSV or TSV file. The first record names the columns. The file is read twice: first to check all of it and to
 * learn what its columns hold, then to load it, so that a type never depends on a sample.
 */
export async function loadCsv(loading: Loading, delimiter: string | undefined): Promise<void> {
  const separator = delimiter ?? (await guessDelimiter(loading.absolute));
  let header: string[] | undefined;
  const learned: Learned[] = [];
  let record = 0;
  await eachRecord(loading, separator, (cells) => {
    record += 1;
    if (header === undefined) {
      header = cells;
      learned.push(...cells.map(nothingLearned));
      return;
    }
    cells.forEach((cell, index) => {
      const column = learned[index];
      if (column) learnText(column, cell);
      else if (cell !== '') {
        throw new Error(
          `Record ${record} has ${cells.length} cells, the header ${learned.length}. Quote cells that contain the separator "${separator}".`,
        );
      }
    });
  });
  if (header === undefined) throw new Error('The file is empty: it has no header.');

  const affinities = learned.map(affinityOfTexts);
  loading.writer.begin(
    uniqueNames(header).map((name, index) => ({ name, affinity: affinities[index] ?? 'TEXT' })),
  );
  let first = true;
  await eachRecord(loading, separator, (cells) => {
    if (!first) loading.writer.row(affinities.map((affinity, index) => textCell(cells[index], affinity)));
    first = false;
  });
}

/** Parses strictly: quotes that do not close, or close in the middle of a cell, are faults, not guesses. */
async function eachRecord(
  { absolute, goOn }: Loading,
  delimiter: string,
  onRecord: (cells: string[]) => void,
): Promise<void> {
  const stream = createReadStream(absolute, { encoding: 'utf8', highWaterMark: CHUNK_BYTES });
  let record = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      // Papa Parse drops what its callbacks throw, so it is carried out by hand.
      const guarded = (work: () => void, parser: Papa.Parser): void => {
        try {
          work();
        } catch (error) {
          // First of all: an abort calls `complete`, and what settles first counts.
          reject(error);
          parser.abort();
        }
      };
      Papa.parse<string[], NodeJS.ReadableStream>(stream, {
        delimiter,
        skipEmptyLines: true,
        step: ({ data, errors }, parser) =>
          guarded(() => {
            goOn();
            record += 1;
            const [fault] = errors;
            if (fault)
              throw new Error(
                `Record ${record} is broken: ${fault.message}. Every quote inside a quoted cell is doubled.`,
              );
            if (record === 1 && data[0] !== undefined) data[0] = data[0].replace(/^\uFEFF/, '');
            onRecord(data);
          }, parser),
        complete: () => resolve(),
        error: reject,
      });
    });
  } finally {
    stream.destroy();
  }
}

/** The separator that stands most often in the first line, outside quotes. */
async function guessDelimiter(absolute: string): Promise<string> {
  const file = await open(absolute, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFFED_BYTES), 0, SNIFFED_BYTES, 0);
    const start = buffer.toString('utf8', 0, bytesRead).replace(/"(?:[^"]|"")*"/g, '');
    const [line = ''] = start.split(/\r?\n/, 1);
    const counted = DELIMITERS.map((delimiter) => ({ delimiter, count: line.split(delimiter).length }));
    return counted.reduce((best, other) => (other.count > best.count ? other : best)).delimiter;
  } finally {
    await file.close();
  }
}
