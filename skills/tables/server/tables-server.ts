import { McpServer, type CallToolResult, type ServerContext } from '@modelcontextprotocol/server';
import * as z from 'zod';
import type { Engine } from './engine.ts';
import { dataFiles } from './workspace.ts';

const INSTRUCTIONS = `Answers questions about data files of one folder in SQL (SQLite's dialect), without changing them.
Find files with "list", look at their columns with "describe", then "query". Name files in the map "tables", such as
{"sales": "data/2026/sales.csv"}, or quote their path in the SQL: SELECT * FROM "data/2026/sales.csv".
Nested values of JSON and Parquet are JSON text: use ->> and json_each(). Times are ISO 8601 text: use date(), strftime().`;

const READS = { readOnlyHint: true, openWorldHint: false } as const;
const DEFAULT_TIMEOUT_MS = 10_000;
/** Under the thirty seconds after which the hub would give up. */
const MOST_TIMEOUT_MS = 25_000;
const MOST_ROWS = 1000;
const MOST_TABLES = 16;

const timeoutMs = z
  .int()
  .min(100)
  .max(MOST_TIMEOUT_MS)
  .default(DEFAULT_TIMEOUT_MS)
  .describe('Time the work may take.');
const cells = z.array(z.array(z.union([z.string(), z.number(), z.null()])));
const format = z.enum(['csv', 'tsv', 'json', 'ndjson', 'parquet']);

const listInput = z.strictObject({
  path: z.string().default('.').describe('Folder to look in, relative to the workspace root.'),
  limit: z.int().min(1).max(2000).default(200),
});
const listOutput = z.object({
  files: z.array(z.object({ path: z.string(), format, sizeBytes: z.int(), modified: z.string() })),
  truncated: z.boolean(),
});

const describeInput = z.strictObject({
  path: z.string().min(1).describe('File to look at, relative to the workspace root.'),
  sampleRows: z.int().min(0).max(50).default(5),
  timeoutMs,
});
const describeOutput = z.object({
  path: z.string(),
  rowCount: z.int(),
  columns: z.array(
    z.object({
      name: z.string(),
      type: z.string().describe('integer, real, text, blob or null; several with | between.'),
      nulls: z.int(),
    }),
  ),
  sample: cells,
});

const queryInput = z.strictObject({
  sql: z
    .string()
    .min(1)
    .max(64_000)
    .describe('One SELECT, WITH or EXPLAIN statement in the dialect of SQLite.'),
  tables: z
    .record(z.string().regex(/^[A-Za-z_]\w{0,62}$/), z.string().min(1))
    .refine((tables) => Object.keys(tables).length <= MOST_TABLES, `name at most ${MOST_TABLES} tables`)
    .default({})
    .describe('Names (letters, digits, _) for files: {"sales": "data/sales.csv"}.'),
  limit: z.int().min(1).max(MOST_ROWS).default(100).describe('Most rows to answer.'),
  timeoutMs,
});
const queryOutput = z.object({
  columns: z.array(z.string()),
  rows: cells.describe('Integers beyond 2^53 are texts of their digits; blobs are hexadecimal.'),
  truncated: z
    .enum(['rows', 'size'])
    .optional()
    .describe('There is more; use LIMIT and OFFSET, or aggregate.'),
  cellsCut: z.int().describe('Cells whose text was cut.'),
  tables: z.array(z.object({ name: z.string(), path: z.string(), rows: z.int() })),
});

