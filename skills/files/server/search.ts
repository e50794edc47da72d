import { RE2JS } from 're2js';
import * as z from 'zod';
import { globFilter } from './glob.ts';
import { openFile } from './read.ts';
import { decodeForShow, looksBinary } from './text.ts';
import { walk, type Step } from './walk.ts';
import type { Place, Workspace } from './workspace.ts';

const DEFAULT_MATCHES = 100;
const MOST_MATCHES = 1000;
const MOST_CONTEXT = 10;
/** Bigger files are skipped and counted: they are data, and would take the whole time. */
const MOST_FILE_BYTES = 8 * 1024 * 1024;
/** Text of one answered line; minified code would otherwise fill the answer. */
const MOST_LINE_CHARS = 500;
const MOST_ANSWER_CHARS = 256 * 1024;
/** Well under the thirty seconds after which the hub gives up, so that what was found is answered. */
const MOST_MS = 15_000;
const DEEPEST = 64;
/** Files between two progress messages. */
const PROGRESS_FILES = 200;

export const searchInput = z.strictObject({
  query: z.string().min(1).max(1000).describe('Text to find, or an RE2 expression with regex: true.'),
  regex: z
    .boolean()
    .default(false)
    .describe('Read the query as a regular expression (RE2: no backreferences).'),
  ignoreCase: z.boolean().default(false),
  path: z.string().default('.').describe('File or folder to search, relative to the workspace root.'),
  glob: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('Only files that match, such as "*.ts" or "src/**/*.md".'),
  context: z.int().min(0).max(MOST_CONTEXT).default(0).describe('Lines to show before and after each match.'),
  limit: z.int().min(1).max(MOST_MATCHES).default(DEFAULT_MATCHES).describe('Most matching lines to answer.'),
});

export const searchOutput = z.object({
  matches: z.array(
    z.object({
      path: z.string(),
      line: z.int(),
      text: z.string(),
      before: z.array(z.string()).optional(),
      after: z.array(z.string()).optional(),
    }),
  ),
  filesSearched: z.int(),
  filesSkipped: z.int().describe('Binary files, files over 8 MB, and files that could not be read.'),
  truncated: z
    .enum(['limit', 'size', 'time'])
    .optional()
    .describe('Why the search ended before all was looked at.'),
});

type SearchResult = z.output<typeof searchOutput>;

/** Finds lines. Expressions run on RE2, in time linear in the text, so no query can hang the process. */
export async function search(
  deps: {
    readonly workspace: Workspace;
    readonly now: () => number;
    readonly progress: (files: number) => Promise<void>;
  },
  args: z.output<typeof searchInput>,
  signal: AbortSignal,
): Promise<SearchResult> {
  const hits = lineMatcher(args);
  const until = deps.now() + MOST_MS;
  const result: SearchResult = { matches: [], filesSearched: 0, filesSkipped: 0 };
  let chars = 0;
  for await (const file of filesToSearch(deps.workspace, args, signal)) {
    const lines = await linesOf(file);
    if (lines === undefined) {
      result.filesSkipped += 1;
      continue;
    }
    result.filesSearched += 1;
    if (result.filesSearched % PROGRESS_FILES === 0) await deps.progress(result.filesSearched);
    for (let at = 0; at < lines.length; at += 1) {
      if (at % 1000 === 0 && deps.now() > until) return { ...result, truncated: 'time' };
      const text = lines[at] ?? '';
      if (!hits(text)) continue;
      if (result.matches.length === args.limit) return { ...result, truncated: 'limit' };
      const match = {
        path: file.path,
        line: at + 1,
        text: shown(text),
        ...contextOf(lines, at, args.context),
      };
      chars += JSON.stringify(match).length;
      if (chars > MOST_ANSWER_CHARS) return { ...result, truncated: 'size' };
      result.matches.push(match);
    }
  }
  return result;
}

function lineMatcher(args: z.output<typeof searchInput>): (line: string) => boolean {
  if (!args.regex && !args.ignoreCase) return (line) => line.includes(args.query);
  const source = args.regex ? args.query : RE2JS.quote(args.query);
  try {
    const expression = RE2JS.compile(source, args.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
    return (line) => expression.matcher(line).find();
  } catch (error) {
    throw new Error(
      `The regular expression was not understood: ${error instanceof Error ? error.message : String(error)}. ` +
        'RE2 syntax has no backreferences and no lookaround; leave out regex: true to search for plain text.',
      { cause: error },
    );
  }
}

async function* filesToSearch(
  workspace: Workspace,
  args: z.output<typeof searchInput>,
  signal: AbortSignal,
): AsyncGenerator<Place> {
  const start = await workspace.target(args.path);
  const matches = args.glob === undefined ? () => true : globFilter(args.glob);
  try {
    for await (const step of walk(start, DEEPEST, signal)) if (wanted(step, matches)) yield step;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
    yield start;
  }
}

function wanted(step: Step, matches: (path: string) => boolean): boolean {
  return step.kind === 'file' && matches(step.below);
}

/** The lines of a text file without their line breaks; undefined when it is not for searching. */
async function linesOf(place: Place): Promise<string[] | undefined> {
  try {
    const file = await openFile(place);
    try {
      if ((await file.stat()).size > MOST_FILE_BYTES) return undefined;
      const bytes = await file.readFile();
      return looksBinary(bytes) ? undefined : decodeForShow(bytes).split(/\r?\n/);
    } finally {
      await file.close();
    }
  } catch {
    // Counted as skipped: a file that vanished or may not be read should not end the search of all others.
    return undefined;
  }
}

function contextOf(lines: string[], at: number, context: number): { before?: string[]; after?: string[] } {
  if (context === 0) return {};
  return {
    before: lines.slice(Math.max(0, at - context), at).map(shown),
    after: lines.slice(at + 1, at + 1 + context).map(shown),
  };
}

function shown(line: string): string {
  return line.length > MOST_LINE_CHARS ? `${line.slice(0, MOST_LINE_CHARS)}…` : line;
}

/** Matches in the `path:line: text` form of grep, context lines with `-`. */
export function searchText(result: SearchResult): string {
  const blocks = result.matches.map(({ path, line, text, before = [], after = [] }) =>
    [
      ...before.map((context, index) => `${path}-${line - before.length + index}- ${context}`),
      `${path}:${line}: ${text}`,
      ...after.map((context, index) => `${path}-${line + 1 + index}- ${context}`),
    ].join('\n'),
  );
  const separator = result.matches.some(({ before }) => before !== undefined) ? '\n--\n' : '\n';
  const found = blocks.length === 0 ? 'No match.' : blocks.join(separator);
  const skipped = result.filesSkipped > 0 ? `, ${result.filesSkipped} skipped` : '';
  const ended = result.truncated ? `; stopped by ${result.truncated}, narrow the path, glob or query` : '';
  return `${found}\n[${result.filesSearched} files searched${skipped}${ended}]`;
}
