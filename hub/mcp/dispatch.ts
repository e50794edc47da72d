import {
  CLIENT_INFO_META_KEY,
  type CallToolResult,
  type JSONRPCRequest,
  ProtocolError,
  ProtocolErrorCode,
  type Result,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { Logger } from '../../protocol/node/logger.ts';
import type { Tasks } from '../tasks/tasks.ts';
import { serves } from './capabilities.ts';
import { carried, type CarryParts } from './carry.ts';
import { missingCapability, protocolError, toolFailure } from './errors.ts';
import type { Gateway, GatewayRequest } from './gateway.ts';
import { cacheable, isListMethod, list, type ListParts, pageOf } from './lists.ts';
import { withAgent } from './principal.ts';
import { isRequest, parsed, REQUESTS } from './requests.ts';
import { isSubscription, subscribed } from './session-subscriptions.ts';
import { isSkillsMethod, skillsAnswer } from './skills.ts';
import { callAsTask, mayBeTask } from './tasks.ts';
import type { Visitor } from './visitor.ts';

export interface DispatchParts extends ListParts, CarryParts {
  gateway: Gateway;
  /** Undefined in a hub without tasks. */
  tasks?: Tasks | undefined;
  newRequestId: () => string;
  log: Logger;
}

/**
 * Answers one request of a visitor: lists from the approved view, everything else through the gateway. It is
 * the server's fallback handler, because the SDK's own handler for `tools/call` takes results through its
 * schemas, which drop what they do not know.
 */
export async function dispatch(
  parts: DispatchParts,
  visitor: Visitor,
  server: Server,
  request: JSONRPCRequest,
  context: ServerContext,
): Promise<Result> {
  const { gateway, tasks, listTtlMs, newRequestId, log } = parts;
  const { method, params } = request;
  const place = { requestId: newRequestId(), log };
  if (!serves(server.getCapabilities(), method))
    throw new ProtocolError(ProtocolErrorCode.MethodNotFound, 'Method not found');
  try {
    if (isListMethod(method)) return list(parts, visitor, method, params);
    if (visitor.era === 'legacy' && isSubscription(method))
      return await subscribed(gateway, visitor, server, method, params);
    if (isSkillsMethod(method)) {
      const { skills } = gateway.view(visitor.principal, visitor.scope);
      const pageAt = (cursor: string | undefined) => pageOf(parts, visitor, method, skills, cursor);
      return cacheable(visitor, skillsAnswer(skills, pageAt, method, params), listTtlMs);
    }
    if (!isRequest(method)) throw new ProtocolError(ProtocolErrorCode.MethodNotFound, 'Method not found');
    const sent: Record<string, unknown> = parsed(REQUESTS[method].params, params);
    const principal = withAgent(visitor.principal, agentOf(server, context));
    let send = async (order: GatewayRequest): Promise<Result> => {
      const result = await gateway.request(principal, visitor.scope, order);
      return method === 'tools/call'
        ? projected(gateway, visitor, server, { name: String(sent['name']), result })
        : perEra(visitor, method, result);
    };
    if (tasks !== undefined && visitor.era === 'modern' && method === 'tools/call') {
      const tool = toolOf(gateway, visitor, sent['name']);
      const plainly = send;
      if (mayBeTask(tool, context))
        send = (order) =>
          callAsTask(tasks, { owner: principal, tool, order, place }, context, (more) =>
            plainly({ ...order, ...more }),
          );
    }
    return await carried(parts, { ...visitor, principal }, server, { method, params: sent, context, send });
  } catch (error) {
    const lacking = visitor.era === 'modern' ? missingCapability(error) : undefined;
    if (lacking !== undefined) throw lacking;
    if (method === 'tools/call') return toolFailure(error, place);
    throw protocolError(error, place);
  }
}

/** What the client calls itself, in this request or at the start of its session. */
function agentOf(server: Server, { mcpReq }: ServerContext): unknown {
  const envelope = mcpReq.envelope as Record<string, { name?: unknown } | undefined> | undefined;
  return (envelope?.[CLIENT_INFO_META_KEY] ?? server.getClientVersion())?.name;
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

function toolOf(
  gateway: Gateway,
  { principal, scope }: Pick<Visitor, 'principal' | 'scope'>,
  name: unknown,
): Record<string, unknown> | undefined {
  return gateway.view(principal, scope).tools.find((shown) => shown['name'] === name);
}
