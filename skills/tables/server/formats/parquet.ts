import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type ColumnData,
  type ParquetParsers,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { cellOf, uniqueNames, type Affinity, type Cell, type Loading } from '../cells.ts';

/** A row group is decoded as a whole, so its size bounds the memory that takes. */
const MOST_GROUP_CELLS = 4_000_000;
const MS_PER_DAY = 86_400_000;

/** Times keep their microseconds and nanoseconds, which a JavaScript date would drop. */
const PARSERS: Partial<ParquetParsers> = {
  dateFromDays: (days) => new Date(days * MS_PER_DAY).toISOString().slice(0, 10),
  timestampFromMilliseconds: (millis) => isoTime(millis, 1000n, 3),
  timestampFromMicroseconds: (micros) => isoTime(micros, 1_000_000n, 6),
  timestampFromNanoseconds: (nanos) => isoTime(nanos, 1_000_000_000n, 9),
  // Parsing would round big integers; SQL reads JSON text itself.
  jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('utf8'),
};

/** Loads a Parquet file, row group by row group. Nested columns become JSON text. */
export async function loadParquet({ absolute, writer, goOn }: Loading): Promise<void> {
  const file = await asyncBufferFromFile(absolute);
  const metadata = await parquetMetadataAsync(file);
  const columns = parquetSchema(metadata).children.map(({ element }) => element);
  const scales = columns.map(({ converted_type: type, scale }) =>
    type === 'DECIMAL' ? 10 ** (scale ?? 0) : undefined,
  );
  const names = uniqueNames(columns.map(({ name }) => name));
  writer.begin(
    columns.map(({ type }, index) => {
      const real = type === 'DOUBLE' || type === 'FLOAT' || scales[index] !== undefined;
      const affinity: Affinity = real ? 'REAL' : '';
      return { name: names[index] ?? '', affinity };
    }),
  );

  let rowStart = 0;
  for (const group of metadata.row_groups) {
    goOn();
    const rows = Number(group.num_rows);
    if (rows * columns.length > MOST_GROUP_CELLS) {
      throw new Error(
        `A row group has ${rows} rows; write the file with smaller ones (100,000 rows are usual).`,
      );
    }
    const rowEnd = rowStart + rows;
    const chunks = new Map<string, ColumnData[]>(columns.map(({ name }) => [name, []]));
    await parquetRead({
      file,
      metadata,
      compressors,
      parsers: PARSERS,
      rowStart,
      rowEnd,
      // Column by column, as it is decoded: turned into rows first, it would take twice the memory.
      onChunk: (chunk) => void chunks.get(chunk.columnName)?.push(chunk),
    });
    const parts = columns.map(({ name }) => chunks.get(name) ?? []);
    for (let row = rowStart; row < rowEnd; row += 1) {
      goOn();
      writer.row(parts.map((part, index) => exact(valueAt(part, row), scales[index])));
    }
    rowStart = rowEnd;
  }
}

/** A row's value in the pieces a column came in; usually there is one. */
function valueAt(part: readonly ColumnData[], row: number): unknown {
  for (const { rowStart, rowEnd, columnData } of part) {
    if (row >= rowStart && row < rowEnd) return columnData[row - rowStart];
  }
  throw new Error(`Row ${row + 1} is missing in the file.`);
}

/** A decimal arrives as a product with 0.01 and the like; the quotient by 100 is the double nearest to what it means. */
function exact(value: unknown, scale: number | undefined): Cell {
  if (scale === undefined || typeof value !== 'number') return cellOf(value);
  return cellOf(Math.round(value * scale) / scale);
}

function isoTime(ticks: bigint, perSecond: bigint, digits: number): string {
  const fraction = ((ticks % perSecond) + perSecond) % perSecond;
  const date = new Date(Number((ticks - fraction) / perSecond) * 1000);
  // Beyond the years a date can hold: the bare number is at least true.
  if (Number.isNaN(date.getTime())) return ticks.toString();
  return `${date.toISOString().slice(0, -5)}.${fraction.toString().padStart(digits, '0')}Z`;
}
