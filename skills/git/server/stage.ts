import { copyFile, lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Repository } from './repository.ts';
import { type Entry, readStatus } from './status.ts';
import { pieces } from './text.ts';

/** What is to be committed beside, or instead of, what is staged already. */
export interface Wanted {
  paths: readonly string[];
  all: boolean;
  dryRun: boolean;
}

/** A tree that can be committed, and the environment in which its objects are found. */
export interface Staged {
  tree: string;
  env: Readonly<Record<string, string>>;
}

const STATUS_BYTES = 8 * 1024 * 1024;
const MOST_NAMED = 5;

/**
 * Stages what is wanted and writes the tree of it. Named paths are committed by themselves, through an index of their
 * own; a dry run keeps index and objects in the scratch folder and leaves the repository as it was.
 */
export async function stage(
  repository: Repository,
  scratch: string,
  head: string | undefined,
  wanted: Wanted,
): Promise<Staged> {
  const { paths, all, dryRun } = wanted;
  const list = paths.length > 0 || all ? await pathsToStage(repository, wanted) : [];
  const env: Record<string, string> = dryRun ? await scratchObjects(repository, scratch) : {};
  if (!dryRun) await add(repository, list, {});
  if (paths.length > 0) {
    env['GIT_INDEX_FILE'] = join(scratch, 'index');
    await repository.git(['read-tree', ...(head === undefined ? ['--empty'] : [head])], { env });
    await add(repository, list, env);
  } else if (dryRun) {
    env['GIT_INDEX_FILE'] = join(scratch, 'index');
    const index = await gitPath(repository, 'index');
    if (await exists(index)) await copyFile(index, env['GIT_INDEX_FILE']);
    await add(repository, list, env);
  }
  const { stdout } = await repository.git(['write-tree'], { env });
  return { tree: stdout.toString().trim(), env };
}

async function scratchObjects(repository: Repository, scratch: string): Promise<Record<string, string>> {
  const own = await gitPath(repository, 'objects');
  const fresh = join(scratch, 'objects');
  await mkdir(fresh);
  return { GIT_OBJECT_DIRECTORY: fresh, GIT_ALTERNATE_OBJECT_DIRECTORIES: own };
}

async function add(
  repository: Repository,
  paths: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  if (paths.length === 0) return;
  const input = paths.map((path) => `${path}\0`).join('');
  await repository.git(['add', '-A', '--pathspec-from-file=-', '--pathspec-file-nul'], { input, env });
}

/** @throws Error for a path without a change, and for what only a person should commit. */
async function pathsToStage(repository: Repository, { paths, all }: Wanted): Promise<string[]> {
  const { stdout, truncated } = await repository.git(
    ['status', '--porcelain=v2', '-z', '--untracked-files=all', '--ignore-submodules=dirty'],
    { maxBytes: STATUS_BYTES },
  );
  if (truncated) throw new Error('Too much has changed to commit it at once. Commit it by hand.');
  const { entries } = readStatus(pieces(stdout), repository.path);
  const folders = paths.map((path) => path.replace(/^(?:\.\/)+/, '').replace(/\/+$/, '') || '.');
  const named = (path: string | undefined, folder: string) =>
    path !== undefined && (folder === '.' || path === folder || path.startsWith(`${folder}/`));
  const unchanged = folders.filter(
    (folder) => !entries.some(({ path, from }) => named(path, folder) || named(from, folder)),
  );
  if (unchanged.length > 0)
    throw new Error(`Nothing has changed at ${few(unchanged)}. Ignored files are not committed either.`);
  const chosen = all
    ? entries.filter(({ unstaged, conflict }) => unstaged !== undefined || conflict)
    : entries.filter(({ path, from }) =>
        folders.some((folder) => named(path, folder) || named(from, folder)),
      );
  refuseUnfit(chosen);
  const list = chosen.flatMap(({ path, from }) => (from === undefined ? [path] : [path, from]));
  await refuseFiltered(repository, list);
  return list;
}

function refuseUnfit(entries: readonly Entry[]): void {
  const conflicts = entries.filter(({ conflict }) => conflict).map(({ path }) => path);
  if (conflicts.length > 0)
    throw new Error(`There are conflicts in ${few(conflicts)}. Solve them by hand first.`);
  const repositories = entries.filter(({ path }) => path.endsWith('/')).map(({ path }) => path);
  if (repositories.length > 0) throw new Error(`${few(repositories)} is a repository of its own.`);
}

/**
 * Files that are kept in another form, such as those of Git LFS, cannot be staged here: the filter that makes it is a
 * program, and none is run.
 */
async function refuseFiltered(repository: Repository, paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  const input = paths.map((path) => `${path}\0`).join('');
  const { stdout } = await repository.git(['check-attr', '-z', '--stdin', 'filter'], { input });
  const answers = pieces(stdout);
  const filtered = paths.flatMap((_path, at) => {
    const [path = '', , value = ''] = answers.slice(at * 3, at * 3 + 3);
    return value === 'unspecified' || value === 'unset' ? [] : [path];
  });
  if (filtered.length > 0)
    throw new Error(
      `${few(filtered)}: kept in the repository through a filter, which is not run here. Commit it by hand.`,
    );
}

function few(paths: readonly string[]): string {
  const shown = paths.slice(0, MOST_NAMED).map((path) => `"${path}"`);
  return `${shown.join(', ')}${paths.length > MOST_NAMED ? ` and ${paths.length - MOST_NAMED} more` : ''}`;
}

/** Where git keeps a file of this name for the repository. */
async function gitPath(repository: Repository, name: string): Promise<string> {
  const { stdout } = await repository.git(['rev-parse', '--git-path', name]);
  return stdout.toString().replace(/\n$/, '');
}

/** What stands in the way of a plain commit, by the file that git keeps meanwhile. */
const UNDERWAY = {
  MERGE_HEAD: 'a merge',
  CHERRY_PICK_HEAD: 'a cherry-pick',
  REVERT_HEAD: 'a revert',
  'rebase-merge': 'a rebase',
  'rebase-apply': 'a rebase',
} as const;

/** @throws Error while something goes on that a commit would get in the way of. */
export async function refuseUnderway(repository: Repository): Promise<void> {
  for (const [name, what] of Object.entries(UNDERWAY)) {
    if (await exists(await gitPath(repository, name)))
      throw new Error(`In this repository ${what} is under way. Finish it by hand first.`);
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
