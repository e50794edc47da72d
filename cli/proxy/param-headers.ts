import type { JSONRPCRequest, JSONRPCResultResponse } from '@modelcontextprotocol/client';
import { z } from 'zod';

const toolList = z.object({
  tools: z.array(z.object({ name: z.string(), inputSchema: z.record(z.string(), z.unknown()) })),
});

/** One argument that has to be said in a header, too. */
interface Declaration {
  path: readonly string[];
  header: string;
}

/**
 * Knows which arguments of which tools have to be repeated in `Mcp-Param-*` headers (SEP-2243), which a pipe does not
 * have. The hub refuses a call without them, and the SDK's transport makes only the headers that need no list of tools.
 */
export interface ParamHeaders {
  /** Learns from an answer to `tools/list` that goes by; a whole list takes the place of the one before. */
  learn(answer: JSONRPCResultResponse): void;
  /** The headers of a request; none for whatever is no call of a tool that asks for them. */
  of(request: JSONRPCRequest): Record<string, string>;
}

/** Empty until a list has gone by. */
export function createParamHeaders(): ParamHeaders {
  let known = new Map<string, Declaration[]>();
  return {
    learn({ result }) {
      const { data } = toolList.safeParse(result);
      if (data === undefined) return;
      known = new Map(data.tools.map(({ name, inputSchema }) => [name, declarationsIn(inputSchema)]));
    },
    of({ method, params }) {
      if (method !== 'tools/call') return {};
      const { name, arguments: given } = (params ?? {}) as { name?: unknown; arguments?: unknown };
      const pairs = (known.get(String(name)) ?? []).flatMap(({ path, header }) => {
        const value = textOf(path.reduce(memberOf, given));
        return value === undefined ? [] : [[`Mcp-Param-${header}`, encoded(value)] as const];
      });
      return Object.fromEntries(pairs);
    },
  };
}

/** SEP-2243 allows the word on properties alone, at any depth. Which words are valid is for the hub to say. */
function declarationsIn(
  schema: Readonly<Record<string, unknown>>,
  path: readonly string[] = [],
): Declaration[] {
  const header = schema['x-mcp-header'];
  const own = typeof header === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(header) ? [{ path, header }] : [];
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, unknown>);
  return [
    ...own,
    ...properties.flatMap(([key, child]) =>
      typeof child === 'object' && child !== null
        ? declarationsIn(child as Record<string, unknown>, [...path, key])
        : [],
    ),
  ];
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'boolean' || Number.isFinite(value) ? String(value) : undefined;
}

/** What a header field cannot hold as it is travels as Base64, and so does what looks like that. */
function encoded(text: string): string {
  const plain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !/^=\?base64\?.*\?=$/.test(text);
  return plain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}
