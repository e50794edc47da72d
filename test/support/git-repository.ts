import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const ENV = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_AUTHOR_DATE: '2026-01-31T10:00:00+0100',
  GIT_COMMITTER_DATE: '2026-01-31T10:00:00+0100',
};

/** Git as a person runs it in a folder, obeying the repository's configuration; answers with what it printed. */
export function gitIn(folder: string) {
  return async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)('git', args, { cwd: folder, env: ENV });
    return stdout.trimEnd();
  };
}

/** Writes files into a folder. */
export async function put(folder: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** A repository with one commit of these files, on the branch main. */
export async function repositoryOf(folder: string, files: Readonly<Record<string, string | Buffer>>) {
  await mkdir(folder, { recursive: true });
  const git = gitIn(folder);
  await git('init', '-q', '-b', 'main');
  await put(folder, files);
  await git('add', '-A');
  await git('commit', '-q', '-m', 'first commit\n\nwith a body');
  return git;
}
