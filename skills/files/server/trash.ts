import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { unifiedDiff } from './preview.ts';
import { exists, findFile, makeFolder, placeNew } from './save.ts';
import { decodeExactly, looksBinary } from './text.ts';
import { walk } from './walk.ts';
import { TRASH, type Workspace } from './workspace.ts';

/** What one deletion left: `.trash/<id>/entry.json` says what it was, `.trash/<id>/content` is it. */
const ENTRY = 'entry.json';
const CONTENT = 'content';
const MOST_COUNTED = 10_000;

const trashId = z.string().regex(/^\d{8}T\d{6}-[0-9a-f]{12}$/, 'is not an id that "delete" answered');
const entrySchema = z.object({ path: z.string(), deletedAt: z.string() });

export const deleteInput = z.strictObject({
  path: z.string().min(1).describe('File or folder to delete, relative to the workspace root.'),
  dryRun: z.boolean().default(false).describe('Change nothing; answer what would go.'),
});

export const deleteOutput = z.object({
  id: z.string().describe('Hand it to "restore" to bring it back. Empty for a dry run.'),
  path: z.string(),
  files: z.int().describe('How many files go, counted up to 10,000.'),
  dryRun: z.boolean(),
  diff: z.string().optional(),
});

export const restoreInput = z.strictObject({
  id: trashId.describe('The id that "delete" answered; "list" with trash: true shows them all.'),
  to: z.string().min(1).optional().describe('Another path to restore to. Default: where it was.'),
  dryRun: z.boolean().default(false).describe('Change nothing; answer what would come back.'),
});

export const restoreOutput = z.object({
  id: z.string(),
  path: z.string(),
  dryRun: z.boolean(),
  diff: z.string().optional(),
});

/** Takes a file or folder away, into the trash of the workspace, from where it can come back whole. */
export async function remove(
  { workspace, now }: { readonly workspace: Workspace; readonly now: () => Date },
  args: z.output<typeof deleteInput>,
  signal: AbortSignal,
): Promise<z.output<typeof deleteOutput>> {
  const place = await workspace.changeableEntry(args.path);
  const stats = await lstat(place.absolute);
  let files = stats.isDirectory() ? 0 : 1;
  if (stats.isDirectory()) {
    for await (const step of walk(place, Infinity, signal)) {
      if (step.kind !== 'folder') files += 1;
      if (files >= MOST_COUNTED) break;
    }
  }
  if (args.dryRun) {
    return { id: '', path: place.path, files, dryRun: true, diff: await deletionDiff() };
  }

  const deletedAt = now().toISOString();
  const id = `${deletedAt.replace(/[-:]/g, '').slice(0, 15)}-${randomBytes(6).toString('hex')}`;
  const bin = join(await trashFolder(workspace), id);
  // The description goes first: a crash in between leaves an empty entry, not a nameless content.
  await mkdir(bin);
  await writeFile(join(bin, ENTRY), `${JSON.stringify({ path: place.path, deletedAt })}\n`);
  try {
    await rename(place.absolute, join(bin, CONTENT));
  } catch (error) {
    await rm(bin, { recursive: true, force: true });
    throw error;
  }
  return { id, path: place.path, files, dryRun: false };

  async function deletionDiff(): Promise<string> {
    if (!stats.isFile()) return `delete ${place.path}${stats.isDirectory() ? `/ (${files} files)` : ''}\n`;
    const found = await findFile(place).catch(() => undefined);
    const text = found && !looksBinary(found.bytes) ? decodeExactly(found.bytes) : undefined;
    return text === undefined
      ? `delete ${place.path} (${stats.size} bytes)\n`
      : unifiedDiff(place.path, text, undefined);
  }
}

/** Brings back what `delete` took away; never over something that stands there now. */
export async function restore(
  workspace: Workspace,
  args: z.output<typeof restoreInput>,
): Promise<z.output<typeof restoreOutput>> {
  const bin = join(workspace.root, TRASH, args.id);
  const entry = await readEntry(workspace, args.id);
  if (entry === undefined) {
    throw new Error(
      `Nothing with the id "${args.id}" is in the trash. "list" with trash: true shows what is.`,
    );
  }
  const to = await workspace.changeableEntry(args.to ?? entry.path);
  if (await exists(to))
    throw new Error(`"${to.path}" exists again. Move that away first, or restore with another "to".`);
  if (args.dryRun) return { id: args.id, path: to.path, dryRun: true, diff: `restore ${to.path}\n` };
  await makeFolder(dirname(to.absolute));
  await placeNew(join(bin, CONTENT), to);
  await rm(bin, { recursive: true, force: true });
  return { id: args.id, path: to.path, dryRun: false };
}

/** What can be restored, latest first. */
export async function trashed(
  workspace: Workspace,
): Promise<{ id: string; path: string; deletedAt: string }[]> {
  const ids = await readdir(join(workspace.root, TRASH)).catch(() => [] as string[]);
  const entries = await Promise.all(
    ids
      .filter((id) => trashId.safeParse(id).success)
      .toSorted()
      .toReversed()
      .map(async (id) => ({ id, entry: await readEntry(workspace, id) })),
  );
  return entries.flatMap(({ id, entry }) => (entry ? [{ id, ...entry }] : []));
}

/** The description of a deletion whose content is there; undefined for anything less. */
async function readEntry(
  workspace: Workspace,
  id: string,
): Promise<z.output<typeof entrySchema> | undefined> {
  const folder = join(workspace.root, TRASH);
  try {
    // A link in place of a folder could lead a restore to files from elsewhere.
    for (const part of [folder, join(folder, id)]) if (!(await lstat(part)).isDirectory()) return undefined;
    await lstat(join(folder, id, CONTENT));
    return entrySchema.parse(JSON.parse(await readFile(join(folder, id, ENTRY), 'utf8')));
  } catch {
    // Also what a crash left half made, or what somebody put there by hand: neither can be restored.
    return undefined;
  }
}

/** The trash folder, made when needed. A link of that name could lead deletions elsewhere, so it is refused. */
async function trashFolder(workspace: Workspace): Promise<string> {
  const folder = join(workspace.root, TRASH);
  await makeFolder(folder);
  if (!(await lstat(folder)).isDirectory())
    throw new Error(`"${TRASH}" is not a folder; rename it to make room for the trash.`);
  // Keeps the trash out of version control without touching the project's own files.
  await writeFile(join(folder, '.gitignore'), '*\n', { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return folder;
}

export function deleteText({ id, path, files, dryRun, diff }: z.output<typeof deleteOutput>): string {
  if (dryRun) return diff ?? '';
  return `Deleted "${path}" (${files} ${files === 1 ? 'file' : 'files'}). To bring it back: restore with id ${id}.`;
}

export function restoreText({ path, dryRun, diff }: z.output<typeof restoreOutput>): string {
  return dryRun ? (diff ?? '') : `Restored "${path}".`;
}
