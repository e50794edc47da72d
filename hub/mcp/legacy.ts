import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { isInitializeRequest, Server, type ServerContext } from '@modelcontextprotocol/server';
import { AppError } from '../../protocol/errors.ts';
import type { Clock } from '../clock.ts';
import { type ListKind, ownerKey } from './changes.ts';
import { capabilitiesOf } from './capabilities.ts';
import { dispatch } from './dispatch.ts';
import type { Visitor } from './visitor.ts';
import { refuse } from './errors.ts';
import { askable } from '../questions.ts';
import type { LaneSession } from './fast-lane.ts';
import type { Principal } from './gateway.ts';
import type { Admitted, Door, DoorParts } from './modern.ts';

const SESSION_HEADER = 'mcp-session-id';

export interface SessionLimits {
  /** A session without a request and without an open stream ends after so long. */
  sessionTtlMs: number;
  /** At one door; a further one ends the client's idlest, for many clients never say goodbye. */
  sessionsPerClient: number;
}

interface Session {
  /** User, client and door; nobody else ever gets at it. */
  owner: string;
  client: string;
  transport: NodeStreamableHTTPServerTransport;
  server: Server;
  visitor: Visitor;
  inFlight: LaneSession['inFlight'];
  /** HTTP exchanges in progress, an open stream included. */
  open: number;
  lastUsed: number;
  stopTimer: () => void;
  stopListening: () => void;
}

/** The door for sessions; it also lends a session to a request that needs no stream of its own. */
export interface LegacyDoor extends Door {
  /** The session that a request names and may use. */
  sessionOf(admitted: Admitted): LaneSession | undefined;
}

