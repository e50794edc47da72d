import { lstat, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import * as z from 'zod';
import { gitEnvironment } from './environment.ts';
import { type Ran, runGit, type RunOptions } from './program.ts';

/** The repository that a call is about. */
export interface Repository {
  /** As callers name it, relative to the workspace. */
  path: string;
  /** Of its own configuration, where the identity of its user may stand. */
  user: { name: string | undefined; email: string | undefined };
  /** Runs a command in it; one that fails throws what git said. */
  git(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** The same, and answers whatever the exit code is. */
  attempt(args: readonly string[], options?: RunOptions): Promise<Ran>;
}

const MOST_PATH_BYTES = 4096;
const MOST_FILTERS = 100;
const CONFIG_BYTES = 1024 * 1024;
const FILTER_KEY = /^filter\.([^]+)\.(?:clean|smudge|process|required)$/;

export const repositoryInput = z
  .string()
  .max(MOST_PATH_BYTES)
  .default('.')
  .describe('Folder of the repository, relative to the workspace. Default: the workspace itself.');

/** A path in a repository, as callers write it. */
export const pathInput = z
  .string()
  .min(1)
  .max(MOST_PATH_BYTES)
  .refine(
    (path) => !isAbsolute(path) && !path.includes('\0') && !path.split('/').includes('..'),
    'must be relative to the root of the repository, without ".."',
  );

/** What names a commit. It is looked up first, and commands are given the hash that was found. */
export const revisionInput = z
  .string()
  .min(1)
  .max(256)
  // oxlint-disable-next-line no-control-regex
  .regex(/^[^-\u0000-\u001f\u007f][^\u0000-\u001f\u007f]*$/, 'is not the name of a revision');

/** Opens repositories in the folder this skill was started with; fails when the folder isn't there. */
export async function openWorkspace(folder: string, searchPath: string) {
  const workspace = await realpath(folder);
  return async function open(path: string, signal?: AbortSignal): Promise<Repository> {
    const root = await repositoryRoot(workspace, path);
    const config = await readConfig(root, searchPath, signal);
    const filters = filtersIn(config);
    const env = gitEnvironment({ root, path: searchPath, filters });
    const attempt = (args: readonly string[], options: RunOptions = {}) =>
      runGit(root, args, env, { signal, ...options });
    const inside = relative(workspace, root);
    return {
      path: inside === '' ? '.' : inside,
      user: { name: lastOf(config, 'user.name'), email: lastOf(config, 'user.email') },
      attempt,
      git: async (args, options) => succeeded(await attempt(args, options)),
    };
  };
}

/** Opens the repository at a path of the workspace. */
export type OpenRepository = Awaited<ReturnType<typeof openWorkspace>>;

async function repositoryRoot(workspace: string, path: string): Promise<string> {
  const outside = new Error(`"${path}" is outside the workspace. Use a path relative to its root.`);
  if (isAbsolute(path) || path.includes('\0')) throw outside;
  const root = await realpath(join(workspace, path)).catch(() => undefined);
  if (root === undefined) throw new Error(`There is no folder "${path}" in the workspace.`);
  if (root !== workspace && !root.startsWith(workspace + sep)) throw outside;
  if ((await lstat(join(root, '.git')).catch(() => undefined)) === undefined)
    throw new Error(
      `"${path}" is not the root of a Git repository. Name the folder that holds its .git in "repository".`,
    );
  return root;
}

type Config = readonly (readonly [key: string, value: string])[];

/** The repository's configuration as git reads it. Reading it runs nothing. */
async function readConfig(root: string, path: string, signal: AbortSignal | undefined): Promise<Config> {
  const env = gitEnvironment({ root, path, filters: [] });
  const own = Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith('GIT_CONFIG_COUNT')),
  );
  const { stdout, truncated } = succeeded(
    await runGit(root, ['config', '--null', '--list'], own, { signal, maxBytes: CONFIG_BYTES }),
  );
  if (truncated) throw new Error('The configuration of this repository is too large to be believed.');
  return stdout
    .toString()
    .split('\0')
    .filter(Boolean)
    .map((entry) => {
      const end = entry.indexOf('\n');
      return end === -1 ? [entry, ''] : [entry.slice(0, end), entry.slice(end + 1)];
    });
}

function filtersIn(config: Config): string[] {
  const names = config.flatMap(([key]) => FILTER_KEY.exec(key)?.[1] ?? []);
  const filters = [...new Set(names)];
  if (filters.length > MOST_FILTERS)
    throw new Error(`This repository configures more than ${MOST_FILTERS} filters; it is not opened.`);
  return filters;
}

function lastOf(config: Config, key: string): string | undefined {
  const [, value] = config.findLast(([name]) => name === key) ?? [];
  return value === '' ? undefined : value;
}

/** Git's own words for what went wrong, without the hints that follow. */
export function succeeded(ran: Ran): Ran {
  if (ran.code === 0) return ran;
  const said = ran.stderr
    .split('\n')
    .map((line) => line.replace(/^(?:fatal|error|warning): /, '').trim())
    .filter((line) => line !== '' && !line.startsWith('hint:'));
  throw new Error(`git refused: ${said.slice(0, 3).join(' ').slice(0, 500) || `exit code ${ran.code}`}`);
}

/** The hash of the commit that a revision names. */
export async function commitAt(repository: Repository, revision: string): Promise<string> {
  const hash = await hashOf(repository, `${revision}^{commit}`);
  if (hash !== undefined) return hash;
  throw new Error(
    `There is no commit "${revision}" in this repository. The tools "log" and "branches" show what there is.`,
  );
}

/** The commit that is checked out; undefined before the first. */
export async function headOf(repository: Repository): Promise<string | undefined> {
  return hashOf(repository, 'HEAD^{commit}');
}

/** The hash of the object that a revision names; undefined where there is none. */
export async function hashOf(repository: Repository, revision: string): Promise<string | undefined> {
  const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', revision];
  const { code, stdout } = await repository.attempt(args);
  const hash = stdout.toString().trim();
  return code === 0 && /^[0-9a-f]{40,64}$/.test(hash) ? hash : undefined;
}

/** The branch that is checked out; undefined when none is. */
export async function branchOf(repository: Repository): Promise<string | undefined> {
  const { code, stdout } = await repository.attempt(['symbolic-ref', '--quiet', '--short', 'HEAD']);
  return code === 0 ? stdout.toString().trim() : undefined;
}
