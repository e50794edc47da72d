import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { changesOf, changesOutput, changesText } from './diff.ts';
import { branchOf, hashOf, headOf, pathInput, type Repository, repositoryInput } from './repository.ts';
import { refuseUnderway, stage } from './stage.ts';
import { USUAL_BYTES } from './text.ts';

/** In whose name commits are made; what is undefined comes from the repository's configuration. */
export interface Identity {
  name: string | undefined;
  email: string | undefined;
}

export const commitInput = z.strictObject({
  repository: repositoryInput,
  message: z
    .string()
    .min(1)
    .max(64 * 1024)
    .refine((text) => text.trim() !== '' && !text.includes('\0'), 'must hold words and no NUL character')
    .describe('A first line that says what the change is; if need be an empty line, and why.'),
  paths: z
    .array(pathInput)
    .max(1000)
    .default([])
    .describe('Commit exactly these files and folders, new files too, and nothing else that is staged.'),
  all: z.boolean().default(false).describe('Commit all changes of files that are tracked already.'),
  dryRun: z.boolean().default(false).describe('Change nothing; answer what would be committed.'),
});

export const commitOutput = z.object({
  repository: z.string(),
  commit: z.string().optional().describe('Its hash; left out for a dry run.'),
  branch: z.string().optional().describe('Left out when no branch is checked out.'),
  parent: z.string().optional().describe('Left out for the first commit.'),
  subject: z.string(),
  dryRun: z.boolean(),
  ...changesOutput,
});

/**
 * Commits what is staged, or the changes of the paths that are named. It is made of git's single steps, none of which
 * runs a hook, an editor or a signer, or writes configuration; the branch moves only if nobody moved it meanwhile.
 */
export async function commit(
  repository: Repository,
  identity: Identity,
  args: z.output<typeof commitInput>,
): Promise<z.output<typeof commitOutput>> {
  if (args.all && args.paths.length > 0) throw new Error('Give "paths" or "all", not both.');
  const env = args.dryRun ? {} : identityEnvironment(repository, identity);
  await refuseUnderway(repository);
  const scratch = await mkdtemp(join(tmpdir(), 'commit-'));
  try {
    const head = await headOf(repository);
    const before =
      (head === undefined ? undefined : await hashOf(repository, `${head}^{tree}`)) ??
      (await emptyTree(repository));
    const staged = await stage(repository, scratch, head, args);
    if (staged.tree === before) throw nothing(args);
    const compared = { paths: [], contextLines: 3, maxBytes: USUAL_BYTES };
    const changes = await changesOf(
      repository,
      ['diff-tree', '-r', before, staged.tree],
      compared,
      staged.env,
    );
    const message = `${args.message.replaceAll('\r\n', '\n').trim()}\n`;
    const subject = message.slice(0, message.indexOf('\n'));
    const branch = await branchOf(repository);
    const about = {
      repository: repository.path,
      ...(branch === undefined ? {} : { branch }),
      ...(head === undefined ? {} : { parent: head }),
      subject,
      ...changes,
    };
    if (args.dryRun) return { ...about, dryRun: true };
    const parents = head === undefined ? [] : ['-p', head];
    const { stdout } = await repository.git(
      ['commit-tree', '--no-gpg-sign', staged.tree, ...parents, '-F', '-'],
      { input: message, env },
    );
    const hash = stdout.toString().trim();
    // The old value: whoever moved the branch meanwhile wins.
    const old = head ?? '0'.repeat(hash.length);
    await repository.git(['update-ref', '-m', `commit: ${subject}`, 'HEAD', hash, old], { env });
    return { ...about, commit: hash, dryRun: false };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function emptyTree(repository: Repository): Promise<string> {
  const { stdout } = await repository.git(['hash-object', '-t', 'tree', '--stdin'], { input: '' });
  return stdout.toString().trim();
}

function nothing({ all, paths }: { all: boolean; paths: readonly string[] }): Error {
  const hint = all || paths.length > 0 ? '' : ' Name what to commit in "paths", or give all: true.';
  return new Error(`There is nothing to commit.${hint} The tool "status" shows what has changed.`);
}

function identityEnvironment(
  { user }: Repository,
  { name = user.name, email = user.email }: Identity,
): Record<string, string> {
  if (name === undefined || email === undefined)
    throw new Error(
      'Nobody said in whose name to commit. The settings authorName and authorEmail of this skill say it, or user.name and user.email in the configuration of the repository.',
    );
  return {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
  };
}

export function commitMadeText(made: z.output<typeof commitOutput>): string {
  if (made.commit === undefined) return `Would commit "${made.subject}":\n${changesText(made)}`;
  const files = made.files.map(({ path, added, deleted }) =>
    added === undefined ? `  ${path} (binary)` : `  ${path} (+${added} -${deleted ?? 0})`,
  );
  const where = made.branch === undefined ? '' : ` to ${made.branch}`;
  return `Committed ${made.commit.slice(0, 12)}${where}: ${made.subject}\n${files.join('\n')}`;
}
