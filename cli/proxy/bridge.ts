import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import {
  isJSONRPCNotification,
  isJSONRPCRequest,
  type JSONRPCMessage,
  type JSONRPCNotification,
  type JSONRPCRequest,
  parseJSONRPCMessage,
  PROTOCOL_VERSION_META_KEY,
  ProtocolErrorCode,
  type RequestId,
} from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import { type RpcError, rpcErrorOf } from './failures.ts';
import { connectionLost } from './hub-fetch.ts';
import { type Connection, createLegacyLine } from './legacy-line.ts';
import { linesOf } from './lines.ts';
import { createParamHeaders } from './param-headers.ts';

/** What the hub takes of one message; more is refused here, where the client can still be told by its id. */
const MESSAGE_MAX_BYTES = 4 * 1024 * 1024;
/** What is kept of one line at all. */
const LINE_MAX_BYTES = 4 * MESSAGE_MAX_BYTES;
/** Requests of the client without an answer, and of the hub; half of what the hub lets one client have. */
const IN_FLIGHT_MAX = 256;
/** How long the goodbye to the hub may take. */
const GOODBYE_MS = 2_000;

export interface BridgeParts {
  input: Readable;
  output: Writable;
  /** Tells the person who looks at standard error. */
  say: (text: string) => void;
  /** Makes a started transport to the hub. */
  connect: (heard: (message: JSONRPCMessage) => void, failed: (error: unknown) => void) => Connection;
  /** Ends at once. */
  signal: AbortSignal;
}

/** A request of the client that has no answer yet. */
interface Pending {
  request: JSONRPCRequest;
  era: 'modern' | 'legacy';
  /** Closes its HTTP stream, which is how a request of 2026-07-28 is cancelled. */
  stop: AbortController;
  /** Resolves once the hub has it; never fails. */
  sent: Promise<void>;
  /** True from then on. */
  open: boolean;
  cancelled: boolean;
}

/**
 * Carries messages between a client on a pipe and the hub, unchanged, until the client has closed its side and every
 * request is answered, or the signal aborts. A request that cannot be carried is answered with an error; nothing is
 * ever sent twice of which the first may have arrived.
 */
