import * as z from 'zod';
import { changesOf, changesOutput, changesText } from './diff.ts';
import { COMMIT_FORMAT, commitShape, commitText, readCommits } from './log.ts';
import {
  commitAt,
  hashOf,
  pathInput,
  type Repository,
  repositoryInput,
  revisionInput,
} from './repository.ts';
import { cut, MOST_BYTES, USUAL_BYTES } from './text.ts';

const SNIFFED_BYTES = 8192;

export const showInput = z.strictObject({
  repository: repositoryInput,
  revision: revisionInput.default('HEAD').describe('A branch, tag or commit.'),
  file: pathInput
    .optional()
    .describe('Answer this file as it was at the revision, instead of what the commit changed.'),
  paths: z.array(pathInput).max(100).default([]).describe('Only changes of these.'),
  contextLines: z.int().min(0).max(100).default(3),
  maxBytes: z.int().min(1).max(MOST_BYTES).default(USUAL_BYTES).describe('Most bytes of the patch or file.'),
});

export const showOutput = z.object({
  repository: z.string(),
  commit: commitShape,
  ...changesOutput,
  content: z.string().optional().describe('Of the file that was asked for; left out when it is binary.'),
  binary: z.boolean().optional(),
});

/** A commit with what it changed against its first parent, or one file as it was then. */
export async function show(
  repository: Repository,
  args: z.output<typeof showInput>,
): Promise<z.output<typeof showOutput>> {
  const hash = await commitAt(repository, args.revision);
  const { stdout } = await repository.git([
    'log',
    ...['--no-color', '--no-show-signature', '--no-notes', '--no-patch', '--max-count=1'],
    ...[COMMIT_FORMAT, hash, '--'],
  ]);
  const [commit] = readCommits(stdout);
  if (commit === undefined) throw new Error(`The commit ${hash} cannot be read.`);
  const about = { repository: repository.path, commit };
  if (args.file !== undefined) {
    const file = await fileAt(repository, hash, args.file, args.maxBytes);
    return { ...about, files: [], patch: '', ...file };
  }
  const [parent] = commit.parents;
  const sides = parent === undefined ? ['--root', '--no-commit-id', hash] : [parent, hash];
  return { ...about, ...(await changesOf(repository, ['diff-tree', '-r', ...sides], args)) };
}

async function fileAt(repository: Repository, commit: string, path: string, maxBytes: number) {
  const blob = await hashOf(repository, `${commit}:${path}`);
  const { stdout: type } =
    blob === undefined ? { stdout: '' } : await repository.git(['cat-file', '-t', blob]);
  if (blob === undefined || type.toString().trim() !== 'blob')
    throw new Error(`There was no file "${path}" at ${commit.slice(0, 12)}.`);
  const { stdout } = await repository.git(['cat-file', 'blob', blob], { maxBytes: maxBytes + 1 });
  if (stdout.subarray(0, SNIFFED_BYTES).includes(0)) return { binary: true, truncated: false };
  const { text, truncated } = cut(stdout, maxBytes);
  return { content: text, binary: false, truncated };
}

export function showText(shown: z.output<typeof showOutput>): string {
  if (shown.binary === true) return 'That file is binary.';
  if (shown.content !== undefined) return `${shown.content}${shown.truncated ? '… the file goes on.\n' : ''}`;
  return `${commitText(shown.commit)}\n\n${changesText(shown)}`;
}
