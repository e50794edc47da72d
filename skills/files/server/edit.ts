import * as z from 'zod';
import type { InLane } from './lanes.ts';
import { unifiedDiff } from './preview.ts';
import { expectRevision, findFile, MOST_WRITTEN_BYTES, saveFile } from './save.ts';
import { decodeExactly, lineEndingOf, looksBinary, revisionOf } from './text.ts';
import type { Workspace } from './workspace.ts';

/** Line numbers named in a message about an ambiguous text. */
const MOST_LINES_NAMED = 10;

export const editInput = z.strictObject({
  path: z.string().min(1).describe('File to edit, relative to the workspace root.'),
  oldText: z
    .string()
    .min(1)
    .max(MOST_WRITTEN_BYTES)
    .describe('Exact text to replace, with enough around it to be unique.'),
  newText: z.string().max(MOST_WRITTEN_BYTES).describe('What stands there afterwards; empty removes it.'),
  all: z.boolean().default(false).describe('Replace every occurrence instead of exactly one.'),
  ifRevision: z.string().optional().describe('Edit only if the content still has this revision.'),
  dryRun: z.boolean().default(false).describe('Change nothing; answer the unified diff.'),
});

export const editOutput = z.object({
  path: z.string(),
  revision: z.string(),
  replaced: z.int(),
  lines: z.array(z.int()).describe('Where the replaced texts started, at most ten.'),
  dryRun: z.boolean(),
  diff: z.string().optional(),
});

/** Replaces an exact text. It must stand there exactly once, so that an edit never lands in the wrong place. */
export async function edit(
  { workspace, inLane }: { readonly workspace: Workspace; readonly inLane: InLane },
  args: z.output<typeof editInput>,
): Promise<z.output<typeof editOutput>> {
  const place = await workspace.changeable(args.path);
  return inLane(place.absolute, async () => {
    const before = await findFile(place);
    if (before === undefined) throw new Error(`"${place.path}" does not exist. Use "write" to create it.`);
    expectRevision(place, before, args.ifRevision);
    const text = looksBinary(before.bytes) ? undefined : decodeExactly(before.bytes);
    if (text === undefined) throw new Error(`"${place.path}" is not UTF-8 text; editing it would damage it.`);

    const { oldText, newText } = asInFile(text, args);
    const parts = text.split(oldText);
    if (parts.length === 1) throw new Error(notFound(place.path, text, oldText));
    const lines = startLines(parts, oldText);
    if (parts.length > 2 && !args.all) {
      throw new Error(
        `The text stands ${parts.length - 1} times in "${place.path}" (lines ${lines.join(', ')}). ` +
          'Give more of its surroundings, or say all: true.',
      );
    }
    const bytes = Buffer.from(parts.join(newText));
    if (bytes.length > MOST_WRITTEN_BYTES)
      throw new Error(`The edited file would be over ${MOST_WRITTEN_BYTES} bytes.`);
    const about = {
      path: place.path,
      revision: revisionOf(bytes),
      replaced: parts.length - 1,
      lines,
    };
    if (args.dryRun) return { ...about, dryRun: true, diff: unifiedDiff(place.path, text, bytes.toString()) };
    await saveFile(place, bytes, before);
    return { ...about, dryRun: false };
  });
}

/** Models write `\n`; in a file whose lines all end in CRLF that means CRLF, in both texts. */
function asInFile(
  text: string,
  args: { oldText: string; newText: string },
): { oldText: string; newText: string } {
  if (lineEndingOf(text) !== 'crlf') return args;
  return { oldText: withCrlf(args.oldText), newText: withCrlf(args.newText) };
}

function withCrlf(text: string): string {
  return text.replace(/\r?\n/g, '\r\n');
}

function startLines(parts: string[], oldText: string): number[] {
  const breaksInOld = oldText.split('\n').length - 1;
  const lines: number[] = [];
  let line = 1;
  for (const part of parts.slice(0, Math.min(parts.length - 1, MOST_LINES_NAMED))) {
    line += part.split('\n').length - 1;
    lines.push(line);
    line += breaksInOld;
  }
  return lines;
}

/** Says where the text nearly stands, because the usual cause is white space. */
function notFound(path: string, text: string, oldText: string): string {
  const wanted = oldText
    .split('\n')
    .find((line) => line.trim() !== '')
    ?.trim();
  const near = wanted === undefined ? -1 : text.split('\n').findIndex((line) => line.trim() === wanted);
  const hint =
    near === -1
      ? 'Read the file again'
      : `Line ${near + 1} is alike but for white space or what follows; read it again`;
  return `The text does not stand in "${path}". ${hint} and copy the text exactly.`;
}

export function editText({ path, replaced, dryRun, diff, revision }: z.output<typeof editOutput>): string {
  if (dryRun) return diff === '' ? 'Nothing would change.' : (diff ?? '');
  return `Replaced ${replaced} ${replaced === 1 ? 'place' : 'places'} in "${path}" (revision ${revision}).`;
}
