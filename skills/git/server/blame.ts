import * as z from 'zod';
import { commitAt, pathInput, type Repository, repositoryInput, revisionInput } from './repository.ts';
import { short } from './text.ts';

const USUAL_LINES = 200;
const MOST_LINES = 2000;
const MOST_LINE_CHARS = 1000;
const OUTPUT_BYTES = 8 * 1024 * 1024;
/** What git calls the commit of lines that are not committed. */
const NOT_COMMITTED = /^0+$/;

export const blameInput = z.strictObject({
  repository: repositoryInput,
  path: pathInput.describe('The file.'),
  revision: revisionInput.optional().describe('As of this commit. Default: the file as it is.'),
  startLine: z.int().min(1).max(10_000_000).default(1),
  lines: z.int().min(1).max(MOST_LINES).default(USUAL_LINES),
});

const part = z.object({
  startLine: z.int(),
  endLine: z.int(),
  commit: z.string().optional().describe('Left out for lines that are not committed.'),
  author: z.string(),
  date: z.string(),
  subject: z.string(),
  text: z.string(),
});

export const blameOutput = z.object({
  repository: z.string(),
  path: z.string(),
  parts: z.array(part).describe('Lines that follow each other and come from one commit.'),
  nextLine: z.int().optional().describe('Where to go on; left out at the end of the file.'),
});

/** Which commit each line of a file comes from. */
export async function blame(
  repository: Repository,
  args: z.output<typeof blameInput>,
): Promise<z.output<typeof blameOutput>> {
  const at = args.revision === undefined ? [] : [await commitAt(repository, args.revision)];
  // One more than is wanted, to know whether there is more; a range that ends too late is cut by git.
  const range = `${args.startLine},+${args.lines + 1}`;
  const { stdout, truncated } = await repository.git(
    ['blame', '--no-textconv', '--line-porcelain', `-L${range}`, ...at, '--', args.path],
    { maxBytes: OUTPUT_BYTES },
  );
  const lines = readBlame(stdout.toString());
  const shown = lines.slice(0, args.lines);
  const last = shown.at(-1)?.line ?? args.startLine;
  return {
    repository: repository.path,
    path: args.path,
    parts: grouped(shown),
    ...(lines.length > shown.length || truncated ? { nextLine: last + 1 } : {}),
  };
}

interface Line {
  line: number;
  commit: string;
  author: string;
  date: string;
  subject: string;
  text: string;
}

/** Reads `git blame --line-porcelain`: headers of each line, then the line after a tab. */
export function readBlame(output: string): Line[] {
  const lines: Line[] = [];
  let [commit, number, fields] = ['', 0, new Map<string, string>()];
  for (const record of output.split('\n')) {
    const [, hash, final] = /^([0-9a-f]{40,64}) \d+ (\d+)/.exec(record) ?? [];
    if (record.startsWith('\t')) {
      const time = Number(fields.get('author-time') ?? 0);
      lines.push({
        line: number,
        commit,
        author: fields.get('author') ?? '',
        date: new Date(time * 1000).toISOString(),
        subject: fields.get('summary') ?? '',
        text: short(record.slice(1), MOST_LINE_CHARS),
      });
    } else if (hash === undefined) {
      const end = record.indexOf(' ');
      fields.set(record.slice(0, end), record.slice(end + 1));
    } else [commit, number, fields] = [hash, Number(final), new Map<string, string>()];
  }
  return lines;
}

function grouped(lines: readonly Line[]): z.output<typeof part>[] {
  const parts: z.output<typeof part>[] = [];
  let of = '';
  for (const { line, commit, author, date, subject, text } of lines) {
    const before = parts.at(-1);
    if (before !== undefined && of === commit) {
      before.endLine = line;
      before.text += `\n${text}`;
    } else {
      const known = NOT_COMMITTED.test(commit) ? {} : { commit };
      of = commit;
      parts.push({ startLine: line, endLine: line, ...known, author, date, subject, text });
    }
  }
  return parts;
}

export function blameText({ parts, nextLine }: z.output<typeof blameOutput>): string {
  const shown = parts.map(({ startLine, commit, author, date, subject, text }) => {
    const head =
      commit === undefined
        ? 'not committed'
        : `${commit.slice(0, 12)} ${date.slice(0, 10)} ${author}: ${subject}`;
    const lines = text.split('\n').map((line, at) => `${startLine + at}\t${line}`);
    return `${head}\n${lines.join('\n')}`;
  });
  return [...shown, ...(nextLine === undefined ? [] : [`… goes on at line ${nextLine}.`])].join('\n');
}
