import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ARCHIVE_LIMITS, type ArchiveFile } from '../protocol/archive.ts';
import { AppError } from '../protocol/errors.ts';

/** What a package is made from: the project's own files, by their path in the package. */
export type PackageFiles = Map<string, ArchiveFile>;

const MANIFEST = 'skill.json';

/** A file that has to be among those collected. @throws AppError `pack-failed`. */
export function fileOf(files: ReadonlyMap<string, ArchiveFile>, path: string): ArchiveFile {
  const file = files.get(path);
  if (file === undefined) throw missing(path, 'The package needs it.');
  return file;
}

/**
 * Adds a file, or a folder with all below it that `wanted` lets in. Links are refused: what they lead to is not the
 * project's own.
 * @throws AppError `pack-failed`, `archive-too-large`.
 */
export async function addTree(
  files: PackageFiles,
  project: string,
  path: string,
  wanted: (path: string) => boolean = () => true,
): Promise<void> {
  const clean = path.replace(/^\.\//, '').replace(/\/+$/, '');
  await refuseLinksAbove(project, clean);
  const found = await lstat(join(project, clean)).catch(() => undefined);
  if (found === undefined) throw missing(clean, `${MANIFEST} lists it in "files".`);
  if (!found.isDirectory()) return wanted(clean) ? addFile(files, project, clean) : undefined;
  const names = (await readdir(join(project, clean))).toSorted();
  for (const name of names)
    await addTree(files, project, clean === '' || clean === '.' ? name : `${clean}/${name}`, wanted);
}

/** Adds one file as it is. @throws AppError as `addTree`. */
export async function addFile(files: PackageFiles, project: string, path: string): Promise<void> {
  await refuseUnlessFile(project, path, path);
  const host = join(project, path);
  const { mode, size } = await lstat(host);
  if (size > ARCHIVE_LIMITS.fileBytes || files.size >= ARCHIVE_LIMITS.files) {
    throw new AppError('archive-too-large', {
      detail: `${path} is too large, or there are too many files.`,
      hint: `A package holds at most ${ARCHIVE_LIMITS.files} files of ${ARCHIVE_LIMITS.fileBytes / 1024 / 1024} MB each.`,
    });
  }
  files.set(path, { path, mode: (mode & 0o100) === 0 ? 0o644 : 0o755, bytes: await readFile(host) });
}

/** @throws AppError `pack-failed` for what is not there, or no plain file; `said` names it to the author. */
export async function refuseUnlessFile(project: string, path: string, said: string): Promise<void> {
  await refuseLinksAbove(project, path);
  const found = await lstat(join(project, path)).catch(() => undefined);
  if (found === undefined)
    throw missing(path, said === path ? 'The package needs it.' : `${MANIFEST} names it in ${said}.`);
  if (found.isFile()) return;
  throw new AppError('pack-failed', {
    detail: `${path} is neither a file nor a folder.`,
    hint: 'A package holds plain files only. Take it out of "files".',
  });
}

async function refuseLinksAbove(project: string, path: string): Promise<void> {
  const parts = path.split('/');
  for (const [at] of parts.entries()) {
    const part = parts.slice(0, at + 1).join('/');
    const found = await lstat(join(project, part)).catch(() => undefined);
    if (parts[at] === '..' || found?.isSymbolicLink() === true) {
      throw new AppError('pack-failed', {
        detail: parts[at] === '..' ? `${path} leaves the project.` : `${part} is a symbolic link.`,
        hint: 'A package holds plain files only. Put the file itself in its place.',
      });
    }
  }
}

/** Whether there is anything of that name, a dead link too. */
export async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

function missing(path: string, why: string): AppError {
  return new AppError('pack-failed', {
    detail: `There is no file ${path} in the project. ${why}`,
    hint: `Write it, or correct ${MANIFEST}.`,
  });
}
