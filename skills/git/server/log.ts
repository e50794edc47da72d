import * as z from 'zod';
import {
  commitAt,
  headOf,
  pathInput,
  type Repository,
  repositoryInput,
  revisionInput,
} from './repository.ts';
import { pieces, short } from './text.ts';

const USUAL_COMMITS = 20;
const MOST_COMMITS = 200;
const MOST_BODY_CHARS = 4000;
const OUTPUT_BYTES = 4 * 1024 * 1024;

const day = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?)?$/,
    'is not a date such as 2026-01-31',
  );
const words = z
  .string()
  .min(1)
  .max(200)
  .refine((text) => !text.includes('\0'), 'holds a NUL character');

export const logInput = z.strictObject({
  repository: repositoryInput,
  revision: revisionInput.default('HEAD').describe('Where to begin: a branch, tag or commit.'),
  paths: z.array(pathInput).max(100).default([]).describe('Only commits that changed these.'),
  author: words.optional().describe('Only commits whose author (name or address) has this text.'),
  message: words.optional().describe('Only commits whose message has this text, in any case.'),
  since: day.optional(),
  until: day.optional(),
  skip: z.int().min(0).max(1_000_000).default(0),
  limit: z.int().min(1).max(MOST_COMMITS).default(USUAL_COMMITS),
});

export const commitShape = z.object({
  commit: z.string(),
  parents: z.array(z.string()),
  author: z.string(),
  email: z.string(),
  date: z.string().describe('When it was written, with the zone of its author.'),
  subject: z.string(),
  body: z.string(),
});

export const logOutput = z.object({
  repository: z.string(),
  commits: z.array(commitShape),
  more: z.boolean().describe('There are further commits: go on with skip.'),
});

export type Commit = z.output<typeof commitShape>;

/** Fields of a commit, each ended by NUL, which no message can hold. */
const FIELDS = ['%H', '%P', '%an', '%ae', '%aI', '%s', '%b'];
export const COMMIT_FORMAT = `--format=tformat:${FIELDS.map((field) => `${field}%x00`).join('')}`;

/** Commits, from the newest back. */
export async function log(
  repository: Repository,
  args: z.output<typeof logInput>,
): Promise<z.output<typeof logOutput>> {
  if (args.revision === 'HEAD' && (await headOf(repository)) === undefined)
    return { repository: repository.path, commits: [], more: false };
  const start = await commitAt(repository, args.revision);
  const filters = [
    ...(args.author === undefined ? [] : [`--author=${args.author}`]),
    ...(args.message === undefined ? [] : [`--grep=${args.message}`]),
    ...(args.since === undefined ? [] : [`--since=${args.since}`]),
    ...(args.until === undefined ? [] : [`--until=${args.until}`]),
  ];
  const { stdout } = await repository.git(
    [
      'log',
      ...[
        '--no-color',
        '--no-show-signature',
        '--no-notes',
        '--no-patch',
        '--fixed-strings',
        '-i',
        COMMIT_FORMAT,
      ],
      ...[`--skip=${args.skip}`, `--max-count=${args.limit + 1}`, ...filters, start, '--', ...args.paths],
    ],
    { maxBytes: OUTPUT_BYTES },
  );
  const commits = readCommits(stdout);
  return {
    repository: repository.path,
    commits: commits.slice(0, args.limit),
    more: commits.length > args.limit,
  };
}

/** Reads what `COMMIT_FORMAT` writes; a commit that was cut short is left out. */
export function readCommits(bytes: Buffer): Commit[] {
  const parts = pieces(bytes);
  const commits: Commit[] = [];
  for (let at = 0; at + FIELDS.length <= parts.length; at += FIELDS.length) {
    const [commit = '', parents = '', author = '', email = '', date = '', subject = '', body = ''] =
      parts.slice(at);
    commits.push({
      // Commits are told apart by a line end.
      commit: commit.trim(),
      parents: parents.split(' ').filter(Boolean),
      author,
      email,
      date,
      subject: short(subject, MOST_BODY_CHARS),
      body: short(body.trimEnd(), MOST_BODY_CHARS),
    });
  }
  return commits;
}

export function commitText({ commit, author, email, date, subject, body }: Commit): string {
  const head = `${commit.slice(0, 12)} ${date} ${author} <${email}>\n    ${subject}`;
  return body === '' ? head : `${head}\n\n${body.replaceAll(/^/gm, '    ')}`;
}

export function logText({ commits, more }: z.output<typeof logOutput>): string {
  if (commits.length === 0) return 'There is no such commit.';
  return [...commits.map(commitText), ...(more ? ['… there are more; go on with skip.'] : [])].join('\n');
}