export async function bridge({ input, output, say, connect, signal }: BridgeParts): Promise<void> {
  const pending = new Map<RequestId, Pending>();
  /** Requests of the hub, under the ids by which the client knows them: sessions number from the start. */
  const asked = new Map<RequestId, { id: RequestId; connection: Connection }>();
  const paramHeaders = createParamHeaders();
  let asks = 0;
  let drained: (() => void) | undefined;
  let complaint = '';

  const modern = connect(
    (message) => hear(message),
    () => undefined,
  );
  const legacy = createLegacyLine({ connect, heard: hear, renewed: loseSession });

  function hear(message: JSONRPCMessage, connection: Connection = modern): void {
    if (isJSONRPCRequest(message)) return ask(message, connection);
    if (isJSONRPCNotification(message)) return deliver(renamed(message, connection));
    const entry = message.id === undefined ? undefined : pending.get(message.id);
    if (entry === undefined) return;
    settle(entry.request.id);
    if ('result' in message && entry.request.method === 'tools/list') paramHeaders.learn(message);
    complaint = '';
    deliver(message);
  }

  function deliver(
    message: JSONRPCMessage | { jsonrpc: '2.0'; id: RequestId | null; error: RpcError },
  ): void {
    output.write(`${JSON.stringify(message)}\n`);
  }

  function ask(request: JSONRPCRequest, connection: Connection): void {
    if (asked.size >= IN_FLIGHT_MAX) {
      const error = {
        code: ProtocolErrorCode.InternalError,
        message: 'The client has too many open questions.',
      };
      void connection.send({ jsonrpc: '2.0', id: request.id, error }).catch(() => undefined);
      return;
    }
    const id = `hub-${(asks += 1)}`;
    asked.set(id, { id: request.id, connection });
    deliver({ ...request, id });
  }

  /** A cancellation by the hub names its request by the id that the client knows. */
  function renamed(message: JSONRPCNotification, connection: Connection): JSONRPCNotification {
    if (message.method !== 'notifications/cancelled') return message;
    const known = [...asked].find(
      ([, { id, connection: of }]) => of === connection && id === message.params?.['requestId'],
    );
    if (known === undefined) return message;
    asked.delete(known[0]);
    return { ...message, params: { ...message.params, requestId: known[0] } };
  }

  /** Forgets a request. */
  function settle(id: RequestId): void {
    pending.delete(id);
    if (isQuiet()) drained?.();
  }

  /** Nothing is left to wait for; a subscription has no end of its own. */
  function isQuiet(): boolean {
    return ![...pending.values()].some(({ request }) => request.method !== 'subscriptions/listen');
  }

  function fail(entry: Pending, thrown: unknown): void {
    if (pending.get(entry.request.id) !== entry) return;
    settle(entry.request.id);
    if (entry.cancelled) return;
    deliver({ jsonrpc: '2.0', id: entry.request.id, error: rpcErrorOf(thrown) });
    complain(thrown);
  }

  /** One line for a person, once for as long as it stays the same. */
  function complain(thrown: unknown): void {
    const { message } = rpcErrorOf(thrown);
    if (message === complaint) return;
    complaint = message;
    say(thrown instanceof AppError && thrown.hint !== undefined ? `${message} ${thrown.hint}` : message);
  }

  function loseSession(): void {
    for (const entry of pending.values())
      if (entry.era === 'legacy' && entry.open) fail(entry, connectionLost());
    for (const [id, { connection }] of asked) {
      if (connection === modern) continue;
      asked.delete(id);
      const params = { requestId: id, reason: 'The hub was restarted.' };
      deliver({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
    }
  }

  function carryRequest(request: JSONRPCRequest): void {
    const refuse = (error: RpcError): void => deliver({ jsonrpc: '2.0', id: request.id, error });
    if (pending.has(request.id)) {
      const message = 'A request with this id is open.';
      return refuse({ code: ProtocolErrorCode.InvalidRequest, message });
    }
    if (pending.size >= IN_FLIGHT_MAX) {
      const detail = `${IN_FLIGHT_MAX} requests are open; more are taken when some are answered.`;
      return refuse(rpcErrorOf(new AppError('rate-limited', { detail })));
    }
    const era = isModern(request) ? 'modern' : 'legacy';
    const stop = new AbortController();
    const entry: Pending = { request, era, stop, sent: Promise.resolve(), open: false, cancelled: false };
    pending.set(request.id, entry);
    const onRequestStreamEnd = (): void => fail(entry, connectionLost());
    const options = { requestSignal: stop.signal, onRequestStreamEnd };
    const sending =
      era === 'modern'
        ? modern.send(request, { ...options, headers: paramHeaders.of(request) })
        : legacy.send(request, options);
    entry.sent = sending.then(
      () => void (entry.open = true),
      (error: unknown) => fail(entry, error),
    );
  }

  async function carryNotification(message: JSONRPCNotification): Promise<void> {
    const entry =
      message.method === 'notifications/cancelled'
        ? pending.get(message.params?.['requestId'] as RequestId)
        : undefined;
    if (entry !== undefined) {
      entry.cancelled = true;
      if (entry.era === 'modern') {
        settle(entry.request.id);
        return entry.stop.abort();
      }
      // It travels on a connection of its own and must not overtake what it cancels.
      await entry.sent;
    }
    await legacy.send(message);
  }

  async function carryAnswer(
    message: Exclude<JSONRPCMessage, JSONRPCRequest | JSONRPCNotification>,
  ): Promise<void> {
    const question = message.id === undefined ? undefined : asked.get(message.id);
    if (message.id === undefined || question === undefined) return;
    asked.delete(message.id);
    await question.connection.send({ ...message, id: question.id });
  }

  function carry(message: JSONRPCMessage): void {
    if (isJSONRPCRequest(message)) return carryRequest(message);
    const sent = isJSONRPCNotification(message) ? carryNotification(message) : carryAnswer(message);
    // Nobody waits for an answer to these; a hub that is gone is told with the next request.
    sent.catch((error: unknown) => complain(error));
  }

  const stopReading = (): void => void input.destroy();
  signal.addEventListener('abort', stopReading, { once: true });
  try {
    for await (const line of linesOf(input, LINE_MAX_BYTES)) {
      const read = messageIn(line);
      if ('error' in read) deliver({ jsonrpc: '2.0', ...read });
      else carry(read.message);
      // A client that does not read is not read from.
      if (output.writableNeedDrain) await once(output, 'drain', { signal });
    }
    if (!isQuiet()) {
      await new Promise<void>((resolve) => {
        drained = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    const late = new Promise<void>((resolve) => setTimeout(resolve, GOODBYE_MS).unref());
    await Promise.race([Promise.all([legacy.close(), modern.close()]), late]);
  }
}

/** A request of 2026-07-28 says so itself. */
function isModern({ params }: JSONRPCRequest): boolean {
  const { _meta: meta } = (params ?? {}) as { _meta?: Record<string, unknown> };
  return typeof meta?.[PROTOCOL_VERSION_META_KEY] === 'string';
}

type Read = { message: JSONRPCMessage } | { id: RequestId | null; error: RpcError };

/** The message in a line, or what to answer instead. */
function messageIn(line: Buffer | 'too-long'): Read {
  if (line === 'too-long') return { id: null, error: tooLarge() };
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch {
    return { id: null, error: { code: ProtocolErrorCode.ParseError, message: 'This line is not JSON.' } };
  }
  const { id, method } = (value ?? {}) as { id?: unknown; method?: unknown };
  const named = method !== undefined && (typeof id === 'string' || typeof id === 'number') ? id : null;
  if (line.length > MESSAGE_MAX_BYTES) return { id: named, error: tooLarge() };
  try {
    return { message: parseJSONRPCMessage(value) };
  } catch {
    const message = 'This line is not one JSON-RPC message.';
    return { id: named, error: { code: ProtocolErrorCode.InvalidRequest, message } };
  }
}

function tooLarge(): RpcError {
  const detail = `A message may have at most ${MESSAGE_MAX_BYTES} bytes.`;
  return rpcErrorOf(new AppError('request-too-large', { detail }));
}
