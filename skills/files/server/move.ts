import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import { exists, makeFolder, placeNew } from './save.ts';
import type { Workspace } from './workspace.ts';

export const moveInput = z.strictObject({
  from: z.string().min(1).describe('File or folder to move, relative to the workspace root.'),
  to: z.string().min(1).describe('Its new path. Missing folders are made; nothing is ever overwritten.'),
  dryRun: z.boolean().default(false).describe('Change nothing; answer what would move.'),
});

export const moveOutput = z.object({
  from: z.string(),
  to: z.string(),
  kind: z.enum(['file', 'folder', 'link', 'other']),
  dryRun: z.boolean(),
  diff: z.string().optional(),
});

/** Moves or renames. A symbolic link is moved itself, not what it points to. */
export async function move(
  workspace: Workspace,
  args: z.output<typeof moveInput>,
): Promise<z.output<typeof moveOutput>> {
  const from = await workspace.changeableEntry(args.from);
  const to = await workspace.changeableEntry(args.to);
  const stats = await lstat(from.absolute);
  const kind = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'folder'
      : stats.isSymbolicLink()
        ? 'link'
        : 'other';
  if (`${to.path}/`.startsWith(`${from.path}/`))
    throw new Error(`"${from.path}" cannot be moved to itself or into itself.`);
  if (await exists(to))
    throw new Error(`"${to.path}" already exists. Choose another name, or delete it first.`);
  const about = { from: from.path, to: to.path, kind } as const;
  if (args.dryRun)
    return { ...about, dryRun: true, diff: `rename from ${from.path}\nrename to ${to.path}\n` };
  await makeFolder(dirname(to.absolute));
  await placeNew(from.absolute, to);
  return { ...about, dryRun: false };
}

export function moveText({ from, to, kind, dryRun, diff }: z.output<typeof moveOutput>): string {
  return dryRun ? (diff ?? '') : `Moved ${kind} "${from}" to "${to}".`;
}
