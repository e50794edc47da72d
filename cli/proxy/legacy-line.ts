import {
  isInitializedNotification,
  isInitializeRequest,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCErrorResponse,
  type JSONRPCMessage,
  type JSONRPCNotification,
  type JSONRPCRequest,
  type JSONRPCResultResponse,
  type StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import { connectionLost } from './hub-fetch.ts';
import { isSessionGone } from './failures.ts';

/** Requests whose effect lives in the session, remembered so that a new session gets them, too. */
const MAX_REMEMBERED = 256;
const LISTS = ['tools', 'prompts', 'resources'] as const;

export interface LegacyLineParts {
  /** A started transport of its own for each session. */
  connect: (heard: (message: JSONRPCMessage) => void, failed: (error: unknown) => void) => Connection;
  /** Hears what the hub says, except for what only concerns the session itself. */
  heard: (message: JSONRPCMessage, connection: Connection) => void;
  /** The session before is gone, and with it whatever was open in it. */
  renewed: () => void;
}

export type Connection = Pick<
  StreamableHTTPClientTransport,
  'send' | 'close' | 'terminateSession' | 'setProtocolVersion'
>;

type SendOptions = Parameters<Connection['send']>[1];
type Answer = JSONRPCResultResponse | JSONRPCErrorResponse;

/** The way to the hub for a client of the revisions with sessions. */
export interface LegacyLine {
  /** Carries one message; a session that the hub lost is begun anew first. Fails like the transport. */
  send(message: JSONRPCMessage, options?: SendOptions): Promise<void>;
  /** Says goodbye and closes. */
  close(): Promise<void>;
}

interface Session {
  connection: Connection;
  /** The client's own first request, and what it was answered. */
  hello: JSONRPCRequest;
  agreed: Record<string, unknown> | undefined;
  /** The client's word that it is ready, once it was said. */
  ready: JSONRPCNotification | undefined;
  /** Requests that have to be made again in a new session, by what they set. */
  settings: Map<string, JSONRPCRequest>;
}

/**
 * Keeps one session alive across restarts of the hub. The client knows nothing of sessions on its side of the pipe, so
 * that a lost one is begun again with the client's own `initialize` and the settings it had made.
 */
export function createLegacyLine({ connect, heard, renewed }: LegacyLineParts): LegacyLine {
  let session: Session | undefined;
  let renewing: Promise<void> | undefined;
  let count = 0;

  async function send(message: JSONRPCMessage, options?: SendOptions): Promise<void> {
    if (isInitializeRequest(message)) begin(message as JSONRPCRequest);
    await renewing?.catch(() => undefined);
    const current = session;
    if (current === undefined) {
      throw new AppError('request-invalid', {
        detail: 'Send initialize first, or speak 2026-07-28, which has no sessions.',
      });
    }
    note(current, message);
    try {
      await current.connection.send(message, options);
    } catch (error) {
      if (!isSessionGone(error) || !isJSONRPCRequest(message)) throw error;
      await renew(current);
      await session?.connection.send(message, options);
    }
  }

  function begin(hello: JSONRPCRequest): void {
    const before = session;
    session = { connection: open(), hello, agreed: undefined, ready: undefined, settings: new Map() };
    if (before === undefined) return;
    renewed();
    void before.connection.close();
  }

  /** A connection that is heard while it is the session's; `own` are answers to what was asked on its own behalf. */
  function open(own: ReadonlyMap<unknown, (answer: Answer) => void> = new Map()): Connection {
    const connection: Connection = connect(
      (message) => {
        const asked = 'method' in message ? undefined : own.get(message.id);
        if (asked !== undefined) return asked(message as Answer);
        if (session?.connection !== connection) return;
        agree(session, message);
        heard(message, connection);
      },
      (error) => void noticeLoss(connection, error),
    );
    return connection;
  }

  /** The stream for what the hub says unasked is the first to learn that the session is gone. */
  async function noticeLoss(connection: Connection, error: unknown): Promise<void> {
    const lost = session;
    if (lost?.connection !== connection || !isSessionGone(error)) return;
    // The transport asks again, and the client's next request is told.
    await renew(lost).catch(() => undefined);
  }

  /** Once: whoever comes while it goes on waits for the same. */
  async function renew(lost: Session): Promise<void> {
    if (session !== lost) return;
    renewing ??= beginAgain(lost).finally(() => (renewing = undefined));
    return renewing;
  }

  async function beginAgain(lost: Session): Promise<void> {
    const waiting = new Map<unknown, (answer: Answer) => void>();
    const connection = open(waiting);
    const ask = async (request: JSONRPCRequest): Promise<unknown> => {
      const id = `berth-proxy-${(count += 1)}`;
      const answer = new Promise<Answer>((resolve, reject) => {
        waiting.set(id, resolve);
        const onRequestStreamEnd = (): void => reject(connectionLost());
        connection.send({ ...request, id }, { onRequestStreamEnd }).catch(reject);
      });
      const said = await answer.finally(() => waiting.delete(id));
      if (isJSONRPCResultResponse(said)) return said.result;
      throw new AppError('session-not-found', {
        detail: 'The hub was restarted and did not take the session up again. Connect anew.',
      });
    };

    try {
      const agreed = (await ask(lost.hello)) as Session['agreed'];
      if (agreed?.['protocolVersion'] !== lost.agreed?.['protocolVersion']) {
        throw new AppError('session-not-found', {
          detail: 'The hub was restarted and speaks another protocol version now. Connect anew.',
        });
      }
      connection.setProtocolVersion(String(agreed?.['protocolVersion']));
      session = { ...lost, connection, agreed };
      if (lost.ready !== undefined) await connection.send(lost.ready);
      // A setting that is refused now was allowed before: the client cannot be told, and goes on without it.
      for (const setting of lost.settings.values()) await ask(setting).catch(() => undefined);
    } catch (error) {
      if (session?.connection === connection) session = lost;
      await connection.close();
      throw error;
    }
    renewed();
    await lost.connection.close();
    tellChanged(session, connection);
  }

  /** What changed while nobody listened is not known, so that everything may have. */
  function tellChanged({ agreed, ready }: Session, connection: Connection): void {
    if (ready === undefined) return;
    const capabilities = (agreed?.['capabilities'] ?? {}) as Record<
      string,
      { listChanged?: unknown } | undefined
    >;
    for (const kind of LISTS) {
      if (capabilities[kind]?.listChanged !== true) continue;
      heard({ jsonrpc: '2.0', method: `notifications/${kind}/list_changed` }, connection);
    }
  }

  return {
    send,
    async close() {
      const last = session;
      session = undefined;
      // Where there is no hub any more there is no session either.
      await last?.connection.terminateSession().catch(() => undefined);
      await last?.connection.close();
    },
  };
}

/** Remembers the answer to `initialize`, of which each later request names the version. */
function agree(session: Session, message: JSONRPCMessage): void {
  if (session.agreed !== undefined || !isJSONRPCResultResponse(message)) return;
  if (message.id !== session.hello.id) return;
  session.agreed = message.result;
  session.connection.setProtocolVersion(String(message.result['protocolVersion']));
}

function note(session: Session, message: JSONRPCMessage): void {
  if (isInitializedNotification(message)) session.ready = message;
  if (!isJSONRPCRequest(message)) return;
  const { settings } = session;
  const uri = `resource ${String(message.params?.['uri'])}`;
  if (message.method === 'logging/setLevel') settings.set('level', message);
  if (message.method === 'resources/unsubscribe') settings.delete(uri);
  if (message.method === 'resources/subscribe' && settings.size < MAX_REMEMBERED) settings.set(uri, message);
}
