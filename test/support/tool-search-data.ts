import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ToolIndex, WireTool } from '../../hub/tool-search.ts';

/** A query as an agent would ask it, and the tools of which each alone would be right, as `<skill>/<tool>`. */
export interface LabelledQuery {
  query: string;
  tools: string[];
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../data/tool-search', name), 'utf8'));

/** Tools modelled on well-known public servers, in wire form and named as at `/mcp`. */
export function publicTools(): WireTool[] {
  return (read('tools.json') as (WireTool & { skill: string; name: string })[]).map(
    ({ skill, name, ...tool }) => ({
      ...tool,
      name: exposed(`${skill}/${name}`),
    }),
  );
}

/** Queries in two halves, dealt out in turn: weights were chosen by the first alone. */
export function labelledQueries(): { tune: LabelledQuery[]; heldOut: LabelledQuery[] } {
  return read('queries.json') as ReturnType<typeof labelledQueries>;
}

/** The share of queries of which a right tool is among the first `limit` that are found. */
export function recallAt(limit: number, index: ToolIndex, queries: readonly LabelledQuery[]): number {
  const found = queries.filter(({ query, tools }) => {
    const right = new Set(tools.map(exposed));
    return index.search(query, limit).some(({ name }) => right.has(String(name)));
  });
  return found.length / queries.length;
}

/** Tokens of what a list answers, estimated as a quarter of the bytes of its JSON. */
export function estimatedTokens(listed: unknown): number {
  return Math.ceil(Buffer.byteLength(JSON.stringify(listed)) / 4);
}

function exposed(tool: string): string {
  return tool.replace('/', '__');
}
