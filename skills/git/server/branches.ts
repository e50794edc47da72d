import * as z from 'zod';
import { branchOf, commitAt, headOf, type Repository, repositoryInput, revisionInput } from './repository.ts';
import { pieces, short } from './text.ts';

const USUAL_BRANCHES = 100;
const MOST_BRANCHES = 1000;
const MOST_SUBJECT_CHARS = 300;

export const branchesInput = z.strictObject({
  repository: repositoryInput,
  remote: z.boolean().default(false).describe('Also what is known of branches elsewhere.'),
  limit: z.int().min(1).max(MOST_BRANCHES).default(USUAL_BRANCHES),
});

export const branchesOutput = z.object({
  repository: z.string(),
  current: z.string().optional(),
  branches: z.array(
    z.object({
      name: z.string(),
      remote: z.boolean(),
      commit: z.string(),
      date: z.string(),
      subject: z.string(),
      upstream: z.string().optional(),
    }),
  ),
  truncated: z.boolean(),
});

const FIELDS = ['refname', 'objectname', 'committerdate:iso-strict', 'upstream:short', 'contents:subject'];

/** Branches, the one that changed last first. */
export async function branches(
  repository: Repository,
  { remote, limit }: z.output<typeof branchesInput>,
): Promise<z.output<typeof branchesOutput>> {
  const { stdout } = await repository.git([
    'for-each-ref',
    ...['--sort=-committerdate', `--count=${limit + 1}`],
    `--format=${FIELDS.map((field) => `%(${field})%00`).join('')}`,
    ...['refs/heads', ...(remote ? ['refs/remotes'] : [])],
  ]);
  const parts = pieces(stdout);
  const found: z.output<typeof branchesOutput>['branches'] = [];
  for (let at = 0; at + FIELDS.length <= parts.length; at += FIELDS.length) {
    const [ref = '', commit = '', date = '', upstream = '', subject = ''] = parts.slice(at);
    const name = ref.trim().replace(/^refs\/(?:heads|remotes)\//, '');
    found.push({
      name,
      remote: ref.trim().startsWith('refs/remotes/'),
      commit,
      date,
      subject: short(subject, MOST_SUBJECT_CHARS),
      ...(upstream === '' ? {} : { upstream }),
    });
  }
  const current = await branchOf(repository);
  return {
    repository: repository.path,
    ...(current === undefined ? {} : { current }),
    branches: found.slice(0, limit),
    truncated: found.length > limit,
  };
}

export function branchesText({ current, branches: all, truncated }: z.output<typeof branchesOutput>): string {
  if (all.length === 0) return 'There is no branch with a commit yet.';
  const lines = all.map(
    ({ name, commit, date, subject }) =>
      `${name === current ? '* ' : '  '}${name} ${commit.slice(0, 12)} ${date.slice(0, 10)} ${subject}`,
  );
  return [...lines, ...(truncated ? ['… there are more; raise the limit.'] : [])].join('\n');
}

export const branchInput = z.strictObject({
  repository: repositoryInput,
  name: z.string().min(1).max(200).describe('Of the new branch.'),
  at: revisionInput.default('HEAD').describe('The commit that it begins at.'),
  switch: z
    .boolean()
    .default(false)
    .describe(
      'Commit to it from now on. Only for a branch at the commit that is checked out: no file changes.',
    ),
});

export const branchOutput = z.object({
  repository: z.string(),
  name: z.string(),
  commit: z.string(),
  switched: z.boolean(),
});

/** Makes a branch; never moves one that is there, and never changes a file. */
export async function branch(
  repository: Repository,
  args: z.output<typeof branchInput>,
): Promise<z.output<typeof branchOutput>> {
  const ref = `refs/heads/${args.name}`;
  const { code } = await repository.attempt(['check-ref-format', ref]);
  if (code !== 0 || args.name.startsWith('-') || args.name.includes('\0'))
    throw new Error(`"${args.name}" cannot be the name of a branch.`);
  const commit = await commitAt(repository, args.at);
  if (args.switch && commit !== (await headOf(repository)))
    throw new Error(
      'Only a branch at the commit that is checked out can be switched to here, for files would change.',
    );
  // The old value of zeros means that there must be none.
  await repository.git([
    'update-ref',
    '-m',
    `branch: Created from ${args.at}`,
    ref,
    commit,
    '0'.repeat(commit.length),
  ]);
  if (args.switch)
    await repository.git(['symbolic-ref', '-m', `checkout: moving to ${args.name}`, 'HEAD', ref]);
  return { repository: repository.path, name: args.name, commit, switched: args.switch };
}

export function branchText({ name, commit, switched }: z.output<typeof branchOutput>): string {
  return `Made the branch ${name} at ${commit.slice(0, 12)}${switched ? ' and switched to it' : ''}.`;
}
