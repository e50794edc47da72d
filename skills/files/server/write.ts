import * as z from 'zod';
import type { InLane } from './lanes.ts';
import { unifiedDiff } from './preview.ts';
import { expectRevision, findFile, MOST_WRITTEN_BYTES, saveFile } from './save.ts';
import { decodeExactly, revisionOf } from './text.ts';
import type { Workspace } from './workspace.ts';

export const writeInput = z.strictObject({
  path: z
    .string()
    .min(1)
    .describe('File to write, relative to the workspace root. Missing folders are made.'),
  content: z.string().max(MOST_WRITTEN_BYTES).describe('The whole new content, written as it is.'),
  overwrite: z
    .boolean()
    .default(false)
    .describe('Replace the file if it exists. Not needed with ifRevision.'),
  ifRevision: z.string().optional().describe('Replace the file only if its content still has this revision.'),
  dryRun: z.boolean().default(false).describe('Change nothing; answer the unified diff.'),
});

export const writeOutput = z.object({
  path: z.string(),
  revision: z.string(),
  sizeBytes: z.int(),
  created: z.boolean(),
  dryRun: z.boolean(),
  diff: z.string().optional(),
});

/** Creates a file, or replaces one the caller meant to replace. */
export async function write(
  { workspace, inLane }: { readonly workspace: Workspace; readonly inLane: InLane },
  args: z.output<typeof writeInput>,
): Promise<z.output<typeof writeOutput>> {
  const bytes = Buffer.from(args.content);
  if (bytes.length > MOST_WRITTEN_BYTES) throw new Error(`The content is over ${MOST_WRITTEN_BYTES} bytes.`);
  const place = await workspace.changeable(args.path);
  return inLane(place.absolute, async () => {
    const before = await findFile(place);
    expectRevision(place, before, args.ifRevision);
    if (before && !args.overwrite && args.ifRevision === undefined) {
      throw new Error(
        `"${place.path}" already exists (revision ${before.revision}). Use "edit" to change a part of it, ` +
          'or write with ifRevision or overwrite: true to replace it.',
      );
    }
    const about = {
      path: place.path,
      revision: revisionOf(bytes),
      sizeBytes: bytes.length,
      created: before === undefined,
    };
    if (args.dryRun) {
      const old = before && (decodeExactly(before.bytes) ?? '(binary)\n');
      return { ...about, dryRun: true, diff: unifiedDiff(place.path, old, args.content) };
    }
    await saveFile(place, bytes, before);
    return { ...about, dryRun: false };
  });
}

export function writeText({ path, created, dryRun, diff, revision }: z.output<typeof writeOutput>): string {
  if (dryRun) return diff === '' ? 'Nothing would change.' : (diff ?? '');
  return `${created ? 'Created' : 'Replaced'} "${path}" (revision ${revision}).`;
}
