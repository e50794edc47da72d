import * as z from 'zod';
import { DIFF_OPTIONS } from './environment.ts';
import { commitAt, pathInput, type Repository, repositoryInput, revisionInput } from './repository.ts';
import { cut, MOST_BYTES, pieces, USUAL_BYTES } from './text.ts';

const MOST_FILES = 1000;
const STAT_BYTES = 1024 * 1024;

export const diffInput = z.strictObject({
  repository: repositoryInput,
  from: revisionInput
    .optional()
    .describe('Compare with this commit. Default: with what is staged; with the last commit if "staged".'),
  to: revisionInput.optional().describe('The commit to compare "from" with. Default: the files as they are.'),
  staged: z.boolean().default(false).describe('Compare what is staged, instead of the files as they are.'),
  paths: z.array(pathInput).max(100).default([]).describe('Only these files and folders.'),
  contextLines: z.int().min(0).max(100).default(3),
  maxBytes: z.int().min(1).max(MOST_BYTES).default(USUAL_BYTES).describe('Most bytes of the patch.'),
});

export const changedFile = z.object({
  path: z.string(),
  from: z.string().optional(),
  added: z.int().optional().describe('Lines. Left out for binary files.'),
  deleted: z.int().optional(),
});

export const changesOutput = {
  files: z.array(changedFile),
  patch: z.string(),
  truncated: z.boolean().describe('The patch or the list of files is cut: name paths, or raise maxBytes.'),
};

export const diffOutput = z.object({ repository: z.string(), ...changesOutput });

export interface Changes {
  files: z.output<typeof changedFile>[];
  patch: string;
  truncated: boolean;
}

/** What differs between two states. */
export async function diff(
  repository: Repository,
  args: z.output<typeof diffInput>,
): Promise<z.output<typeof diffOutput>> {
  if (args.to !== undefined && (args.from === undefined || args.staged))
    throw new Error('"to" goes with "from", and not with "staged".');
  const sides = await Promise.all(
    [args.from, args.to].filter((one) => one !== undefined).map((one) => commitAt(repository, one)),
  );
  const command = ['diff', ...(args.staged ? ['--cached'] : []), ...sides];
  const changes = await changesOf(repository, command, args);
  return { repository: repository.path, ...changes };
}

/** Files and patch of a command that compares, which is given as far as its options. */
export async function changesOf(
  repository: Repository,
  [command = '', ...sides]: readonly string[],
  { paths, contextLines, maxBytes }: { paths: readonly string[]; contextLines: number; maxBytes: number },
  env: Readonly<Record<string, string>> = {},
): Promise<Changes> {
  const run = (options: readonly string[], limit: number) =>
    repository.git([command, ...DIFF_OPTIONS, '-M', ...options, ...sides, '--', ...paths], {
      maxBytes: limit,
      env,
    });
  const stat = await run(['--numstat', '-z'], STAT_BYTES);
  // One more than is wanted, to know whether there is more.
  const patch = await run(['--patch', `-U${contextLines}`], maxBytes + 1);
  const files = readNumstat(pieces(stat.stdout));
  const { text, truncated } = cut(patch.stdout, maxBytes);
  return {
    files: files.slice(0, MOST_FILES),
    patch: text,
    truncated: truncated || stat.truncated || files.length > MOST_FILES,
  };
}

/** Reads `--numstat -z`: counts and path, or counts and then both paths of something renamed. */
export function readNumstat(records: readonly string[]): z.output<typeof changedFile>[] {
  const files: z.output<typeof changedFile>[] = [];
  for (let at = 0; at < records.length; at += 1) {
    const [added = '', deleted = '', ...rest] = (records[at] ?? '').split('\t');
    const counts = added === '-' ? {} : { added: Number(added), deleted: Number(deleted) };
    const path = rest.join('\t');
    if (path !== '') files.push({ path, ...counts });
    else {
      files.push({ path: records[at + 2] ?? '', from: records[at + 1] ?? '', ...counts });
      at += 2;
    }
  }
  return files;
}

export function changesText({ files, patch, truncated }: Changes): string {
  if (files.length === 0 && patch === '') return 'Nothing differs.';
  return `${patch}${truncated ? '… the diff goes on; name paths, or raise maxBytes.\n' : ''}`;
}
