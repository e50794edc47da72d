import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, isAbsolute, join, relative, resolve, sep } from 'node:path';

/** The formats, told by the ending of the name. */
const FORMATS = {
  '.csv': 'csv',
  '.json': 'json',
  '.jsonl': 'ndjson',
  '.ndjson': 'ndjson',
  '.parquet': 'parquet',
  '.tab': 'tsv',
  '.tsv': 'tsv',
} as const;

export type Format = (typeof FORMATS)[keyof typeof FORMATS];

/** What still fits in memory once loaded. */
const MOST_FILE_BYTES = 48 * 1024 * 1024;

const MOUNT_POINT = '/workspace';
const NOT_ENTERED = new Set(['.git', 'node_modules', '.trash']);
const DEEPEST = 16;
/** Entries looked at before a walk gives up. */
const MOST_VISITED = 100_000;

/** A data file inside the folder. */
export interface DataFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly absolute: string;
  readonly format: Format;
  readonly sizeBytes: number;
  readonly modified: Date;
  /** Differs whenever the content may differ. */
  readonly version: string;
}

/** The format a name stands for; undefined when it is no data file. */
function formatOf(path: string): Format | undefined {
  return FORMATS[extname(path).toLowerCase() as keyof typeof FORMATS];
}

/** Finds a data file; refuses what is elsewhere (also behind a link), of another kind, or too big to load. */
export async function dataFile(root: string, asked: string): Promise<DataFile> {
  const absolute = await inside(root, asked);
  const path = relative(root, absolute).split(sep).join('/');
  const format = formatOf(absolute);
  if (format === undefined) {
    throw new Error(`"${path}" is not a table. Known endings: ${Object.keys(FORMATS).join(' ')}.`);
  }
  const stats = await stat(absolute, { bigint: true });
  if (!stats.isFile()) throw new Error(`"${path}" is not a regular file.`);
  if (stats.size > MOST_FILE_BYTES) {
    throw new Error(
      `"${path}" has ${stats.size} bytes; at most ${MOST_FILE_BYTES} are loaded. Split it, or keep only the columns you need.`,
    );
  }
  return {
    path,
    absolute,
    format,
    sizeBytes: Number(stats.size),
    modified: stats.mtime,
    version: `${stats.ino}-${stats.size}-${stats.mtimeNs}-${stats.ctimeNs}`,
  };
}

/** All data files below a folder in a stable order, as far as the limit goes. */
export async function dataFiles(
  root: string,
  asked: string,
  limit: number,
): Promise<{
  files: { path: string; format: Format; sizeBytes: number; modified: string }[];
  truncated: boolean;
}> {
  const start = await inside(root, asked);
  const files: { path: string; format: Format; sizeBytes: number; modified: string }[] = [];
  let visited = 0;
  let truncated = false;

  const enter = async (folder: string, depth: number): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      if (folder === start) throw error;
      return [];
    });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      visited += 1;
      if (visited > MOST_VISITED) truncated = true;
      if (truncated) return;
      const absolute = join(folder, entry.name);
      const format = formatOf(entry.name);
      if (entry.isDirectory() && depth < DEEPEST && !NOT_ENTERED.has(entry.name))
        await enter(absolute, depth + 1);
      if (!entry.isFile() || format === undefined) continue;
      if (files.length === limit) {
        truncated = true;
        return;
      }
      const stats = await stat(absolute).catch(() => undefined);
      if (stats === undefined) continue;
      const path = relative(root, absolute).split(sep).join('/');
      files.push({ path, format, sizeBytes: stats.size, modified: stats.mtime.toISOString() });
    }
  };
  await enter(start, 1);
  return { files, truncated };
}

/** The real path of something that exists inside the root. */
async function inside(root: string, asked: string): Promise<string> {
  if (asked.includes('\0')) throw new Error('A path cannot contain a NUL character.');
  const base = [root, MOUNT_POINT].find((known) => asked === known || asked.startsWith(`${known}/`));
  const wanted = base === undefined ? resolve(root, asked) : resolve(root, `.${asked.slice(base.length)}`);
  const outside = new Error(
    `"${asked}" is outside the workspace. Use a path relative to its root, as "list" answers.`,
  );
  if (!contains(root, wanted)) throw outside;
  const real = await realpath(wanted).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
      throw new Error(`There is no file "${asked}". The tool "list" shows the tables there are.`, {
        cause: error,
      });
    }
    throw error;
  });
  if (!contains(root, real)) throw outside;
  return real;
}

function contains(root: string, path: string): boolean {
  const below = relative(root, path);
  return below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below);
}
