import { createTwoFilesPatch } from 'diff';

const CONTEXT_LINES = 3;
/** Finding the smallest difference of two unlike files is slow; past this the preview says only that much. */
const MOST_DIFF_MS = 1000;
const MOST_DIFF_CHARS = 64 * 1024;

/** A unified diff of what a change would do; `undefined` stands for a file that isn't there. */
export function unifiedDiff(path: string, before: string | undefined, after: string | undefined): string {
  if (before === after) return '';
  const patch = createTwoFilesPatch(
    before === undefined ? '/dev/null' : `a/${path}`,
    after === undefined ? '/dev/null' : `b/${path}`,
    before ?? '',
    after ?? '',
    undefined,
    undefined,
    { context: CONTEXT_LINES, timeout: MOST_DIFF_MS },
  );
  if (patch === undefined) return `The whole of ${path} would change; the difference is too large to show.\n`;
  const diff = patch.replace(/^=+\n/, '');
  return diff.length <= MOST_DIFF_CHARS ? diff : `${diff.slice(0, MOST_DIFF_CHARS)}\n… the diff goes on\n`;
}
