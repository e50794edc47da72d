import type { Result } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Gateway, GatewayView } from './gateway.ts';
import type { Pages } from './pages.ts';
import { invalidParams, parsed } from './requests.ts';
import type { Visitor } from './visitor.ts';

/** The lists of which MCP has one for each kind of thing. */
export const LISTS = {
  'tools/list': { capability: 'tools', field: 'tools', of: (view: GatewayView) => view.tools },
  'prompts/list': { capability: 'prompts', field: 'prompts', of: (view: GatewayView) => view.prompts },
  'resources/list': {
    capability: 'resources',
    field: 'resources',
    of: (view: GatewayView) => view.resources,
  },
  'resources/templates/list': {
    capability: 'resources',
    field: 'resourceTemplates',
    of: (view: GatewayView) => view.resourceTemplates,
  },
} as const;

export type ListMethod = keyof typeof LISTS;

/** Whether a method lists things. */
export function isListMethod(method: string): method is ListMethod {
  return Object.hasOwn(LISTS, method);
}

const listParams = z.object({ cursor: z.string().optional() }).optional();

export interface ListParts {
  gateway: Pick<Gateway, 'view'>;
  pages: Pages;
  /** How long a modern client may keep a list without asking again. */
  listTtlMs: number;
}

/** Answers a list from the approved view. @throws ProtocolError -32602. */
export function list(parts: ListParts, visitor: Visitor, method: ListMethod, params: unknown): Result {
  const { field, of } = LISTS[method];
  const whole = of(parts.gateway.view(visitor.principal, visitor.scope));
  const { entries, ...more } = pageOf(parts, visitor, method, whole, parsed(listParams, params)?.cursor);
  const shown = visitor.era === 'legacy' && field === 'tools' ? entries.map(withoutExecution) : entries;
  return cacheable(visitor, { [field]: shown, ...more }, parts.listTtlMs);
}

/** The page that a cursor leads to. @throws ProtocolError -32602 for a cursor that leads to no page of this list as it is now. */
export function pageOf<Entry extends Record<string, unknown>>(
  { pages }: Pick<ListParts, 'pages'>,
  { principal, scope }: Visitor,
  method: string,
  entries: readonly Entry[],
  cursor: string | undefined,
): { entries: readonly Entry[]; nextCursor?: string } {
  const page = pages.find({ principal, scope, method, entries, cursor });
  if (page !== undefined) {
    const { index: _index, ...shown } = page;
    return shown;
  }
  throw invalidParams(
    'This cursor leads to no page: it was altered, is of another list or client, or the list has changed since. ' +
      'List again from the start, without a cursor.',
  );
}

/** Older revisions know nothing of caching; what a principal sees is never shared. */
export function cacheable({ era }: Visitor, result: Record<string, unknown>, ttlMs: number): Result {
  return era === 'modern' ? { ...result, ttlMs, cacheScope: 'private' } : result;
}

/**
 * A tool as clients see it. `execution` speaks of tasks of 2025-11-25, which the hub has none of, and whose clients
 * refuse to call a tool that says it must be one; 2026-07-28 has no such member.
 */
export function withoutExecution({
  execution: _execution,
  ...tool
}: Record<string, unknown>): Record<string, unknown> {
  return tool;
}
