import * as z from 'zod';
import { type Repository, repositoryInput } from './repository.ts';
import { pieces } from './text.ts';

const USUAL_ENTRIES = 500;
const MOST_ENTRIES = 5000;
const OUTPUT_BYTES = 8 * 1024 * 1024;

export const statusInput = z.strictObject({
  repository: repositoryInput,
  limit: z.int().min(1).max(MOST_ENTRIES).default(USUAL_ENTRIES).describe('Most entries to answer.'),
});

const change = z.enum(['added', 'modified', 'deleted', 'renamed', 'copied', 'type-changed']);

const entry = z.object({
  path: z.string(),
  staged: change.optional().describe('What the next commit would do to it.'),
  unstaged: change.optional().describe('What has changed since, and is not staged.'),
  untracked: z.literal(true).optional(),
  conflict: z.literal(true).optional(),
  from: z.string().optional().describe('Its path before it was renamed or copied.'),
});

export const statusOutput = z.object({
  repository: z.string(),
  branch: z.string().optional().describe('Left out when no branch is checked out.'),
  head: z.string().optional().describe('Left out before the first commit.'),
  upstream: z.string().optional(),
  ahead: z.int().optional(),
  behind: z.int().optional(),
  entries: z.array(entry),
  truncated: z.boolean(),
});

export type Entry = z.output<typeof entry>;
type Status = z.output<typeof statusOutput>;

/** What has changed since the last commit, and where the branch stands. */
export async function status(
  repository: Repository,
  { limit }: z.output<typeof statusInput>,
): Promise<Status> {
  const { stdout, truncated } = await repository.git(
    ['status', '--porcelain=v2', '--branch', '-z', '--untracked-files=all', '--ignore-submodules=dirty'],
    { maxBytes: OUTPUT_BYTES },
  );
  const found = readStatus(pieces(stdout), repository.path);
  return {
    ...found,
    entries: found.entries.slice(0, limit),
    truncated: truncated || found.entries.length > limit,
  };
}

const CHANGES: Readonly<Record<string, z.output<typeof change>>> = {
  A: 'added',
  M: 'modified',
  D: 'deleted',
  R: 'renamed',
  C: 'copied',
  T: 'type-changed',
};

/** Reads `git status --porcelain=v2 -z` (git-status(1), "Porcelain Format Version 2"). */
export function readStatus(records: readonly string[], repository: string): Omit<Status, 'truncated'> {
  const read: Omit<Status, 'truncated'> = { repository, entries: [] };
  for (let at = 0; at < records.length; at += 1) {
    const record = records[at] ?? '';
    const [kind = '', xy = ''] = record.split(' ', 2);
    if (kind === '#') readHeader(read, record);
    else if (kind === '?') read.entries.push({ path: record.slice(2), untracked: true });
    else if (kind === '1') read.entries.push({ path: afterFields(record, 8), ...changesOf(xy) });
    else if (kind === 'u') read.entries.push({ path: afterFields(record, 10), conflict: true });
    else if (kind === '2') {
      // The path before follows as a record of its own.
      at += 1;
      read.entries.push({ path: afterFields(record, 9), ...changesOf(xy), from: records[at] ?? '' });
    }
  }
  return read;
}

function readHeader(read: Omit<Status, 'truncated'>, record: string): void {
  const [, name = '', ...rest] = record.split(' ');
  const value = rest.join(' ');
  if (name === 'branch.oid' && value !== '(initial)') read.head = value;
  if (name === 'branch.head' && value !== '(detached)') read.branch = value;
  if (name === 'branch.upstream') read.upstream = value;
  const [, ahead, behind] = name === 'branch.ab' ? (/^\+(\d+) -(\d+)$/.exec(value) ?? []) : [];
  if (ahead !== undefined) [read.ahead, read.behind] = [Number(ahead), Number(behind)];
}

function changesOf(xy: string): Pick<Entry, 'staged' | 'unstaged'> {
  const [staged, unstaged] = [CHANGES[xy[0] ?? ''], CHANGES[xy[1] ?? '']];
  return { ...(staged && { staged }), ...(unstaged && { unstaged }) };
}

function afterFields(record: string, fields: number): string {
  return record.split(' ').slice(fields).join(' ');
}

export function statusText({ branch, head, upstream, ahead, behind, entries, truncated }: Status): string {
  const where =
    branch === undefined
      ? `No branch, at ${head?.slice(0, 12)}`
      : `On ${branch}${head === undefined ? ', before its first commit' : ''}`;
  const apart =
    upstream === undefined ? '' : `, ${ahead ?? 0} ahead of and ${behind ?? 0} behind ${upstream}`;
  const lines = entries.map(({ path, staged, unstaged, untracked, conflict, from }) => {
    const words = [
      ...(conflict ? ['conflict'] : []),
      ...(untracked ? ['untracked'] : []),
      ...(staged === undefined ? [] : [`staged: ${staged}`]),
      ...(unstaged === undefined ? [] : [`not staged: ${unstaged}`]),
    ];
    return `${path}${from === undefined ? '' : ` (from ${from})`}: ${words.join(', ')}`;
  });
  const rest = truncated ? ['… there is more; raise the limit.'] : [];
  return [`${where}${apart}.`, ...(lines.length === 0 ? ['Nothing has changed.'] : lines), ...rest].join(
    '\n',
  );
}
