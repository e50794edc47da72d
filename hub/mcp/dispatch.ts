import {
  CLIENT_INFO_META_KEY,
  type CallToolResult,
  type JSONRPCRequest,
  ProtocolError,
  ProtocolErrorCode,
  type Result,
  type Server,
  type ServerCapabilities,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Logger } from '../../protocol/node/logger.ts';
import type { Tasks } from '../tasks/tasks.ts';
import { protocolError, toolFailure } from './errors.ts';
import type { Gateway, GatewayRequest, GatewayView, Principal, Scope } from './gateway.ts';
import { callAsTask, mayBeTask } from './tasks.ts';

/** Who stands at which door, in which era. */
export interface Visitor {
  principal: Principal;
  scope: Scope;
  era: 'modern' | 'legacy';
}

export interface DispatchParts {
  gateway: Gateway;
  /** Undefined in a hub without tasks. */
  tasks?: Tasks | undefined;
  /** How long a modern client may keep a list without asking again. */
  listTtlMs: number;
  newRequestId: () => string;
  log: Logger;
}

const meta = z.record(z.string(), z.unknown()).optional();
const name = z.string().min(1).max(256);
const uri = z.string().min(1).max(8_192);
const words = z.record(z.string(), z.string());
const reference = z.union([
  z.object({ type: z.literal('ref/prompt'), name }),
  z.object({ type: z.literal('ref/resource'), uri }),
]);

