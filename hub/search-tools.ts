import { z } from 'zod';
import { AppError } from '../protocol/errors.ts';
import type { InstalledSkill } from './installed.ts';
import { parametersOf, type ToolIndex, type WireTool } from './tool-search.ts';

/** How many tools one answer holds at most, and when nothing else was asked for. */
const MAX_FOUND = 20;
const USUALLY_FOUND = 5;
const MAX_DESCRIBED = 20;
/** Of a description in the list of what was found; `describe_tools` has all of it. */
const MAX_SUMMARY_LETTERS = 240;

const MAX_NAMED_SKILLS = 40;

const searchArguments = z.object({
  query: z.string().trim().min(1).max(1000),
  limit: z.number().int().min(1).max(MAX_FOUND).optional(),
});
const describeArguments = z.object({ names: z.array(z.string().max(256)).min(1).max(MAX_DESCRIBED) });
const callArguments = z.object({
  name: z.string().min(1).max(256),
  arguments: z.record(z.string(), z.unknown()).optional(),
});

const looksOnly = { readOnlyHint: true, openWorldHint: false };

/** What a client in search mode lists instead of all tools. None is named like a tool of a skill, which has `__`. */
export const SEARCH_TOOLS: readonly Record<string, unknown>[] = [
  {
    name: 'search_tools',
    description:
      'Find tools by what they do. Returns names, summaries and parameters (* required), best first. ' +
      'Search here before you say that something cannot be done.',
    inputSchema: {
      type: 'object',
      properties: {
        query: { type: 'string', description: 'What you want to do, such as "send a Slack message"' },
        limit: { type: 'integer', minimum: 1, maximum: MAX_FOUND, default: USUALLY_FOUND },
      },
      required: ['query'],
    },
    annotations: looksOnly,
  },
  {
    name: 'describe_tools',
    description:
      'Get the whole definition of tools that search_tools found, with the schema of their arguments.',
    inputSchema: {
      type: 'object',
      properties: {
        names: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: MAX_DESCRIBED },
      },
      required: ['names'],
    },
    annotations: looksOnly,
  },
  {
    name: 'call_tool',
    description: 'Call a tool by the name that search_tools gave, and get its own result.',
    inputSchema: {
      type: 'object',
      properties: {
        name: { type: 'string' },
        arguments: { type: 'object', description: 'As the schema of that tool says' },
      },
      required: ['name'],
    },
  },
];

/** What a client in search mode is told instead of the instructions of all skills, which come with their tools. */
export function searchInstructions(tools: readonly WireTool[]): string {
  const skills = new Set(tools.map(({ name }) => String(name).split('__')[0]));
  const named = [...skills].slice(0, MAX_NAMED_SKILLS).join(', ');
  const more = skills.size > MAX_NAMED_SKILLS ? ' and more' : '';
  return (
    `${tools.length} tools are here, of ${named}${more}. They are not listed: find them with search_tools, ` +
    'look up their arguments with describe_tools, and call them with call_tool.'
  );
}

/** Answers `search_tools` from tools that may be seen. @throws AppError `arguments-invalid`. */
export function searchTools(index: ToolIndex, params: Record<string, unknown>): Record<string, unknown> {
  const { query, limit } = argumentsOf(searchArguments, params);
  const found = index.search(query, limit ?? USUALLY_FOUND);
  if (found.length === 0) return text('No tool fits these words. Say it in other words, or in fewer.');
  return text(found.map(summaryOf).join('\n'));
}

/**
 * Answers `describe_tools` from tools that may be seen, with what their skills say to every client.
 * @throws AppError `arguments-invalid`, also when none of them is there.
 */
export function describeTools(
  tools: readonly WireTool[],
  skillOf: (tool: string) => Pick<InstalledSkill, 'alias' | 'surface'>,
  params: Record<string, unknown>,
): Record<string, unknown> {
  const names = new Set(argumentsOf(describeArguments, params).names);
  const described = tools.filter((tool) => names.has(String(tool['name'])));
  const missing = [...names].filter((name) => !described.some((tool) => tool['name'] === name));
  if (described.length === 0) {
    throw new AppError('arguments-invalid', {
      detail: `No tool is named ${missing.map((name) => JSON.stringify(name)).join(', ')}.`,
      hint: 'The tool search_tools gives the names.',
    });
  }
  const notes = Object.fromEntries(
    described
      .map((tool) => skillOf(String(tool['name'])))
      .flatMap(({ alias, surface: { instructions } }) =>
        instructions === undefined ? [] : [[alias, instructions]],
      ),
  ) as Record<string, string>;
  return text(
    JSON.stringify({
      tools: described,
      ...(Object.keys(notes).length === 0 ? {} : { instructions: notes }),
      ...(missing.length === 0 ? {} : { missing }),
    }),
  );
}

/** The `tools/call` that a `call_tool` stands for. @throws AppError `arguments-invalid`. */
export function calledTool(params: Record<string, unknown>): Record<string, unknown> {
  const { name, arguments: given } = argumentsOf(callArguments, params);
  return { ...params, name, arguments: given ?? {} };
}

/** `files__read(path*, head): Read a file`: what is needed to choose, and often enough to call. */
function summaryOf(tool: WireTool): string {
  const takes = parametersOf(tool).map(({ name, required }) => `${name}${required ? '*' : ''}`);
  const said = [tool['description'], tool['title']].find((text) => typeof text === 'string') ?? '';
  const line = said.replaceAll(/\s+/g, ' ');
  const short = line.length > MAX_SUMMARY_LETTERS ? `${line.slice(0, MAX_SUMMARY_LETTERS)}…` : line;
  return `${String(tool['name'])}(${takes.join(', ')}): ${short}`;
}

function argumentsOf<Schema extends z.ZodType>(
  schema: Schema,
  params: Record<string, unknown>,
): z.output<Schema> {
  const outcome = schema.safeParse(params['arguments'] ?? {});
  if (outcome.success) return outcome.data;
  const [fault] = outcome.error.issues;
  throw new AppError('arguments-invalid', {
    detail: `${fault?.path.join('.') ?? ''}: ${fault?.message ?? ''}`.slice(0, 500),
  });
}

function text(said: string): Record<string, unknown> {
  return { content: [{ type: 'text', text: said }] };
}
