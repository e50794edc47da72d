import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { classifyInboundRequest, type Implementation } from '@modelcontextprotocol/server';
import { AppError } from '../../protocol/errors.ts';
import { stopping } from '../../protocol/node/http-server.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { type BucketSize, rateLimiter } from '../../protocol/node/rate-limit.ts';
import { type Clock, systemClock } from '../clock.ts';
import { MAX_RESULT_BYTES } from '../result.ts';
import type { Tasks } from '../tasks/tasks.ts';
import { createChangeNotices } from './changes.ts';
import { type Challenge, refuse } from './errors.ts';
import { createFastLane, PRIVATE_HEADERS } from './fast-lane.ts';
import type { Gateway, Principal, Scope } from './gateway.ts';
import {
  type Authenticate,
  type BodyLimits,
  pathOf,
  readJson,
  refuseForeign,
  scopeOf,
  signIn,
} from './guards.ts';
import { createLegacyDoor, type SessionLimits } from './legacy.ts';
import { createModernDoor, type Door } from './modern.ts';
import { createPages, type PageLimits } from './pages.ts';
import { createParkedCalls, type ParkingLimits } from './parked.ts';

/** Bounds of the endpoint. */
export interface EndpointLimits extends BodyLimits, SessionLimits, ParkingLimits, PageLimits {
  /** `subscriptions/listen` streams of one client at one door. */
  subscriptionsPerClient: number;
  /** Requests of one client that are being answered, open streams included. */
  requestsPerClient: number;
  /** How fast they may come. */
  requestRate: BucketSize;
  /** How long a modern client may keep a list without asking again; calls are checked whatever it keeps. */
  listTtlMs: number;
}

/** Enough for any client that means well. */
const DEFAULT_ENDPOINT_LIMITS: EndpointLimits = {
  requestBytes: 4 * 1024 * 1024,
  requestDepth: 64,
  sessionTtlMs: 30 * 60_000,
  sessionsPerClient: 64,
  subscriptionsPerClient: 32,
  requestsPerClient: 512,
  requestRate: { perMinute: 600_000, burst: 20_000 },
  listTtlMs: 5_000,
  answerTtlMs: 10 * 60_000,
  parkedPerClient: 64,
  // Clients that know no cursors are common, so one page has to do for whatever a model could take: the tools of fifty
  // skills are 400. What is beyond it is bounded as every other result is.
  pageEntries: 1_000,
  pageBytes: MAX_RESULT_BYTES,
};

export interface EndpointParts {
  gateway: Gateway;
  /** For calls that outlive their request; without it, no door has tasks. */
  tasks?: Tasks;
  authenticate: Authenticate;
  /** Refuses what a token does not cover before it is answered, so that HTTP can say so; the gateway is what decides. */
  authorize?: (principal: Principal, scope: Scope, body: unknown) => void;
  /** What a client is told at a path when its token is not taken. */
  challengeAt?: (path: string) => Challenge;
  serverInfo: Implementation;
  /** Each `host:port` by which clients reach this hub, in lower case. Asked for every request. */
  ownHosts: () => readonly string[];
  log: Logger;
  clock?: Clock;
  /** What cursors of lists are signed with. By default they hold for as long as this process, like its sessions. */
  cursorKey?: Uint8Array;
  /** Off, everything takes the SDK’s way: the answers must be the same, which tests compare. */
  fastLane?: boolean;
  limits?: Partial<EndpointLimits>;
}

/** MCP over HTTP at `/mcp` and `/s/<namespace>/<name>/mcp`. */
export interface McpEndpoint {
  /** Answers one request, whatever comes; for node:http and as an Express handler that is mounted at no path of its own. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Ends every session, stream and call of a client, once it or its token was removed. */
  end(client: string): Promise<void>;
  /**
   * Takes nothing new, and ends what would wait for ever: streams on which clients only listen, and calls whose client
   * has to come back with an answer. Calls in flight go on.
   */
  drain(): void;
  close(): Promise<void>;
}

/**
 * Serves both protocol eras on the same addresses. Nothing is read before Host, Origin and token are known
 * to be good, in this order.
 */