/** The door for the revisions with sessions, 2024-11-05 to 2025-11-25. */
export function createLegacyDoor(parts: DoorParts & SessionLimits & { clock: Clock }): LegacyDoor {
  const { clock, log, notices } = parts;
  const sessions = new Map<string, Session>();

  async function serve(admitted: Admitted): Promise<void> {
    const { principal, scope, request, response, body } = admitted;
    const id = request.headers[SESSION_HEADER];
    if (typeof id === 'string') {
      const session = sessions.get(id);
      // A foreign session is answered like none at all.
      if (session?.owner !== ownerKey(principal, scope)) throw sessionGone();
      return exchange(session, admitted);
    }
    if (request.method !== 'POST') return methodNotAllowed(response, parts);
    if (!isInitializeRequest(body)) {
      throw new AppError('request-invalid', {
        detail: `Send initialize first and its ${SESSION_HEADER} from then on, or speak 2026-07-28, which has no sessions.`,
      });
    }
    return exchange(await open(admitted), admitted);
  }

  async function open({ principal, scope }: Admitted): Promise<Session> {
    const owner = ownerKey(principal, scope);
    makeRoom(owner);
    const view = parts.gateway.view(principal, scope);
    const server = new Server(
      parts.serverInfo,
      view.instructions === undefined ? {} : { instructions: view.instructions },
    );
    // Not in the constructor: there, the SDK adds handlers of its own for whatever is declared.
    const capabilities = capabilitiesOf(view, scope);
    server.registerCapabilities(capabilities);
    const visitor: Visitor = { principal, scope, era: 'legacy', session: { subscriptions: new Map() } };
    if (capabilities.logging !== undefined) {
      // Over the SDK's own, which keeps the level to itself.
      server.setRequestHandler('logging/setLevel', ({ params }) => {
        visitor.session.logLevel = params.level;
        return {};
      });
    }
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, session),
    });
    const session: Session = {
      owner,
      client: principal.client,
      transport,
      server,
      visitor,
      inFlight: new Map(),
      open: 0,
      lastUsed: clock.now(),
      stopTimer: () => undefined,
      stopListening: notices.listen(principal, scope, (kind) => void tellChanged(server, kind)),
    };
    server.fallbackRequestHandler = (message, context) => {
      // The SDK never answers a cancelled request; its stream would stay open for as long as the session.
      context.mcpReq.signal.addEventListener('abort', () => transport.closeSSEStream(message.id), {
        once: true,
      });
      // A session outlives its first token: each request may do what its own token opens.
      const now = { ...visitor, principal: principalOf(context) ?? principal };
      return dispatch(parts, now, server, message, context);
    };
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's callbacks are no event targets
    server.onerror = (error) => log.debug({ err: error }, 'MCP session');
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
    server.onclose = () => {
      session.stopTimer();
      for (const call of session.inFlight.values()) call.abort();
      for (const stop of visitor.session.subscriptions.values()) stop();
      session.stopListening();
      if (transport.sessionId !== undefined) sessions.delete(transport.sessionId);
    };
    await server.connect(transport);
    return session;
  }

  /** @throws AppError `rate-limited` when every session of the client is busy. */
  function makeRoom(owner: string): void {
    const own = [...sessions.values()].filter((session) => session.owner === owner);
    if (own.length < parts.sessionsPerClient) return;
    const idlest = own.filter(({ open: busy }) => busy === 0).toSorted((a, b) => a.lastUsed - b.lastUsed)[0];
    if (idlest === undefined) {
      throw new AppError('rate-limited', {
        detail: `This client has ${own.length} sessions in use at this door.`,
      });
    }
    void idlest.server.close();
  }

  async function exchange(session: Session, { principal, request, response, body }: Admitted): Promise<void> {
    hold(session, response);
    cancelInLane(session, body);
    await session.transport.handleRequest(withPrincipal(request, principal), response, body);
  }

  function sessionOf({ principal, scope, request }: Admitted): LaneSession | undefined {
    const id = request.headers[SESSION_HEADER];
    const session = typeof id === 'string' ? sessions.get(id) : undefined;
    if (typeof id !== 'string' || session?.owner !== ownerKey(principal, scope)) return undefined;
    const { visitor, server, inFlight } = session;
    const protocolVersion = server.getNegotiatedProtocolVersion();
    if (protocolVersion === undefined) return undefined;
    return {
      id,
      protocolVersion,
      agent: server.getClientVersion()?.name,
      isTalkative: Object.keys(askable(server.getClientCapabilities())).length > 0,
      wantsLogs: visitor.session.logLevel !== undefined,
      inFlight,
      hold: (response) => hold(session, response),
    };
  }

  /** Keeps a session awake while one of its exchanges lasts. */
  function hold(session: Session, response: ServerResponse): void {
    session.open += 1;
    session.stopTimer();
    response.once('close', () => {
      session.open -= 1;
      session.lastUsed = clock.now();
      if (session.open > 0) return;
      // Of an opening that failed nothing must stay either.
      if (session.transport.sessionId === undefined) void session.server.close();
      else session.stopTimer = clock.after(parts.sessionTtlMs, () => void session.server.close());
    });
  }

  async function closeWhere(fits: (session: Session) => boolean): Promise<void> {
    await Promise.all([...sessions.values()].filter(fits).map(({ server }) => server.close()));
  }

  return {
    serve,
    sessionOf,
    end: (client) => closeWhere((session) => session.client === client),
    close: () => closeWhere(() => true),
  };

  async function tellChanged(server: Server, kind: ListKind): Promise<void> {
    try {
      await server.notification({ method: `notifications/${kind}/list_changed` });
    } catch (error) {
      log.debug({ err: error }, 'a session was not told of a change');
    }
  }
}

/** A cancellation of what the fast lane carries; the SDK does not know of it. */
function cancelInLane({ inFlight }: Session, body: unknown): void {
  const { method, params } = (body ?? {}) as { method?: unknown; params?: { requestId?: unknown } };
  if (method === 'notifications/cancelled') inFlight.get(params?.requestId as string)?.abort();
}

/** The SDK carries `auth` from a request to its handlers; the token itself has no business there. */
function withPrincipal(request: IncomingMessage, principal: Principal): IncomingMessage {
  const auth = { token: '', clientId: principal.client, scopes: [], extra: { principal } };
  return Object.assign(request, { auth });
}

function principalOf({ http }: ServerContext): Principal | undefined {
  return http?.authInfo?.extra?.['principal'] as Principal | undefined;
}

function sessionGone(): AppError {
  return new AppError('session-not-found', {
    detail: 'There is no such session; begin a new one with initialize.',
  });
}

/** Without a session there is nothing to stream and nothing to delete. */
function methodNotAllowed(response: ServerResponse, { newRequestId, log }: DoorParts): void {
  const error = new AppError('request-invalid', { detail: 'Only POST works here without a session.' });
  refuse(response, error, { requestId: newRequestId(), log }, { status: 405, headers: { allow: 'POST' } });
}
