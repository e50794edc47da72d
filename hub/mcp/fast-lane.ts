import type { ServerResponse } from 'node:http';
import { type Implementation, ProtocolError } from '@modelcontextprotocol/server';
import { Canceller } from '../cancellation.ts';
import { isListMethod, LISTS, type ListMethod, withoutExecution } from './lists.ts';
import { protocolError, toolFailure } from './errors.ts';
import type { Gateway, GatewayView } from './gateway.ts';
import type { Admitted } from './modern.ts';
import type { Page, Pages } from './pages.ts';
import {
  acceptsBoth,
  asksForPage,
  hasOnly,
  isObject,
  isReadyNotice,
  type LaneSession,
  legacyRequest,
  modernRequest,
  type Plain,
} from './plain-request.ts';
import { withAgent } from './principal.ts';
import { isTaskOnly } from './tasks.ts';

const MAX_NAME = 256;

export interface FastLaneParts {
  gateway: Gateway;
  pages: Pages;
  serverInfo: Implementation;
  listTtlMs: number;
  newRequestId: () => string;
  log: Parameters<typeof protocolError>[1]['log'];
}

/**
 * Answers the requests that make up nearly all traffic without the SDK: a list, or a call of a tool that neither
 * asks, logs nor reports progress, sent in perfect form. Anything else it leaves alone (`false`), so that there is
 * one judge of what is wrong with a request. What it answers is what the SDK would have answered.
 */
export type FastLane = (admitted: Admitted, session: LaneSession | undefined) => Promise<boolean>;

/** Builds the lane; pages of lists are serialised once for each view. */
export function createFastLane(parts: FastLaneParts): FastLane {
  const { gateway, pages, serverInfo, listTtlMs } = parts;
  const seen = new WeakMap<GatewayView, SeenView>();
  /** MCP 2026-07-28: every result says whose it is. */
  const stamp = { 'io.modelcontextprotocol/serverInfo': serverInfo };

  function viewed(view: GatewayView): SeenView {
    const known = seen.get(view);
    if (known !== undefined) return known;
    const fresh: SeenView = { tools: new Map(), lists: new Map() };
    for (const tool of view.tools) fresh.tools.set(String(tool['name']), shapeOf(view, tool));
    seen.set(view, fresh);
    return fresh;
  }

  function listed(view: GatewayView, method: ListMethod, page: Page, era: Plain['era']): string | undefined {
    const { lists, tools } = viewed(view);
    const { field } = LISTS[method];
    // Older revisions get schemas of other roots in another form.
    if (method === 'tools/list' && era === 'legacy' && [...tools.values()].some((tool) => !tool.isObject))
      return undefined;
    const key = `${era} ${method} ${page.index}`;
    const known = lists.get(key);
    if (known !== undefined) return withCursor(known, page);
    const more =
      era === 'modern'
        ? { ttlMs: listTtlMs, cacheScope: 'private', resultType: 'complete', _meta: stamp }
        : {};
    const entries = field === 'tools' ? page.entries.map(withoutExecution) : page.entries;
    const text = JSON.stringify({ [field]: entries, ...more });
    lists.set(key, text);
    return withCursor(text, page);
  }

  async function call(
    { id, params, era, agent }: Plain,
    { principal, scope, response }: Admitted,
    session: LaneSession | undefined,
  ): Promise<void> {
    const signal = new Canceller();
    if (era === 'legacy') session?.inFlight.set(id, signal);
    else response.once('close', () => response.writableFinished || signal.abort());
    try {
      const result = await gateway.request(withAgent(principal, agent), scope, {
        method: 'tools/call',
        params,
        signal,
      });
      answer(response, id, session, JSON.stringify(finished(result, era)));
    } catch (error) {
      if (signal.aborted) return hangUp(response, session);
      fail(response, id, session, error, era);
    } finally {
      session?.inFlight.delete(id);
    }
  }

  function finished(result: Record<string, unknown>, era: Plain['era']): Record<string, unknown> {
    const whole = projected('content' in result ? result : { content: [], ...result }, era);
    if (era === 'legacy') return whole;
    const { _meta: meta = {} } = whole;
    return { ...whole, resultType: 'complete', _meta: isObject(meta) ? { ...stamp, ...meta } : meta };
  }

  function fail(
    response: ServerResponse,
    id: string | number,
    session: LaneSession | undefined,
    thrown: unknown,
    era: Plain['era'],
  ): void {
    const place = { requestId: parts.newRequestId(), log: parts.log };
    try {
      answer(response, id, session, JSON.stringify(finished(toolFailure(thrown, place), era)));
    } catch (refused) {
      const { code, message, data } =
        refused instanceof ProtocolError ? refused : protocolError(refused, place);
      write(response, session, JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, data } }));
    }
  }

  return async (admitted, session) => {
    const { request, response, body, principal, scope } = admitted;
    if (!acceptsBoth(request.headers.accept)) return false;
    if (session !== undefined && isReadyNotice(request.headers, body, session)) {
      session.hold(response);
      response.writeHead(202, PRIVATE_HEADERS).end();
      return true;
    }
    const plain =
      session === undefined
        ? modernRequest(request.headers, body)
        : legacyRequest(request.headers, body, session);
    if (plain === undefined) return false;
    const view = gateway.view(principal, scope);
    if (isListMethod(plain.method)) {
      const { method } = plain;
      const entries = LISTS[method].of(view);
      if (scope.kind === 'skill' && entries.length === 0) return false;
      if (!asksForPage(plain.params)) return false;
      const { cursor } = plain.params;
      const page = pages.find({ principal, scope, method, entries, cursor });
      if (page === undefined) return false;
      const text = listed(view, method, page, plain.era);
      if (text === undefined) return false;
      session?.hold(response);
      answer(response, plain.id, session, text);
      return true;
    }
    if (plain.method !== 'tools/call') return false;
    const tool = viewed(view).tools.get(String(plain.params['name']));
    if (tool === undefined || !isPlainCall(plain, tool)) return false;
    session?.hold(response);
    await call(plain, admitted, session);
    return true;
  };
}

