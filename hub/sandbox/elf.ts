import { open, type FileHandle } from 'node:fs/promises';

/** What the dynamic loader would read of a program or library (64-bit, little-endian). */
export interface ElfFile {
  machine: number;
  /** The loader that the program names; undefined for a library or a static program. */
  interpreter: string | undefined;
  /** Libraries by name, as `libc.so.6`. */
  needed: readonly string[];
  /** Folders to look in first; may hold `$ORIGIN`. */
  runPath: readonly string[];
}

/** Processors that skills run on, by their number in ELF files, as Node names them. */
const PROCESSORS: Readonly<Record<number, string>> = { 62: 'x64', 183: 'arm64' };

/** The processor that a file is for; undefined for one that no sandbox runs on. */
export function processorOf({ machine }: ElfFile): string | undefined {
  return PROCESSORS[machine];
}

const MAX_HEADERS = 128;
const MAX_TABLE_BYTES = 1024 * 1024;
const MAX_NAME_BYTES = 4096;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_RPATH = 15;
const DT_RUNPATH = 29;

/**
 * Reads headers only, and never runs the file or a loader on it: what a package brings may be hostile.
 * Undefined for anything that is not a well-formed 64-bit little-endian ELF file.
 */
export async function readElf(path: string): Promise<ElfFile | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    return await parse(file);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  } finally {
    await file.close();
  }
}

async function parse(file: FileHandle): Promise<ElfFile | undefined> {
  const header = await bytesAt(file, 0, 64);
  if (header.toString('latin1', 0, 4) !== '\x7fELF' || header[4] !== 2 || header[5] !== 1) return undefined;
  const count = Math.min(header.readUInt16LE(56), MAX_HEADERS);
  const table = await bytesAt(file, Number(header.readBigUInt64LE(32)), count * 56);
  const segments = Array.from({ length: count }, (_, index) => ({
    type: table.readUInt32LE(index * 56),
    offset: Number(table.readBigUInt64LE(index * 56 + 8)),
    address: Number(table.readBigUInt64LE(index * 56 + 16)),
    size: Number(table.readBigUInt64LE(index * 56 + 32)),
  }));

  const interp = segments.find(({ type }) => type === PT_INTERP);
  const interpreter = interp && (await nameAt(file, interp.offset));
  const machine = header.readUInt16LE(18);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (dynamic === undefined) return { machine, interpreter, needed: [], runPath: [] };

  const raw = await bytesAt(file, dynamic.offset, dynamic.size);
  const tags = Array.from({ length: Math.floor(raw.length / 16) }, (_, index) => ({
    tag: Number(raw.readBigInt64LE(index * 16)),
    value: Number(raw.readBigUInt64LE(index * 16 + 8)),
  }));
  const valueOf = (wanted: number) => tags.find(({ tag }) => tag === wanted)?.value ?? 0;
  const address = valueOf(DT_STRTAB);
  const home = segments.find(
    (one) => one.type === PT_LOAD && one.address <= address && address < one.address + one.size,
  );
  if (home === undefined) return { machine, interpreter, needed: [], runPath: [] };
  const start = home.offset + address - home.address;
  const textsOf = (...wanted: number[]) =>
    Promise.all(
      tags.filter(({ tag }) => wanted.includes(tag)).map(({ value }) => nameAt(file, start + value)),
    );
  return {
    machine,
    interpreter,
    needed: await textsOf(DT_NEEDED),
    runPath: (await textsOf(DT_RPATH, DT_RUNPATH)).flatMap((text) => text.split(':')),
  };
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  if (length > MAX_TABLE_BYTES) throw new RangeError('a table of this ELF file is too large');
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) throw new RangeError('the ELF file is cut short');
  return buffer;
}

/** The table of names may be as large as it likes: only the names that count are read. */
async function nameAt(file: FileHandle, position: number): Promise<string> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_NAME_BYTES), 0, MAX_NAME_BYTES, position);
  const end = buffer.subarray(0, bytesRead).indexOf(0);
  if (end === -1) throw new RangeError('a name in the ELF file has no end');
  return buffer.toString('utf8', 0, end);
}
