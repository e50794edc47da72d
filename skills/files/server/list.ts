import { lstat } from 'node:fs/promises';
import * as z from 'zod';
import { globFilter } from './glob.ts';
import { trashed } from './trash.ts';
import { walk } from './walk.ts';
import type { Workspace } from './workspace.ts';

const DEEPEST = 20;
const DEFAULT_ENTRIES = 500;
const MOST_ENTRIES = 5000;
/** Entries looked at before a walk gives up, so that a glob that matches nothing ends too. */
const MOST_VISITED = 200_000;

export const listInput = z.strictObject({
  path: z.string().default('.').describe('Folder to list, relative to the workspace root.'),
  depth: z.int().min(1).max(DEEPEST).optional().describe('Levels to go down. Default 1, or 20 with a glob.'),
  glob: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('Only entries that match, such as "*.ts" or "src/**/*.{ts,md}". Without "/" it matches names.'),
  limit: z.int().min(1).max(MOST_ENTRIES).default(DEFAULT_ENTRIES).describe('Most entries to answer.'),
  trash: z.boolean().default(false).describe('List what "restore" can bring back, instead of a folder.'),
});

export const listOutput = z.object({
  path: z.string(),
  entries: z.array(
    z.object({
      path: z.string(),
      kind: z.enum(['file', 'folder', 'link', 'other']),
      sizeBytes: z.int().optional(),
      modified: z.string().optional(),
    }),
  ),
  trash: z.array(z.object({ id: z.string(), path: z.string(), deletedAt: z.string() })).optional(),
  truncated: z
    .boolean()
    .describe('More matched than is shown: narrow the path or the glob, or raise the limit.'),
});

/** What is in a folder, or in the trash. `.git`, `node_modules` and the trash are named but entered only when asked for. */
export async function list(
  workspace: Workspace,
  args: z.output<typeof listInput>,
  signal: AbortSignal,
): Promise<z.output<typeof listOutput>> {
  if (args.trash) {
    const found = await trashed(workspace);
    const trash = found.slice(0, args.limit);
    return { path: '.', entries: [], trash, truncated: found.length > trash.length };
  }
  const folder = await workspace.target(args.path);
  const matches = args.glob === undefined ? () => true : globFilter(args.glob);
  const depth = args.depth ?? (args.glob === undefined ? 1 : DEEPEST);
  const entries: z.output<typeof listOutput>['entries'] = [];
  let visited = 0;
  for await (const step of walk(folder, depth, signal)) {
    visited += 1;
    if (visited > MOST_VISITED) return { path: folder.path, entries, truncated: true };
    if (!matches(step.below)) continue;
    if (entries.length === args.limit) return { path: folder.path, entries, truncated: true };
    const stats = await lstat(step.absolute).catch(() => undefined);
    entries.push({
      path: step.path,
      kind: step.kind,
      ...(stats?.isFile() ? { sizeBytes: stats.size } : {}),
      ...(stats ? { modified: stats.mtime.toISOString() } : {}),
    });
  }
  return { path: folder.path, entries, truncated: false };
}

/** The listing as lines a model reads easily. */
export function listText(result: z.output<typeof listOutput>): string {
  const lines = result.trash
    ? result.trash.map(({ id, path, deletedAt }) => `${id}  ${path}  (deleted ${deletedAt})`)
    : result.entries.map(({ path, kind, sizeBytes }) => {
        if (kind === 'folder') return `${path}/`;
        return kind === 'file' ? `${path}  ${sizeBytes ?? '?'} bytes` : `${path}  (${kind})`;
      });
  if (lines.length === 0) return result.trash ? 'The trash is empty.' : `Nothing found in "${result.path}".`;
  return result.truncated
    ? [...lines, '… more not shown; narrow the path or glob.'].join('\n')
    : lines.join('\n');
}