export function createMcpEndpoint({
  authenticate,
  authorize = () => undefined,
  challengeAt = () => ({}),
  ownHosts,
  log,
  clock = systemClock,
  cursorKey = randomBytes(32),
  fastLane = true,
  ...parts
}: EndpointParts): McpEndpoint {
  const limits = { ...DEFAULT_ENDPOINT_LIMITS, ...parts.limits };
  const { gateway, serverInfo, tasks } = parts;
  const notices = createChangeNotices({ gateway, log });
  const parked = createParkedCalls({ ...limits, clock });
  const shared = {
    ...limits,
    gateway,
    tasks,
    serverInfo,
    notices,
    parked,
    pages: createPages(limits, cursorKey),
    log,
    clock,
    newRequestId: () => randomUUID(),
  };
  const modern = createModernDoor(shared);
  const legacy = createLegacyDoor(shared);
  const lane = fastLane ? createFastLane(shared) : undefined;
  const inHand = new Map<string, number>();
  const limiter = rateLimiter(clock);
  const listening = new Set<ServerResponse>();
  let draining = false;

  async function admit(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (draining) throw stopping('The hub');
    refuseForeign(request, ownHosts());
    const scope = scopeOf(request.url ?? '/');
    const visitor = await signIn(request, authenticate);
    limiter.take(JSON.stringify([visitor.user, visitor.client]), limits.requestRate);
    takeInHand(visitor, response);
    // Throws where this door leads nowhere, before a body is read for it.
    gateway.view(visitor, scope);
    const body = request.method === 'POST' ? await readJson(request, limits) : undefined;
    // A body can take minutes to come, and a token can be removed or expire in that time.
    const principal = await signIn(request, authenticate);
    authorize(principal, scope, body);
    if (onlyListens(request, body)) noteListening(response);
    const admitted = { principal, scope, request, response, body };
    if (lane !== undefined && request.method === 'POST') {
      if (await lane(admitted, legacy.sessionOf(admitted))) return;
    }
    keepToOneself(response);
    await doorFor(request, body).serve(admitted);
  }

  /** @throws AppError `unavailable` when the hub has begun to stop while the request was read. */
  function noteListening(response: ServerResponse): void {
    if (draining) throw stopping('The hub');
    listening.add(response);
    response.once('close', () => listening.delete(response));
  }

  /** @throws AppError `rate-limited` when the client has too much going on already. */
  function takeInHand({ client }: Principal, response: ServerResponse): void {
    const before = inHand.get(client) ?? 0;
    if (before >= limits.requestsPerClient) {
      throw new AppError('rate-limited', {
        detail: `This client has ${before} requests in hand; more are taken when some are answered.`,
      });
    }
    inHand.set(client, before + 1);
    response.once('close', () => {
      const left = (inHand.get(client) ?? 1) - 1;
      if (left === 0) inHand.delete(client);
      else inHand.set(client, left);
    });
  }

  function doorFor({ method, headers }: IncomingMessage, body: unknown): Door {
    const route = classifyInboundRequest({
      httpMethod: method ?? 'GET',
      ...headerOf(headers, 'mcp-protocol-version', 'protocolVersionHeader'),
      ...headerOf(headers, 'mcp-method', 'mcpMethodHeader'),
      ...headerOf(headers, 'mcp-name', 'mcpNameHeader'),
      body,
    });
    return route.kind === 'legacy' ? legacy : modern;
  }

  return {
    async handle(request, response) {
      try {
        await admit(request, response);
      } catch (error) {
        // A client that hung up while it was read has nobody left to answer.
        if (response.destroyed) return;
        keepToOneself(response);
        const challenge = challengeAt(pathOf(request.url ?? '/'));
        refuse(response, error, { requestId: randomUUID(), log }, { challenge });
      }
    },
    async end(client) {
      parked.end(client);
      await Promise.all([modern.end(client), legacy.end(client), tasks?.end(client)]);
    },
    drain() {
      draining = true;
      parked.close();
      tasks?.askNoMore();
      for (const response of listening) {
        // Whatever was about to be said on it comes too late, which is no fault.
        response.on('error', () => undefined);
        response.end();
      }
    },
    async close() {
      notices.close();
      parked.close();
      await Promise.all([modern.close(), legacy.close()]);
    },
  };
}

/** What every answer says beside its own headers; the fast lane writes all of its own at once. */
function keepToOneself(response: ServerResponse): void {
  for (const [name, value] of Object.entries(PRIVATE_HEADERS)) response.setHeader(name, value);
}

/** Streams for news: GET in a session (MCP 2025-11-25, transports), `subscriptions/listen` since 2026-07-28. */
function onlyListens({ method }: IncomingMessage, body: unknown): boolean {
  if (method === 'GET') return true;
  return (body as { method?: unknown } | null | undefined)?.method === 'subscriptions/listen';
}

function headerOf<Key extends string>(
  headers: IncomingMessage['headers'],
  name: string,
  key: Key,
): Partial<Record<Key, string>> {
  const value = headers[name];
  return typeof value === 'string' ? ({ [key]: value } as Record<Key, string>) : {};
}