/** The MCP server: three tools that read. */
export function tablesServer({
  root,
  engine,
}: {
  readonly root: string;
  readonly engine: Engine;
}): McpServer {
  const server = new McpServer(
    { name: 'tables', version: '1.0.0', title: 'Tables' },
    { instructions: INSTRUCTIONS, capabilities: { tools: { listChanged: false } } },
  );

  server.registerTool(
    'list',
    {
      title: 'List data files',
      description: 'Lists the CSV, TSV, JSON, NDJSON and Parquet files of a folder and the folders in it.',
      inputSchema: listInput,
      outputSchema: listOutput,
      annotations: READS,
    },
    ({ path, limit }) => answer(() => dataFiles(root, path, limit), listText),
  );
  server.registerTool(
    'describe',
    {
      title: 'Describe a file',
      description:
        'Answers the columns of a data file with their types, how many rows it has, and the first of them.',
      inputSchema: describeInput,
      outputSchema: describeOutput,
      annotations: READS,
    },
    (args, ctx) =>
      answer(async () => {
        const request = { kind: 'describe', path: args.path, sampleRows: args.sampleRows } as const;
        const { path, rows, columns, sample } = await engine.run(request, {
          ...termsOf(ctx),
          timeoutMs: args.timeoutMs,
        });
        return { path, rowCount: rows, columns: [...columns], sample: [...sample.rows] };
      }, describeText),
  );
  server.registerTool(
    'query',
    {
      title: 'Query files',
      description: 'Runs one read-only SQL statement (SQLite) over data files and answers its rows.',
      inputSchema: queryInput,
      outputSchema: queryOutput,
      annotations: READS,
    },
    (args, ctx) =>
      answer(async () => {
        const request = { kind: 'query', sql: args.sql, tables: args.tables, mostRows: args.limit } as const;
        const { columns, rows, truncated, cellsCut, tables } = await engine.run(request, {
          ...termsOf(ctx),
          timeoutMs: args.timeoutMs,
        });
        const result = { columns: [...columns], rows: [...rows], cellsCut, tables: [...tables] };
        return truncated === undefined ? result : { ...result, truncated };
      }, queryText),
  );
  return server;
}

/** How the caller's request stops the work and hears of it. */
function termsOf(ctx: ServerContext): { signal: AbortSignal; onNews: (text: string) => void } {
  const { _meta: meta, notify, signal } = ctx.mcpReq;
  let progress = 0;
  const onNews = (message: string): void => {
    if (meta?.progressToken === undefined) return;
    progress += 1;
    const params = { progressToken: meta.progressToken, progress, message };
    // News is a courtesy: when it cannot be delivered any more, the answer says what happened.
    notify({ method: 'notifications/progress', params }).catch(() => undefined);
  };
  return { signal, onNews };
}

/** Runs a tool and renders its result twice: structured, and as the text a model reads. */
async function answer<T extends Record<string, unknown>>(
  work: () => Promise<T>,
  text: (result: T) => string,
): Promise<CallToolResult> {
  try {
    const result = await work();
    return { content: [{ type: 'text', text: text(result) }], structuredContent: result };
  } catch (error) {
    return { content: [{ type: 'text', text: explain(error as NodeJS.ErrnoException) }], isError: true };
  }
}

function explain({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EACCES' || code === 'EPERM') return 'The system does not permit reading that.';
  if (code === 'ENOTDIR') return 'That is a file. Name a folder, or "describe" the file.';
  return message;
}

function listText({ files, truncated }: z.output<typeof listOutput>): string {
  if (files.length === 0) return 'There are no data files here.';
  const lines = files.map(({ path, format: kind, sizeBytes }) => `${path}  ${kind}  ${sizeBytes} bytes`);
  return truncated
    ? [...lines, '… more not shown; name a folder further down.'].join('\n')
    : lines.join('\n');
}

function describeText({ path, rowCount, columns, sample }: z.output<typeof describeOutput>): string {
  const described = columns.map(
    ({ name, type, nulls }) => `  ${name}: ${type}${nulls > 0 ? `, ${nulls} null` : ''}`,
  );
  const names = columns.map(({ name }) => name);
  return [
    `${path}: ${rowCount} rows`,
    ...described,
    ...(sample.length > 0 ? ['', grid(names, sample)] : []),
  ].join('\n');
}

function queryText({ columns, rows, truncated, cellsCut }: z.output<typeof queryOutput>): string {
  const notes = [`${rows.length} ${rows.length === 1 ? 'row' : 'rows'}`];
  if (truncated) notes.push(`there are more (stopped by ${truncated}): use LIMIT and OFFSET, or aggregate`);
  if (cellsCut > 0) notes.push(`${cellsCut} long cells are cut`);
  return `${grid(columns, rows)}\n[${notes.join('; ')}]`;
}

function grid(columns: readonly string[], rows: readonly (string | number | null)[][]): string {
  const line = (row: readonly (string | number | null)[]): string =>
    row.map((cell) => (cell === null ? '' : String(cell).replace(/\s+/g, ' '))).join(' | ');
  return [line(columns), ...rows.map(line)].join('\n');
}
