import { type ParamHeader, paramHeaderFields, paramHeadersOf } from '../../protocol/param-headers.ts';
import { isObject } from './peer.ts';

/** Which arguments of which remote tools go into headers, too (MCP 2026-07-28, Streamable HTTP). */
export interface ToolHeaders {
  /**
   * Learns from one page of a list, and answers with the page without the tools whose definition is not valid, which
   * clients must leave out. The first page takes the place of the list before.
   */
  learn(params: Record<string, unknown>, tools: unknown): { tools: unknown; left: Left[] };
  /** The headers of a request; none for whatever is no call of a tool that asks for them. */
  of(method: string, params: Record<string, unknown>): Record<string, string>;
}

interface Left {
  name: unknown;
  fault: string;
}

/** Empty until a list has gone by. */
export function createToolHeaders(): ToolHeaders {
  const known = new Map<unknown, readonly ParamHeader[]>();
  return {
    learn(params, tools) {
      if (!Array.isArray(tools)) return { tools, left: [] };
      if (params['cursor'] === undefined) known.clear();
      const left: Left[] = [];
      const kept = tools.filter((tool) => {
        if (!isObject(tool)) return true;
        const { name } = tool;
        const { headers, fault } = paramHeadersOf(tool['inputSchema']);
        if (fault === undefined) known.set(name, headers);
        else left.push({ name, fault });
        return fault === undefined;
      });
      return { tools: kept, left };
    },
    of: (method, { name, arguments: given }) =>
      method === 'tools/call' ? paramHeaderFields(known.get(name) ?? [], given) : {},
  };
}
