import { Header } from 'tar/header';
import { expandsTooMuch, GZIP_LIMITS, gunzip, gzip } from './archive/gzip.ts';
import { ARCHIVE_ROOT, PATH_LIMITS, pathGate, quoted } from './archive/paths.ts';
import { AppError } from './errors.ts';

/** The bounds of a package; an archive beyond one of them is refused by writer and reader alike. */
export const ARCHIVE_LIMITS = {
  ...GZIP_LIMITS,
  ...PATH_LIMITS,
  /** Bytes of all files together. */
  unpackedBytes: 100 * 1024 * 1024,
  /** Bytes of one file. */
  fileBytes: 50 * 1024 * 1024,
  files: 10_000,
};

/** One file of a package. */
export interface ArchiveFile {
  /** Relative, with `/`, without the archive's own root folder. */
  path: string;
  mode: 0o644 | 0o755;
  bytes: Uint8Array;
}

const BLOCK_BYTES = 512;
const ZEROS = Buffer.alloc(BLOCK_BYTES);
// npm's fixed time, which every tar program can show.
const MTIME = new Date('1985-10-26T08:15:00Z');
const MANIFEST_PATH = 'skill.json';

/**
 * The one archive of a set of files: POSIX ustar in gzip, sorted bytewise, no owner, no time, no links. The order
 * in which the files are handed in does not matter. Throws the `archive-…` code with which the reader would refuse.
 */
export function writeArchive(files: readonly ArchiveFile[]): Buffer {
  const admit = entryGate();
  const blocks: Uint8Array[] = [];
  for (const file of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const entry = { path: file.path, mode: file.mode, size: file.bytes.length };
    admit.entry(entry);
    blocks.push(headerOf(entry, Buffer.alloc(BLOCK_BYTES)), file.bytes, Buffer.alloc(paddingOf(entry.size)));
  }
  admit.end();
  blocks.push(Buffer.alloc(2 * BLOCK_BYTES));

  const tar = Buffer.concat(blocks);
  const packed = gzip(tar);
  if (packed.length > ARCHIVE_LIMITS.packedBytes) {
    throw tooLarge(`The archive is larger than ${megabytes(ARCHIVE_LIMITS.packedBytes)} when packed.`);
  }
  if (expandsTooMuch(packed.length, tar.length)) {
    throw tooLarge(`The archive unpacks to more than ${ARCHIVE_LIMITS.ratio} times its size.`);
  }
  return packed;
}

/**
 * Reads an archive as it streams in and accepts only what `writeArchive` emits, byte for byte of the unpacked
 * tar, so that no two programs can read it differently. It stops at the first fault with an `archive-…` code;
 * a file that was handed out before is worth nothing until the generator has ended without one.
 */