const LISTS = {
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

/** What goes to a skill is what these schemas let through, and nothing beside it. */
const REQUESTS = {
  'tools/call': {
    capability: 'tools',
    params: z.object({ name, arguments: z.record(z.string(), z.unknown()).optional(), _meta: meta }),
  },
  'prompts/get': {
    capability: 'prompts',
    params: z.object({ name, arguments: words.optional(), _meta: meta }),
  },
  'resources/read': { capability: 'resources', params: z.object({ uri, _meta: meta }) },
  'completion/complete': {
    capability: 'completions',
    params: z.object({
      ref: reference,
      argument: z.object({ name, value: z.string().max(8_192) }),
      context: z.object({ arguments: words.optional() }).optional(),
      _meta: meta,
    }),
  },
} as const;

const listParams = z.object({ cursor: z.string().optional() }).optional();

/**
 * What a door offers, from what its visitor sees. At `/mcp` the kinds of things are always there, for skills
 * come and go under an open session; a single skill's door offers exactly what the skill has.
 */
export function capabilitiesOf(view: GatewayView, scope: Scope): ServerCapabilities {
  const all = scope.kind === 'all';
  return {
    ...(all || view.tools.length > 0 ? { tools: { listChanged: true } } : {}),
    ...(all || view.prompts.length > 0 ? { prompts: { listChanged: true } } : {}),
    ...(all || view.resources.length + view.resourceTemplates.length > 0
      ? { resources: { listChanged: true } }
      : {}),
    ...(view.completions ? { completions: {} } : {}),
  };
}

/** Whether a door with these capabilities knows the method. */
export function serves(capabilities: ServerCapabilities, method: string): boolean {
  const known = isList(method) ? LISTS[method] : isRequest(method) ? REQUESTS[method] : undefined;
  return known !== undefined && capabilities[known.capability] !== undefined;
}

/**
 * Answers one request of a visitor: lists from the approved view, everything else through the gateway. It is
 * the server's fallback handler, because the SDK's own handler for `tools/call` takes results through its
 * schemas, which drop what they do not know.
 */
export async function dispatch(
  { gateway, tasks, listTtlMs, newRequestId, log }: DispatchParts,
  visitor: Visitor,
  server: Server,
  request: JSONRPCRequest,
  context: ServerContext,
): Promise<Result> {
  const { method, params } = request;
  const place = { requestId: newRequestId(), log };
  if (!serves(server.getCapabilities(), method))
    throw new ProtocolError(ProtocolErrorCode.MethodNotFound, 'Method not found');
  try {
    if (isList(method))
      return list(gateway.view(visitor.principal, visitor.scope), visitor, method, params, listTtlMs);
    if (!isRequest(method)) throw new ProtocolError(ProtocolErrorCode.MethodNotFound, 'Method not found');
    const sent: Record<string, unknown> = parsed(REQUESTS[method].params, params);
    const order = gatewayRequest(method, sent, context);
    const principal = withAgent(visitor.principal, server, context);
    const answer = async (more: Partial<GatewayRequest> = {}): Promise<Result> => {
      const result = await gateway.request(principal, visitor.scope, { ...order, ...more });
      return method === 'tools/call'
        ? projected(gateway, visitor, server, { name: String(sent['name']), result })
        : perEra(visitor, method, result);
    };
    if (tasks === undefined || visitor.era === 'legacy' || method !== 'tools/call') return await answer();
    const tool = toolOf(gateway, visitor, sent['name']);
    if (!mayBeTask(tool, context)) return await answer();
    return await callAsTask(tasks, { owner: principal, tool, order, place }, context, answer);
  } catch (error) {
    if (method === 'tools/call') return toolFailure(error, place);
    throw protocolError(error, place);
  }
}

function list(
  view: GatewayView,
  { era }: Visitor,
  method: keyof typeof LISTS,
  params: unknown,
  ttlMs: number,
): Result {
  // Lists are given whole, so there is no cursor that could have come from here.
  if (parsed(listParams, params)?.cursor !== undefined) throw invalidParams('There is no such page.');
  const { field, of } = LISTS[method];
  const entries = era === 'legacy' && field === 'tools' ? of(view).map(withoutExecution) : of(view);
  return { [field]: entries, ...(era === 'modern' ? { ttlMs, cacheScope: 'private' } : {}) };
}

function gatewayRequest(
  method: GatewayRequest['method'],
  params: Record<string, unknown>,
  { mcpReq }: ServerContext,
): GatewayRequest {
  const { _meta: { progressToken } = {} } = mcpReq;
  if (progressToken === undefined) return { method, params, signal: mcpReq.signal };
  let furthest = -Infinity;
  return {
    method,
    params,
    signal: mcpReq.signal,
    onProgress(progress) {
      // MCP: progress must increase. Clients treat anything else as a fault of the hub.
      if (progress.progress <= furthest) return;
      furthest = progress.progress;
      const notification = { method: 'notifications/progress', params: { progressToken, ...progress } };
      // Whoever has gone away needs no progress.
      mcpReq.notify(notification).catch(() => undefined);
    },
  };
}

/** For display only: what the client calls itself. */
function withAgent(principal: Principal, server: Server, { mcpReq }: ServerContext): Principal {
  if (principal.agent !== undefined) return principal;
  const envelope = mcpReq.envelope as Record<string, { name?: unknown } | undefined> | undefined;
  const agent = (envelope?.[CLIENT_INFO_META_KEY] ?? server.getClientVersion())?.name;
  return typeof agent === 'string'
    ? { ...principal, agent: agent.replaceAll(/[^\x20-\x7e]/g, ' ').slice(0, 100) }
    : principal;
}

/** The hub has no tasks of MCP 2025-11-25, whose clients refuse to call a tool that says it must be one. */
function withoutExecution({
  execution: _execution,
  ...tool
}: Record<string, unknown>): Record<string, unknown> {
  return tool;
}

/** The result in the form that the visitor's era has for it: older revisions know only objects as structured content. */
function projected(
  gateway: Gateway,
  { principal, scope }: Visitor,
  server: Server,
  { name: called, result }: { name: string; result: Record<string, unknown> },
): Result {
  const whole = { content: [], ...result } as CallToolResult;
  if (whole.structuredContent === undefined) return whole;
  const tool = toolOf(gateway, { principal, scope }, called);
  return server.projectCallToolResult(whole, tool?.['outputSchema'] as Record<string, unknown> | undefined);
}

/** A skill may let its resources be cached, but never shared: what one principal may read, another may not. */
function perEra(
  { era }: Visitor,
  method: string,
  { ttlMs, cacheScope: _scope, ...result }: Record<string, unknown>,
): Result {
  if (era === 'legacy' || method !== 'resources/read') return result;
  return { ...result, ttlMs: typeof ttlMs === 'number' ? ttlMs : 0, cacheScope: 'private' };
}

function parsed<Schema extends z.ZodType>(schema: Schema, params: unknown): z.output<Schema> {
  const outcome = schema.safeParse(params);
  if (outcome.success) return outcome.data;
  const [fault] = outcome.error.issues;
  throw invalidParams(`Invalid params: ${fault?.path.join('.') ?? ''}: ${fault?.message ?? ''}`);
}

function invalidParams(message: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, message.slice(0, 500));
}

function isList(method: string): method is keyof typeof LISTS {
  return Object.hasOwn(LISTS, method);
}

function isRequest(method: string): method is keyof typeof REQUESTS {
  return Object.hasOwn(REQUESTS, method);
}

function toolOf(
  gateway: Gateway,
  { principal, scope }: Pick<Visitor, 'principal' | 'scope'>,
  name: unknown,
): Record<string, unknown> | undefined {
  return gateway.view(principal, scope).tools.find((shown) => shown['name'] === name);
}
