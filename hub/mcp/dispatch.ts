import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  type CallToolResult,
  type JSONRPCRequest,
  LOG_LEVEL_META_KEY,
  ProtocolError,
  ProtocolErrorCode,
  type Result,
  type Server,
  type ServerCapabilities,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { APPS_EXTENSION, appsOf } from '../../protocol/apps-extension.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { AppError } from '../../protocol/errors.ts';
import {
  type Answers,
  askable,
  type CallingClient,
  isAnswer,
  LOG_LEVELS,
  type LogLevel,
  type Questions,
} from '../questions.ts';
import type { Tasks } from '../tasks/tasks.ts';
import { missingCapability, protocolError, toolFailure } from './errors.ts';
import type { Gateway, GatewayRequest, GatewayView, Principal, Scope } from './gateway.ts';
import type { Listener, ParkedCalls } from './parked.ts';
import type { Pages } from './pages.ts';
import { withAgent } from './principal.ts';
import { isSkillsMethod, offersSkills, SKILLS_CAPABILITY, skillsAnswer } from './skills.ts';
import { callAsTask, declaresTasks, mayBeTask } from './tasks.ts';

/** Who stands at which door, in which era. */
export interface Visitor {
  principal: Principal;
  scope: Scope;
  era: 'modern' | 'legacy';
  /** What a session of the older revisions remembers. */
  session: SessionState;
}

/** What a session keeps between its requests. */
export interface SessionState {
  logLevel?: LogLevel;
  /** By URI, the way to stop listening. */
  subscriptions: Map<string, () => void>;
}

export interface DispatchParts {
  gateway: Gateway;
  /** Undefined in a hub without tasks. */
  tasks?: Tasks | undefined;
  /** How long a modern client may keep a list without asking again. */
  listTtlMs: number;
  parked: ParkedCalls;
  pages: Pages;
  /** How long a question waits for its answer. */
  answerTtlMs: number;
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

const levelSchema = z.enum(LOG_LEVELS);

/** Resources that one session, or one stream, may listen to. */
export const MAX_SUBSCRIPTIONS = 256;
const SUBSCRIPTIONS = { 'resources/subscribe': true, 'resources/unsubscribe': true } as const;
const subscriptionParams = z.object({ uri });

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
      ? { resources: { listChanged: true, ...(all || view.subscribable ? { subscribe: true } : {}) } }
      : {}),
    ...(view.completions ? { completions: {} } : {}),
    ...extensionsOf(view, all),
    ...(all || view.logging ? { logging: {} } : {}),
  };
}

function extensionsOf(view: GatewayView, all: boolean): Pick<ServerCapabilities, 'extensions'> {
  const extensions = {
    ...(all || view.skills.length > 0 ? SKILLS_CAPABILITY.extensions : {}),
    ...(all || view.tools.some((tool) => appsOf(tool).length > 0) ? { [APPS_EXTENSION]: {} } : {}),
  };
  return Object.keys(extensions).length === 0 ? {} : { extensions };
}

