import type { JSONRPCRequest, JSONRPCResultResponse } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { type ParamHeader, paramHeaderFields, paramHeadersOf } from '../../protocol/param-headers.ts';

const toolList = z.object({ tools: z.array(z.object({ name: z.string(), inputSchema: z.unknown() })) });

/**
 * Knows which arguments of which tools have to be repeated in `Mcp-Param-*` headers (SEP-2243), which a pipe does not
 * have. The hub refuses a call without them, and the SDK's transport makes only the headers that need no list of tools.
 */
export interface KnownParamHeaders {
  /** Learns from an answer to `tools/list` that goes by; a whole list takes the place of the one before. */
  learn(answer: JSONRPCResultResponse): void;
  /** The headers of a request; none for whatever is no call of a tool that asks for them. */
  of(request: JSONRPCRequest): Record<string, string>;
}

/** Empty until a list has gone by. Which schemas are valid is for the hub to say. */
export function createParamHeaders(): KnownParamHeaders {
  let known = new Map<string, readonly ParamHeader[]>();
  return {
    learn({ result }) {
      const { data } = toolList.safeParse(result);
      if (data === undefined) return;
      known = new Map(data.tools.map(({ name, inputSchema }) => [name, paramHeadersOf(inputSchema).headers]));
    },
    of({ method, params }) {
      if (method !== 'tools/call') return {};
      const { name, arguments: given } = (params ?? {}) as { name?: unknown; arguments?: unknown };
      return paramHeaderFields(known.get(String(name)) ?? [], given);
    },
  };
}
