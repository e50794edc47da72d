import type { Database, Filling, TableFacts } from './database.ts';
import { TooBig } from './database.ts';
import type { TableWriter } from './cells.ts';
import { loadCsv } from './formats/csv.ts';
import { loadJson } from './formats/json.ts';
import { loadParquet } from './formats/parquet.ts';
import type { DataFile } from './workspace.ts';

/** Files that stay loaded for the next question. */
const MOST_KEPT = 16;

/** A file in the database. */
export interface Loaded extends TableFacts {
  readonly table: string;
  readonly path: string;
}

/** The loaded files. Asking again for one that has not changed costs nothing; the longest unused make room. */
export interface Shelf {
  take(file: DataFile, inUse: ReadonlySet<string>, goOn: () => void): Promise<Loaded>;
}

/** An empty shelf over a database. */
export function shelf(database: Database): Shelf {
  // Insertion order is order of use: what is taken is put at the end again.
  const kept = new Map<string, Loaded & { readonly version: string }>();
  let count = 0;

  const makeRoom = (inUse: ReadonlySet<string>, most: number): void => {
    for (const [path, { table }] of kept) {
      if (kept.size <= most) return;
      if (inUse.has(path)) continue;
      kept.delete(path);
      database.drop(table);
    }
  };

  const load = async (file: DataFile, goOn: () => void): Promise<Loaded> => {
    count += 1;
    const table = `file_${count}`;
    let filling: Filling | undefined;
    const writer: TableWriter = {
      begin: (columns) => {
        filling = database.createTable(table, columns);
      },
      row: (cells) => filling?.row(cells),
    };
    try {
      await read(file, writer, goOn);
      if (filling === undefined) throw new Error('The file has no columns.');
      return { table, path: file.path, ...filling.finish() };
    } catch (error) {
      filling?.abandon();
      throw error;
    }
  };

  return {
    take: async (file, inUse, goOn) => {
      const known = kept.get(file.path);
      if (known?.version === file.version) {
        kept.delete(file.path);
        kept.set(file.path, known);
        return known;
      }
      if (known) {
        kept.delete(file.path);
        database.drop(known.table);
      }
      makeRoom(inUse, MOST_KEPT - 1);
      const loaded = await load(file, goOn).catch(async (error: unknown) => {
        if (!(error instanceof TooBig) || kept.size === inUse.size) throw error;
        makeRoom(inUse, 0);
        return load(file, goOn);
      });
      kept.set(file.path, { ...loaded, version: file.version });
      return loaded;
    },
  };
}

async function read(file: DataFile, writer: TableWriter, goOn: () => void): Promise<void> {
  const loading = { absolute: file.absolute, writer, goOn };
  try {
    switch (file.format) {
      case 'csv':
        return await loadCsv(loading, undefined);
      case 'tsv':
        return await loadCsv(loading, '\t');
      case 'json':
      case 'ndjson':
        return await loadJson(loading);
      case 'parquet':
        return await loadParquet(loading);
    }
  } catch (error) {
    if (error instanceof TooBig) throw error;
    throw new Error(
      `"${file.path}" could not be loaded. ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}