/** Whether a door with these capabilities knows the method. */
export function serves(capabilities: ServerCapabilities, method: string): boolean {
  if (isSkillsMethod(method)) return offersSkills(capabilities);
  if (isSubscription(method)) return capabilities.resources?.subscribe === true;
  const known = isListMethod(method) ? LISTS[method] : isRequest(method) ? REQUESTS[method] : undefined;
  return known !== undefined && capabilities[known.capability] !== undefined;
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

/** Up to 2025-11-25 a session subscribes by requests and hears on the stream that it has open. */
async function subscribed(
  gateway: Gateway,
  { principal, scope, session: { subscriptions } }: Visitor,
  server: Server,
  method: keyof typeof SUBSCRIPTIONS,
  params: unknown,
): Promise<Result> {
  const { uri: about } = parsed(subscriptionParams, params);
  if (method === 'resources/unsubscribe') {
    subscriptions.get(about)?.();
    subscriptions.delete(about);
    return {};
  }
  if (subscriptions.has(about)) return {};
  if (subscriptions.size >= MAX_SUBSCRIPTIONS)
    throw invalidParams('This session has too many subscriptions.');
  const stop = await gateway.subscribe(principal, scope, about, () => {
    const notification = { method: 'notifications/resources/updated', params: { uri: about } };
    // Whoever has gone away needs nothing any more.
    server.notification(notification).catch(() => undefined);
  });
  subscriptions.set(about, stop);
  return {};
}

function list(parts: DispatchParts, visitor: Visitor, method: ListMethod, params: unknown): Result {
  const { field, of } = LISTS[method];
  const whole = of(parts.gateway.view(visitor.principal, visitor.scope));
  const { entries, ...more } = pageOf(parts, visitor, method, whole, parsed(listParams, params)?.cursor);
  const shown = visitor.era === 'legacy' && field === 'tools' ? entries.map(withoutExecution) : entries;
  return cacheable(visitor, { [field]: shown, ...more }, parts.listTtlMs);
}

/** @throws ProtocolError -32602 for a cursor that leads to no page of this list as it is now. */
function pageOf<Entry extends Record<string, unknown>>(
  { pages }: DispatchParts,
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
function cacheable({ era }: Visitor, result: Record<string, unknown>, ttlMs: number): Result {
  return era === 'modern' ? { ...result, ttlMs, cacheScope: 'private' } : result;
}

/**
 * Sends a request on its way. A client that can be asked is asked in its era's way: in its session by requests, or
 * with a result that it comes back to with answers.
 */
async function carried(
  { parked, answerTtlMs }: DispatchParts,
  visitor: Visitor,
  server: Server,
  {
    method,
    params,
    context,
    send,
  }: {
    method: GatewayRequest['method'];
    params: Record<string, unknown>;
    context: ServerContext;
    /** Its result is what the client gets. */
    send: (order: GatewayRequest) => Promise<Result>;
  },
): Promise<Result> {
  const { mcpReq } = context;
  const { principal, scope } = visitor;
  const listener = listenerOf(context);
  const order = { method, params, signal: mcpReq.signal, ...listener };
  if (visitor.era === 'legacy') {
    const client: CallingClient = {
      capabilities: askable(server.getClientCapabilities()),
      ask: (questions) => askInSession(context, questions, answerTtlMs),
      ...logWanted(visitor.session.logLevel, listener),
    };
    return send({ ...order, client });
  }
  const envelope = mcpReq.envelope as Record<string, unknown> | undefined;
  const capabilities = askable(envelope?.[CLIENT_CAPABILITIES_META_KEY]);
  const level = levelSchema.safeParse(envelope?.[LOG_LEVEL_META_KEY]).data;
  const requestState = mcpReq.requestState<string>();
  // MCP 2026-07-28, basic/patterns/mrtr: only these three may ask for input.
  if (
    method === 'completion/complete' ||
    (requestState === undefined && Object.keys(capabilities).length === 0)
  ) {
    const client: CallingClient = { capabilities: {}, ask: askNobody, ...logWanted(level, listener) };
    return send({ ...order, client });
  }
  const { _meta: _hop, ...asked } = params;
  const binding = {
    user: principal.user,
    client: principal.client,
    request: {
      method,
      params: asked,
      door: scope.kind === 'all' ? null : scope.name,
      // Whoever began a call that may become a task must still know tasks when it does.
      tasks: declaresTasks(context),
    },
  };
  const round = {
    binding,
    requestState,
    inputResponses: mcpReq.inputResponses,
    signal: mcpReq.signal,
    listener,
  };
  return parked.round(round, (ask, signal, heard) =>
    send({
      method,
      params,
      signal,
      ...(listener.onProgress === undefined ? {} : { onProgress: heard.onProgress }),
      client: { capabilities, ask, ...logWanted(level, heard) },
    }),
  );
}

/** Who hears of progress and of log messages, as far as the stream of this request can carry them. */
function listenerOf({ mcpReq }: ServerContext): Listener {
  const { _meta: { progressToken } = {} } = mcpReq;
  // Whoever has gone away needs nothing any more.
  const notify = (method: string, params: Record<string, unknown>) =>
    void mcpReq.notify({ method, params }).catch(() => undefined);
  const log = (message: Record<string, unknown>) => notify('notifications/message', message);
  if (progressToken === undefined) return { log };
  let furthest = -Infinity;
  return {
    log,
    onProgress(progress) {
      // MCP: progress must increase. Clients treat anything else as a fault of the hub.
      if (progress.progress <= furthest) return;
      furthest = progress.progress;
      notify('notifications/progress', { progressToken, ...progress });
    },
  };
}

function logWanted(
  logLevel: LogLevel | undefined,
  { log }: Pick<Listener, 'log'>,
): Pick<CallingClient, 'logLevel' | 'log'> {
  return logLevel === undefined ? {} : { logLevel, log };
}

const anyResult = z.looseObject({});

/** Up to 2025-11-25 a question is a request, on the stream of the call that it belongs to. */
async function askInSession(
  { mcpReq }: ServerContext,
  questions: Questions,
  timeout: number,
): Promise<Answers> {
  const answers = Object.entries(questions).map(async ([key, { method, params }]) => {
    const answer = await mcpReq
      .send({ method, params }, anyResult, { timeout, signal: mcpReq.signal })
      .catch((cause: unknown) => {
        throw new AppError('question-unanswered', { detail: 'The client did not answer.', cause });
      });
    if (isAnswer(method, answer)) return [key, answer] as const;
    throw new AppError('question-unanswered', { detail: 'The client answered with something else.' });
  });
  return Object.fromEntries(await Promise.all(answers));
}

function askNobody(): Promise<never> {
  return Promise.reject(
    new AppError('question-unanswered', { detail: 'This client cannot be asked anything.' }),
  );
}

/** What the client calls itself, in this request or at the start of its session. */
function agentOf(server: Server, { mcpReq }: ServerContext): unknown {
  const envelope = mcpReq.envelope as Record<string, { name?: unknown } | undefined> | undefined;
  return (envelope?.[CLIENT_INFO_META_KEY] ?? server.getClientVersion())?.name;
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

function isSubscription(method: string): method is keyof typeof SUBSCRIPTIONS {
  return Object.hasOwn(SUBSCRIPTIONS, method);
}

/** Whether a method lists things. */
export function isListMethod(method: string): method is ListMethod {
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
