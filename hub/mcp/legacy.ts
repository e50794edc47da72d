import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type InitializeRequest, isInitializeRequest, type Server } from '@modelcontextprotocol/server';
import { AppError } from '../../protocol/errors.ts';
import type { Clock } from '../clock.ts';
import { type ListKind, ownerKey } from './changes.ts';
import type { Visitor } from './visitor.ts';
import { refuse } from './errors.ts';
import { askable } from '../questions.ts';
import type { LaneSession } from './plain-request.ts';
import type { Principal, Scope } from './gateway.ts';
import type { Admitted, Door, DoorParts } from './modern.ts';
import { presentable } from './principal.ts';
import { openSessionServer, type SessionServer } from './session-server.ts';

const SESSION_HEADER = 'mcp-session-id';

/** Requests that need the SDK seldom come alone. */
const LINGER_MS = 1_000;

export interface SessionLimits {
  /** A session without a request and without an open stream ends after so long. */
  sessionTtlMs: number;
  /** At one door; a further one ends the client's idlest, for many clients never say goodbye. */
  sessionsPerClient: number;
}

/**
 * What is kept of a session as long as nobody uses it. The SDK's half of it, which takes many times as much memory, is
 * there only for what the fast lane does not carry.
 */
interface Session {
  id: string;
  /** User, client and door; nobody else ever gets at it. */
  owner: string;
  client: string;
  visitor: Visitor;
  /** What it was opened with; `undefined` until that was taken. */
  hello: InitializeRequest | undefined;
  /** What was agreed on then. */
  agreed: Pick<LaneSession, 'protocolVersion' | 'agent' | 'isTalkative'> | undefined;
  sdk: Promise<SessionServer> | undefined;
  /** Whether the SDK's half was used for nothing but the opening. */
  isFresh: boolean;
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
      if (session === undefined || !isOwn(session, principal, scope)) throw sessionGone();
      return exchange(session, admitted);
    }
    if (request.method !== 'POST') return methodNotAllowed(response, parts);
    if (!isInitializeRequest(body)) {
      throw new AppError('request-invalid', {
        detail: `Send initialize first and its ${SESSION_HEADER} from then on, or speak 2026-07-28, which has no sessions.`,
      });
    }
    return exchange(begin(admitted, body), admitted);
  }

  /** A session of which nothing is agreed yet; it counts as one once the SDK has taken its `initialize`. */
  function begin({ principal, scope }: Admitted, hello: InitializeRequest): Session {
    const owner = ownerKey(principal, scope);
    makeRoom(owner);
    const session: Session = {
      id: randomUUID(),
      owner,
      client: principal.client,
      visitor: { principal, scope, era: 'legacy', session: { subscriptions: new Map() } },
      hello: undefined,
      agreed: undefined,
      sdk: undefined,
      isFresh: true,
      inFlight: new Map(),
      open: 0,
      lastUsed: clock.now(),
      stopTimer: nothing,
      stopListening: nothing,
    };
    void serverOf(session, () => {
      session.hello = { method: 'initialize', params: hello.params };
      sessions.set(session.id, session);
    });
    return session;
  }

  /** The SDK's half of a session, made anew where it was let go. */
  function serverOf(session: Session, opened?: () => void): Promise<SessionServer> {
    if (session.sdk !== undefined) return session.sdk;
    const { id, visitor, hello } = session;
    if (hello !== undefined) log.debug({ client: session.client }, 'a session goes on after a rest');
    const closed = (): void => {
      if (session.sdk === made) void end(session);
    };
    const made = openSessionServer(parts, { id, visitor, hello, opened, closed });
    session.sdk = made;
    const { principal, scope } = visitor;
    session.stopListening = notices.listen(principal, scope, (kind) => void tellChanged(made, kind));
    // Whoever waits for it is told; the next one tries again.
    made.catch(() => session.sdk === made && drop(session));
    return made;
  }

  function drop(session: Session): void {
    session.sdk = undefined;
    session.stopListening();
    // It remembers for whom it listened.
    session.stopListening = nothing;
  }

  /**
   * Lets the SDK's half go, unless something needs it: a subscription, ids that must not come again, or a request whose
   * client has hung up, which is no cancellation (MCP 2025-11-25, transports).
   */
  async function letGo(session: Session): Promise<void> {
    const { sdk } = session;
    const made = await sdk?.catch(() => undefined);
    if (made === undefined || session.open > 0 || session.sdk !== sdk) return;
    if (made.hasAsked() || made.isAtWork() || session.visitor.session.subscriptions.size > 0) return;
    drop(session);
    await made.close();
  }

  /** Ends a session and whatever is still going on in it. */
  async function end(session: Session): Promise<void> {
    const { sdk } = session;
    drop(session);
    sessions.delete(session.id);
    session.stopTimer();
    for (const call of session.inFlight.values()) call.abort();
    for (const stop of session.visitor.session.subscriptions.values()) stop();
    const made = await sdk?.catch(() => undefined);
    await made?.close();
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
    void end(idlest);
  }

  async function exchange(session: Session, admitted: Admitted): Promise<void> {
    hold(session, admitted.response);
    cancelInLane(session, admitted.body);
    session.isFresh = session.hello === undefined;
    const sdk = await serverOf(session);
    await sdk.exchange(admitted);
    session.agreed ??= agreedOn(sdk.server);
  }

  function sessionOf({ principal, scope, request }: Admitted): LaneSession | undefined {
    const id = request.headers[SESSION_HEADER];
    const session = typeof id === 'string' ? sessions.get(id) : undefined;
    if (session?.agreed === undefined || !isOwn(session, principal, scope)) return undefined;
    const { protocolVersion, agent, isTalkative } = session.agreed;
    return {
      id: session.id,
      protocolVersion,
      agent,
      isTalkative,
      wantsLogs: session.visitor.session.logLevel !== undefined,
      inFlight: session.inFlight,
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
      // Of an opening that failed nothing must stay.
      if (session.hello === undefined) return void end(session);
      fallAsleep(session);
    });
  }

  function fallAsleep(session: Session): void {
    const sleep = (ms: number): void => {
      session.stopTimer = clock.after(ms, () => void end(session));
    };
    if (session.sdk === undefined) return sleep(parts.sessionTtlMs);
    // What was only made to open the session goes at once: many are opened and never used again.
    const lingerMs = session.isFresh ? 0 : LINGER_MS;
    session.stopTimer = clock.after(lingerMs, () => {
      sleep(parts.sessionTtlMs - lingerMs);
      void letGo(session);
    });
  }

  async function closeWhere(fits: (session: Session) => boolean): Promise<void> {
    await Promise.all([...sessions.values()].filter(fits).map(end));
  }

  return {
    serve,
    sessionOf,
    end: (client) => closeWhere((session) => session.client === client),
    close: () => closeWhere(() => true),
  };

  async function tellChanged(sdk: Promise<SessionServer>, kind: ListKind): Promise<void> {
    try {
      const { server } = await sdk;
      await server.notification({ method: `notifications/${kind}/list_changed` });
    } catch (error) {
      log.debug({ err: error }, 'a session was not told of a change');
    }
  }
}

function nothing(): void {}

/** Whether a session is of this user, client and door. */
function isOwn({ visitor }: Session, principal: Principal, scope: Scope): boolean {
  const { principal: own, scope: door } = visitor;
  return (
    own.user === principal.user &&
    own.client === principal.client &&
    door.kind === scope.kind &&
    (door.kind === 'all' || door.name === (scope as typeof door).name)
  );
}

function agreedOn(server: Server): Session['agreed'] {
  const protocolVersion = server.getNegotiatedProtocolVersion();
  if (protocolVersion === undefined) return undefined;
  return {
    protocolVersion,
    agent: presentable(server.getClientVersion()?.name),
    isTalkative: Object.keys(askable(server.getClientCapabilities())).length > 0,
  };
}

/** A cancellation of what the fast lane carries; the SDK does not know of it. */
function cancelInLane({ inFlight }: Session, body: unknown): void {
  const { method, params } = (body ?? {}) as { method?: unknown; params?: { requestId?: unknown } };
  if (method === 'notifications/cancelled') inFlight.get(params?.requestId as string)?.abort();
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
