import { createHash, randomUUID } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArchiveFile } from '../protocol/archive.ts';
import { AppError } from '../protocol/errors.ts';
import { type HubPaths, packageDirOf } from './paths.ts';

/** Path in the package → sha256 hex of its bytes. */
export type FileDigests = Readonly<Record<string, string>>;

/**
 * Unpacks a verified archive into the folder of its digest, all of it or nothing; what lies there and was changed is
 * replaced. Files are 0644 or 0755 and
 * folders 0755, because the account that skills run as has to read them; the home around them stays 0700.
 * @throws AppError `statement-mismatch` when a file is not the one that was signed.
 */
export async function unpack(
  paths: HubPaths,
  digest: string,
  files: AsyncIterable<ArchiveFile>,
  signed: FileDigests,
): Promise<string> {
  const target = packageDirOf(paths.packages, digest);
  const staging = join(paths.staging, randomUUID());
  await mkdir(staging, { recursive: true, mode: 0o755 });
  try {
    if (await isFolder(target)) {
      if (await isAsSigned(target, signed)) return target;
      // Somebody changed it, and no call got through to it; the archive in hand is the one that was signed.
      await rename(target, `${staging}-changed`);
    }
    const seen = new Set<string>();
    for await (const file of files) {
      if (signed[file.path] !== sha256Hex(file.bytes)) {
        throw new AppError('statement-mismatch', {
          detail: `${file.path} in the archive is not the file that was signed.`,
          hint: 'Do not install this package; tell its author and the registry.',
        });
      }
      seen.add(file.path);
      await writeFileDurably(join(staging, file.path), file);
    }
    const missing = Object.keys(signed).find((path) => !seen.has(path));
    if (missing !== undefined) {
      throw new AppError('statement-mismatch', { detail: `The archive lacks ${missing}, which was signed.` });
    }
    await chmod(staging, 0o755);
    await mkdir(paths.packages, { recursive: true, mode: 0o700 });
    await rename(staging, target).catch(async (error: NodeJS.ErrnoException) => {
      // Another install of the same bytes was quicker.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      await checkFiles(target, signed);
    });
    return target;
  } finally {
    await rm(staging, { recursive: true, force: true });
    await rm(`${staging}-changed`, { recursive: true, force: true });
  }
}

async function isAsSigned(folder: string, signed: FileDigests): Promise<boolean> {
  return checkFiles(folder, signed).then(
    () => true,
    (error: unknown) => {
      if (error instanceof AppError) return false;
      throw error;
    },
  );
}

/**
 * Checks that a folder holds exactly the signed files, byte for byte.
 * @throws AppError `files-changed` naming the first difference.
 */
export async function checkFiles(folder: string, signed: FileDigests): Promise<void> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => {
    throw packageChanged('its folder is gone');
  });
  const seen = new Set<string>();
  for (const entry of found) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const inPackage = path.slice(folder.length + 1);
    const expected = signed[inPackage];
    if (!entry.isFile() || expected === undefined) throw packageChanged(`${inPackage} does not belong to it`);
    if (sha256Hex(await readFile(path)) !== expected) throw packageChanged(`${inPackage} has other bytes`);
    seen.add(inPackage);
  }
  const missing = Object.keys(signed).find((path) => !seen.has(path));
  if (missing !== undefined) throw packageChanged(`${missing} is missing`);
}

/** What is told of a package that is not as it was signed any more. */
export function packageChanged(what: string): AppError {
  return new AppError('files-changed', {
    detail: `The installed package has been changed: ${what}.`,
    hint: 'Remove the skill and install it again; then find out who wrote to the hub’s home.',
  });
}

/** Removes what no installed or proposed version needs; run at start and after a decision. */
export async function sweepPackages(paths: HubPaths, neededDigests: ReadonlySet<string>): Promise<void> {
  const needed = new Set([...neededDigests].map((digest) => packageDirOf(paths.packages, digest)));
  await mkdir(paths.packages, { recursive: true, mode: 0o700 });
  for (const name of await readdir(paths.packages)) {
    const folder = join(paths.packages, name);
    if (!needed.has(folder)) await rm(folder, { recursive: true, force: true });
  }
}

async function writeFileDurably(path: string, file: ArchiveFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const handle = await open(path, 'wx', file.mode);
  try {
    await handle.writeFile(file.bytes);
    await handle.chmod(file.mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** As the signed statement writes digests of files. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