interface SeenView {
  tools: Map<string, ToolShape>;
  /** JSON of each page, by era, method and index. */
  lists: Map<string, string>;
}

interface ToolShape {
  /** Whether its structured content is an object in every era. */
  isObject: boolean;
  /** Whether arguments of it are repeated in `Mcp-Param-…` headers. */
  hasHeaders: boolean;
  /** Whether its skill may turn to the client during a call. */
  mayAsk: boolean;
  /** Whether clients of MCP 2026-07-28 get it as a task only. */
  isTask: boolean;
}

function shapeOf(view: GatewayView, tool: Record<string, unknown>): ToolShape {
  const output = tool['outputSchema'] as { type?: unknown } | undefined;
  return {
    isObject: output === undefined || output.type === 'object',
    hasHeaders: JSON.stringify(tool['inputSchema'] ?? {}).includes('"x-mcp-header"'),
    isTask: isTaskOnly(tool),
    mayAsk: view.asking.has(String(tool['name'])),
  };
}

function isPlainCall({ params, era, isTalkative }: Plain, tool: ToolShape): boolean {
  if (tool.hasHeaders || !tool.isObject || (era === 'modern' && tool.isTask)) return false;
  // That a modern client cannot be asked may be an error with an HTTP status of its own.
  if (tool.mayAsk && (isTalkative || era === 'modern')) return false;
  const { name, arguments: args } = params;
  return (
    typeof name === 'string' &&
    name.length <= MAX_NAME &&
    (args === undefined || isObject(args)) &&
    hasOnly(params, ['name', 'arguments', '_meta'])
  );
}

/** Cursors are of one client; what goes before them is the same for all who see the same. */
function withCursor(text: string, { nextCursor }: Page): string {
  return nextCursor === undefined ? text : `${text.slice(0, -1)},"nextCursor":${JSON.stringify(nextCursor)}}`;
}

/** SEP-2106 §4.3: what is not an object is said as text, too, and older revisions know only objects. */
function projected(result: Record<string, unknown>, era: Plain['era']): Record<string, unknown> {
  const { structuredContent, content } = result;
  if (structuredContent === undefined || isObject(structuredContent)) return result;
  const said = content as { type?: unknown }[];
  const text = { type: 'text', text: JSON.stringify(structuredContent) };
  return {
    ...result,
    content: said.some(({ type }) => type === 'text') ? said : [...said, text],
    ...(era === 'legacy' ? { structuredContent: { result: structuredContent } } : {}),
  };
}

/** What every answer of the endpoint says beside its own headers. */
export const PRIVATE_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

/** As Node writes them fastest: names and values in turns. */
const JSON_HEADERS = [...Object.entries(PRIVATE_HEADERS).flat(), 'content-type', 'application/json'];

function answer(
  response: ServerResponse,
  id: string | number,
  session: LaneSession | undefined,
  result: string,
): void {
  write(response, session, `{"result":${result},"jsonrpc":"2.0","id":${JSON.stringify(id)}}`);
}

function write(response: ServerResponse, session: LaneSession | undefined, text: string): void {
  if (response.destroyed) return;
  const headers = [...JSON_HEADERS, 'content-length', String(Buffer.byteLength(text))];
  if (session !== undefined) headers.push('mcp-session-id', session.id);
  response.writeHead(200, headers);
  response.end(text);
}

/** A cancelled request of a session has no answer: its stream ends without one. */
function hangUp(response: ServerResponse, session: LaneSession | undefined): void {
  if (response.destroyed) return;
  response.writeHead(200, {
    ...PRIVATE_HEADERS,
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    ...(session === undefined ? {} : { 'mcp-session-id': session.id }),
  });
  response.end();
}
