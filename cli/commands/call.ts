import { AppError } from '../../protocol/errors.ts';
import { command, type Context } from '../command.ts';
import { plain } from '../output.ts';
import { readStdin } from '../stdin.ts';

/** Longest that one call is waited for; the skill's own limit is shorter. */
const CALL_TIMEOUT_MS = 15 * 60_000;

/** `berth call` */
export const call = command({
  name: 'call',
  group: 'Use skills',
  summary: 'Call a tool, on the same path as an agent does',
  arguments: {
    skill: { about: 'its name or alias' },
    tool: { about: 'the name of the tool' },
    arguments: { about: 'a JSON object, or - for stdin; {} when left out', optional: true },
  },
  options: {},
  examples: [
    'berth call local.me/hello greet',
    'berth call files read \'{"path":"README.md"}\'',
    'echo \'{"text":"todo"}\' | berth call files search -',
  ],
  async run(context, { skill, tool, arguments: given }) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const text = given === '-' ? await readStdin(context.stdin, 'a JSON object') : (given ?? '{}');
    const body = { skill, tool, arguments: parseArguments(text) };
    // Raw: into a pipe goes exactly what the tool said.
    const result = await context
      .hub(adminApi.call, { body, timeoutMs: CALL_TIMEOUT_MS, raw: true })
      .catch(async (error: unknown) => {
        throw forPerson(await withWhatThereIs(context, error, skill), skill);
      });
    if (result['isError'] === true) {
      throw new AppError('skill-error', {
        detail: textOf(result) || `${tool} of ${skill} failed without saying why.`,
        data: { result },
      });
    }
    const said = textOf(result);
    return { data: result, text: context.terminal ? plain(said) : said };
  },
});

/** The hub tells agents what to do about a refusal; a person at a terminal is told where the reason stands. */
function forPerson(error: unknown, skill: string): unknown {
  if (!(error instanceof AppError) || !['call-needs-approval', 'call-denied'].includes(error.code))
    return error;
  return new AppError(error.code, {
    detail: error.message,
    hint: `An admin chooses for each tool whether it runs, is asked about or is off: berth info ${skill}`,
    ...(error.data === undefined ? {} : { data: error.data }),
    cause: error,
  });
}

/** A tool that isn't there, with the tools that are. */
async function withWhatThereIs(context: Context, error: unknown, skill: string): Promise<unknown> {
  if (!(error instanceof AppError) || error.code !== 'tool-not-found') return error;
  const { adminApi } = await import('../../hub/admin-api.ts');
  const skills = await context.hub(adminApi.skills, {}).catch(() => []);
  const found = skills.find(({ name, alias }) => name === skill || alias === skill);
  if (found === undefined) return error;
  const names = found.tools.map(({ name }) => name);
  return new AppError(error.code, {
    detail: `${error.message.replace(/\.$/, '')} in ${found.name}.`,
    hint:
      names.length === 0
        ? `${found.name} has no tools; it gives agents instructions.`
        : `Its tools: ${names.join(', ')}`,
    cause: error,
  });
}

function parseArguments(text: string): Record<string, unknown> {
  const invalid = (cause?: unknown): AppError =>
    new AppError('usage-invalid', {
      detail: 'The arguments are not one JSON object.',
      hint: 'Write them like \'{"path": "README.md"}\', quoted for the shell, or give - and pipe them in.',
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid();
  return value as Record<string, unknown>;
}

/** What a person reads of a result: its texts, and in brackets what cannot be read. */
function textOf(result: Record<string, unknown>): string {
  const content = Array.isArray(result['content']) ? (result['content'] as Record<string, unknown>[]) : [];
  const parts = content.map((block) => {
    if (typeof block['text'] === 'string') return block['text'];
    const resource = block['resource'] as Record<string, unknown> | undefined;
    if (typeof resource?.['text'] === 'string') return resource['text'];
    return `[${[block['type'], block['mimeType'], block['uri'] ?? resource?.['uri']].filter(Boolean).join(' ')}]`;
  });
  if (parts.length === 0 && result['structuredContent'] !== undefined) {
    return JSON.stringify(result['structuredContent'], undefined, 2);
  }
  return parts.join('\n');
}
