import type { Entry, ZipFile } from 'yauzl';
import { ARCHIVE_LIMITS, type ArchiveFile } from '../protocol/archive.ts';
import { faultOfPath } from '../protocol/archive/paths.ts';
import { AppError } from '../protocol/errors.ts';
import { normalised, normalisedVersion } from './requirements-lock.ts';

/** What the name of a wheel says (PEP 427). */
export interface WheelName {
  file: string;
  name: string;
  version: string;
  python: readonly string[];
  abi: readonly string[];
  platform: readonly string[];
}

/** Where a package is to run. */
export interface Target {
  /** `3.11.2` */
  python: string;
  /** As Node names it: `x64`, `arm64`. */
  arch: string;
}

const MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
/** Unix file types in the upper half of a zip entry's attributes. */
const TYPE_MASK = 0o170000;
const TYPE_FILE = 0o100000;
const UNIX = 3;
/** Parts of a wheel that are meant for a machine and not for a folder of packages. */
const DROPPED = /^(?:scripts|headers)$/;

/** Reads the name of a wheel. @throws AppError `pack-failed`. */
export function readWheelName(file: string): WheelName {
  const parts = file.replace(/\.whl$/, '').split('-');
  const [name = '', version = ''] = parts;
  const [python = '', abi = '', platform = ''] = parts.slice(-3);
  if (!file.endsWith('.whl') || parts.length < 5 || parts.length > 6)
    throw wheelFault(file, 'does not have the name of a wheel');
  return {
    file,
    name: normalised(name),
    version: normalisedVersion(version),
    python: python.split('.'),
    abi: abi.split('.'),
    platform: platform.split('.'),
  };
}

/** Why a wheel does not run there, or undefined when it does (PEP 425, 600). */
export function misfit(wheel: WheelName, { python, arch }: Target): string | undefined {
  const [major = '', minor = ''] = python.split('.');
  const machine = MACHINES[arch] ?? arch;
  const platforms = [/^any$/, new RegExp(`^(?:many)?linux[0-9_]*_${machine}$`)];
  if (!wheel.platform.some((tag) => platforms.some((one) => one.test(tag))))
    return `is for ${wheel.platform.join(', ')}, and this is glibc Linux on ${machine}`;
  const stable = wheel.abi.includes('abi3');
  const fits = wheel.python.some((tag) => {
    const [, kind = '', of = '', least = ''] = /^(py|cp)(\d)(\d*)$/.exec(tag) ?? [];
    if (of !== major) return false;
    if (kind === 'cp' && !stable) return least === minor;
    return least === '' || Number(least) <= Number(minor);
  });
  return fits ? undefined : `is for ${wheel.python.join(', ')}, and this is Python ${major}.${minor}`;
}

/**
 * The files that a wheel puts into a folder of packages, in the folder `site`. Only plain files, under names that a
 * package may have; what is meant for other places of a machine is left out or refused.
 * @throws AppError `pack-failed`, `archive-too-large`.
 */
export async function readWheel(file: string, bytes: Buffer, site: string): Promise<ArchiveFile[]> {
  const { fromBufferPromise } = await import('yauzl');
  const files: ArchiveFile[] = [];
  let unpacked = 0;
  try {
    const zip = await fromBufferPromise(bytes, { lazyEntries: true, strictFileNames: true });
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith('/')) continue;
      unpacked += entry.uncompressedSize;
      if (
        entry.uncompressedSize > ARCHIVE_LIMITS.fileBytes ||
        unpacked > ARCHIVE_LIMITS.unpackedBytes ||
        files.length >= ARCHIVE_LIMITS.files
      )
        throw new AppError('archive-too-large', { detail: `${file} unpacks to more than a package holds.` });
      const place = placeOf(file, entry.fileName);
      if (place === undefined) continue;
      const path = `${site}/${place}`;
      const fault = faultOfPath(path);
      if (fault !== undefined)
        throw wheelFault(file, `holds ${JSON.stringify(place.slice(0, 120))}, which ${fault}`);
      files.push({ path, mode: modeOf(file, entry), bytes: await contentOf(zip, entry) });
    }
    return files;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw wheelFault(file, `cannot be read: ${(error as Error).message.slice(0, 200)}`, error);
  }
}

/** Where a file of a wheel goes; undefined for what is not packed: bytecode, and what only a machine has use for. */
function placeOf(file: string, path: string): string | undefined {
  if (path.split('/').includes('__pycache__')) return undefined;
  const [top = '', kind = '', ...rest] = path.split('/');
  if (!top.endsWith('.data')) return path;
  if (kind === 'purelib' || kind === 'platlib') return rest.join('/');
  if (DROPPED.test(kind)) return undefined;
  throw wheelFault(file, `puts files outside of a folder of packages (${path.slice(0, 120)})`);
}

function modeOf(file: string, entry: Entry): 0o644 | 0o755 {
  if (entry.versionMadeBy >> 8 !== UNIX) return 0o644;
  const mode = entry.externalFileAttributes >>> 16;
  const type = mode & TYPE_MASK;
  if (type !== 0 && type !== TYPE_FILE)
    throw wheelFault(file, `holds something that is no plain file (${entry.fileName.slice(0, 120)})`);
  return (mode & 0o100) === 0 ? 0o644 : 0o755;
}

/** The reader holds an entry to the size that it claims. */
async function contentOf(zip: ZipFile, entry: Entry): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export function wheelFault(file: string, problem: string, cause?: unknown): AppError {
  return new AppError('pack-failed', {
    detail: `The wheel ${file} ${problem}.`,
    hint: 'Take another wheel of this package, or do without it.',
    cause,
  });
}
