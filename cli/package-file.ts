import { readFile, stat, writeFile } from 'node:fs/promises';
import { ARCHIVE_LIMITS } from '../protocol/archive.ts';
import { AppError } from '../protocol/errors.ts';

/** Beside an archive lies its signature, under the archive's name and this. */
export const BUNDLE_SUFFIX = '.sigstore.json';

const BUNDLE_MAX_BYTES = 8 * 1024 * 1024;

/** Whether the path is a folder with sources rather than a packed archive. */
export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

/**
 * The bytes of an archive, at most as many as an archive may have.
 * @throws AppError `usage-invalid` when there is no such file, `archive-too-large`.
 */
export async function readArchiveFile(path: string): Promise<Buffer> {
  return readBounded(path, ARCHIVE_LIMITS.packedBytes, 'Name an archive that berth pack wrote.');
}

/** A signature file as JSON. */
export async function readBundleFile(path: string): Promise<unknown> {
  const text = (
    await readBounded(
      path,
      BUNDLE_MAX_BYTES,
      'Name a signature with --bundle, or make one: berth sign <archive>',
    )
  ).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError('bundle-invalid', { detail: `${path} is not JSON.`, cause: error });
  }
}

/** The signature beside an archive; undefined when there is none. */
export async function bundleBeside(archivePath: string): Promise<unknown> {
  const path = archivePath + BUNDLE_SUFFIX;
  return (await stat(path).catch(() => undefined)) === undefined ? undefined : readBundleFile(path);
}

async function readBounded(path: string, maxBytes: number, hint: string): Promise<Buffer> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) {
    throw new AppError('usage-invalid', { detail: `There is no file ${path}.`, hint });
  }
  if (found.size > maxBytes) {
    throw new AppError('archive-too-large', { detail: `${path} is larger than ${maxBytes} bytes.` });
  }
  return readFile(path);
}

/**
 * Writes a file that must not be there yet, unless it may be replaced.
 * @throws AppError `usage-invalid` when something is there or its folder is not.
 */
export async function writeResult(
  path: string,
  bytes: Uint8Array | string,
  { replace = false } = {},
): Promise<void> {
  try {
    await writeFile(path, bytes, { flag: replace ? 'w' : 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && code !== 'ENOENT' && code !== 'EISDIR') throw error;
    throw new AppError('usage-invalid', {
      detail: code === 'EEXIST' ? `${path} exists already.` : `${path} cannot be written (${code}).`,
      hint:
        code === 'EEXIST' ? 'Choose another name, or give --force.' : 'Name a file in an existing folder.',
      cause: error,
    });
  }
}