export async function* readArchive(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<ArchiveFile, void, void> {
  const admit = entryGate();
  const tar = tarBytes(gunzip(chunks));
  const scratch = Buffer.alloc(BLOCK_BYTES);
  try {
    for (;;) {
      const block = await tar.view(BLOCK_BYTES);
      if (isZero(block)) break;
      const entry = entryOf(block);
      admit.entry(entry);
      if (!headerOf(entry, scratch).equals(block))
        throw notCanonical(`The header of ${quoted(entry.path)} is not ours.`);
      const bytes = await tar.copy(entry.size);
      if (!isZero(await tar.view(paddingOf(entry.size)))) {
        throw notCanonical(`Something hides behind the end of ${quoted(entry.path)}.`);
      }
      yield { path: entry.path, mode: entry.mode, bytes };
    }
    if (!isZero(await tar.view(BLOCK_BYTES))) throw notCanonical('Something follows the first end mark.');
    if (!(await tar.atEnd())) throw notCanonical('Something follows the end of the archive.');
    admit.end();
  } finally {
    await tar.close();
  }
}

interface Entry {
  path: string;
  mode: 0o644 | 0o755;
  size: number;
}

/** Counts and checks the entries of one archive, the same way for writing and reading. */
function entryGate(): { entry(entry: Entry): void; end(): void } {
  const admitPath = pathGate();
  let files = 0;
  let unpacked = 0;
  let hasManifest = false;
  return {
    entry({ path, mode, size }) {
      files += 1;
      unpacked += size;
      if (files > ARCHIVE_LIMITS.files) throw tooLarge(`There are more than ${ARCHIVE_LIMITS.files} files.`);
      admitPath(path);
      if (mode !== 0o644 && mode !== 0o755)
        throw entryRefused(`${quoted(path)} has the mode ${Number(mode).toString(8)}.`);
      if (size > ARCHIVE_LIMITS.fileBytes) {
        throw tooLarge(`${quoted(path)} is larger than ${megabytes(ARCHIVE_LIMITS.fileBytes)}.`);
      }
      if (unpacked > ARCHIVE_LIMITS.unpackedBytes) {
        throw tooLarge(`The files together are larger than ${megabytes(ARCHIVE_LIMITS.unpackedBytes)}.`);
      }
      if (path === MANIFEST_PATH) hasManifest = true;
    },
    end() {
      if (!hasManifest) throw new AppError('archive-incomplete', { detail: `There is no ${MANIFEST_PATH}.` });
    },
  };
}

/** Writes the header of an entry into the block, whatever was there. */
function headerOf({ path, mode, size }: Entry, block: Buffer): Buffer {
  const header = new Header();
  header.path = ARCHIVE_ROOT + path;
  header.mode = mode;
  header.size = size;
  header.uid = 0;
  header.gid = 0;
  header.mtime = MTIME;
  header.type = 'File';
  if (header.encode(block.fill(0))) {
    throw new AppError('archive-path-refused', {
      detail: `The path ${quoted(path)} does not fit a ustar header.`,
    });
  }
  return block;
}

// POSIX.1-1988 ustar. Fields are only read here; that they are written as we write them is checked by writing
// the header anew and comparing all of it.
function entryOf(block: Buffer): Entry {
  if (block.toString('latin1', 257, 265) !== 'ustar\x0000')
    throw notCanonical('A header is not a ustar header.');
  const type = block.toString('latin1', 156, 157);
  if (type !== '0') throw entryRefused(`An entry is of type ${quoted(type)}; only plain files are allowed.`);

  const prefix = textOf(block, 345, 500);
  const path = (prefix === '' ? '' : `${prefix}/`) + textOf(block, 0, 100);
  if (!path.startsWith(ARCHIVE_ROOT)) {
    throw new AppError('archive-path-refused', {
      detail: `The path ${quoted(path)} is not below ${ARCHIVE_ROOT}.`,
    });
  }
  const mode = numberOf(block, 100, 108);
  return {
    path: path.slice(ARCHIVE_ROOT.length),
    mode: mode as Entry['mode'],
    size: numberOf(block, 124, 136),
  };
}

function textOf(block: Buffer, start: number, end: number): string {
  const nul = block.indexOf(0, start);
  return block.toString('latin1', start, nul < 0 || nul > end ? end : nul);
}

function numberOf(block: Buffer, start: number, end: number): number {
  const text = block.toString('latin1', start, end);
  if (!/^[0-7]+ ?\0$/.test(text)) throw notCanonical('A number in a header is not plain octal.');
  return Number.parseInt(text, 8);
}

function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(ZEROS.subarray(0, bytes.length));
}

interface TarBytes {
  /** Exactly so many bytes, valid until the next read; throws `archive-truncated` when there are fewer. */
  view(count: number): Promise<Buffer>;
  /** The same as a copy to keep. */
  copy(count: number): Promise<Buffer>;
  atEnd(): Promise<boolean>;
  close(): Promise<void>;
}

function tarBytes(source: AsyncGenerator<Buffer, void, void>): TarBytes {
  let held: Buffer = Buffer.alloc(0);
  const more = async () => {
    while (held.length === 0) {
      const next = await source.next();
      if (next.done) return false;
      held = next.value;
    }
    return true;
  };
  const copy = async (count: number) => {
    // The memory of a large file that never comes is reserved, but not touched.
    const bytes = Buffer.allocUnsafe(count);
    for (let filled = 0; filled < count;) {
      if (!(await more()))
        throw new AppError('archive-truncated', { detail: 'The archive ends in the middle.' });
      const copied = held.copy(bytes, filled);
      held = held.subarray(copied);
      filled += copied;
    }
    return bytes;
  };
  return {
    copy,
    async view(count) {
      if (held.length < count) return copy(count);
      const bytes = held.subarray(0, count);
      held = held.subarray(count);
      return bytes;
    },
    async atEnd() {
      return !(await more());
    },
    async close() {
      await source.return();
    },
  };
}

function notCanonical(detail: string): AppError {
  return new AppError('archive-not-canonical', { detail });
}

function entryRefused(detail: string): AppError {
  return new AppError('archive-entry-refused', { detail });
}

function tooLarge(detail: string): AppError {
  return new AppError('archive-too-large', { detail });
}

function megabytes(bytes: number): string {
  return `${bytes / 1024 / 1024} MB`;
}
