import {
  type FetchLike,
  type JSONRPCMessage,
  SdkHttpError,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import { isDeeperThan } from '../../protocol/json-depth.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { type Clock, within } from '../clock.ts';
import { boundedFetch } from './bounded-fetch.ts';
import { isObject } from './peer.ts';
import { MAX_DEPTH, notMcp } from './pipe.ts';
import type { RunnerLimits } from './runner.ts';
import { LISTEN, MODERN } from './session.ts';
import { createToolHeaders } from './tool-headers.ts';
import type { Transport, TransportEvents } from './transport.ts';

/** A stream that broke off is asked for again after so long, or what the server says; slower each time. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
const MIN_RETRY_MS = 100;
const MAX_RETRIES = 5;

/** Failures before anything was sent: of the network, of names, and of certificates. */
const UNREACHED =
  /^(?:ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_\w+|CERT_\w+|DEPTH_\w+|SELF_SIGNED_\w+|UNABLE_\w+|ERR_TLS_\w+)$/;

/** Where a remote skill's server is, and how this user reaches it. */
export interface RemotePlan {
  /** For log lines, such as `com.example/tickets@1.0.0`. */
  label: string;
  url: string;
  /** Every request to it goes through this, which decides what addresses are reached, and adds the user's token. */
  fetch: FetchLike;
}

export interface RemoteParts {
  clock: Clock;
  limits: Pick<RunnerLimits, 'graceMs' | 'maxMessageBytes'>;
  log: Logger;
}

/** A request that has gone out and is not answered yet. */
interface Sent {
  message: Record<string, unknown>;
  method: string;
  params: Record<string, unknown>;
  abort: AbortController;
  /** How often it has been sent again. */
  retries: number;
}

/**
 * Speaks to a remote server over Streamable HTTP, in the one revision that its skill names: up to 2025-11-25 in a
 * session that begins with `initialize` and is deleted at the end, from 2026-07-28 on in requests that stand alone.
 * The SDK's transport sets headers, follows streams and takes them up again; nothing is sent before the first message.
 */
export async function openRemote(
  { clock, limits, log }: RemoteParts,
  plan: RemotePlan,
  protocol: string,
  events: TransportEvents,
): Promise<Transport> {
  const skill = plan.label;
  const own = log.child({ skill });
  const sent = new Map<unknown, Sent>();
  const toolHeaders = createToolHeaders();
  let closing: Promise<void> | undefined;
  /** What has to have arrived before anything else is sent. */
  let before: Promise<unknown> = Promise.resolve();
  let end = (_why: AppError): void => undefined;
  const ended = new Promise<AppError>((resolve) => (end = resolve));

  const http = new StreamableHTTPClientTransport(new URL(plan.url), {
    fetch: boundedFetch(plan.fetch, limits.maxMessageBytes, () =>
      events.broken(
        new AppError('skill-output-too-large', {
          detail: `${skill} sent a message of more than ${limits.maxMessageBytes} bytes and was left.`,
          hint: 'Ask for less at once, for example a range or fewer rows.',
        }),
      ),
    ),
    reconnectionOptions: {
      initialReconnectionDelay: FIRST_RETRY_MS,
      maxReconnectionDelay: LAST_RETRY_MS,
      reconnectionDelayGrowFactor: 1.5,
      maxRetries: MAX_RETRIES,
    },
    reconnectionScheduler: (reconnect, delay) =>
      clock.after(Math.max(MIN_RETRY_MS, Math.min(delay, LAST_RETRY_MS)), reconnect),
  });
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's callbacks are no event targets
  http.onmessage = received;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
  http.onerror = (error) => own.debug({ failure: kindOf(error) }, 'a stream or request to the server failed');
  await http.start();

  function received(message: JSONRPCMessage): void {
    if (isDeeperThan(message, MAX_DEPTH)) {
      events.broken(notMcp(skill, `sent a message that is nested more than ${MAX_DEPTH} levels deep`));
      return;
    }
    if ('result' in message || 'error' in message) answered(message);
    else events.message(message);
  }

  function answered(message: JSONRPCMessage): void {
    const { id, result } = message as { id?: unknown; result?: Record<string, unknown> };
    const request = sent.get(id);
    if (request?.method === LISTEN && result !== undefined) return listenAgain(id, request);
    sent.delete(id);
    // MCP 2025-06-18, transports, "Protocol version header".
    if (request?.method === 'initialize') http.setProtocolVersion(String(result?.['protocolVersion']));
    if (request?.method !== 'tools/list' || protocol !== MODERN || result === undefined) {
      events.message(message);
      return;
    }
    const { tools, left } = toolHeaders.learn(request.params, result['tools']);
    for (const { name, fault } of left) own.warn({ tool: name, fault }, 'a tool is left out');
    events.message({ ...message, result: { ...result, tools } });
  }

  function send(message: Record<string, unknown>): void {
    const { id, method, params } = message;
    if (method === 'notifications/cancelled') return cancel(message, params);
    if (typeof method !== 'string' || id === undefined) return tell(message);
    const abort = new AbortController();
    sent.set(id, { message, method, params: isObject(params) ? params : {}, abort, retries: 0 });
    post(id);
  }

  function post(id: unknown): void {
    const request = sent.get(id);
    if (request === undefined) return;
    const { message, method, params, abort } = request;
    before
      .then(() =>
        http.send(message as JSONRPCMessage, {
          requestSignal: abort.signal,
          headers: protocol === MODERN ? toolHeaders.of(method, params) : {},
          onRequestStreamEnd: () => lost(id, unanswered(skill)),
        }),
      )
      .catch((error: unknown) => !abort.signal.aborted && failed(id, error));
  }

  /** A notification, or the answer to a question of the server. */
  function tell(message: Record<string, unknown>): void {
    const arrived = before
      .then(() => http.send(message as JSONRPCMessage))
      .catch((error: unknown) => own.debug({ failure: kindOf(error) }, 'the server did not take a message'));
    // Requests are connections of their own, and must not overtake the end of the handshake.
    if (message['method'] === 'notifications/initialized') before = arrived;
  }

  /** Up to 2025-11-25 a stream that ends says nothing; from 2026-07-28 on it is how a request is cancelled. */
  function cancel(message: Record<string, unknown>, params: unknown): void {
    if (protocol !== MODERN) tell(message);
    const id = isObject(params) ? params['requestId'] : undefined;
    const request = sent.get(id);
    sent.delete(id);
    void before.then(() => request?.abort.abort());
  }

  function failed(id: unknown, error: unknown): void {
    const answer = answerIn(error, id);
    if (answer !== undefined) received(answer);
    else if (statusOf(error) === 404 && http.sessionId !== undefined)
      events.broken(
        new AppError('skill-crashed', { detail: `${skill} has ended its session.`, cause: error }),
      );
    else lost(id, asRemoteFailure(skill, error));
  }

  function lost(id: unknown, error: AppError): void {
    const request = sent.get(id);
    if (request?.method === LISTEN && error.code === 'remote-failed') return listenAgain(id, request);
    if (sent.delete(id)) events.lost(id, error);
  }

  /** A stream of changes that broke off may have missed some, so everything it was to tell of counts as changed. */
  function listenAgain(id: unknown, request: Sent): void {
    const delay = Math.min(FIRST_RETRY_MS * 2 ** request.retries, LAST_RETRY_MS);
    request.retries += 1;
    clock.after(delay, () => {
      if (sent.get(id) !== request) return;
      post(id);
      for (const notice of noticesOf(request.params)) events.message({ jsonrpc: '2.0', ...notice });
    });
  }

  function close(): Promise<void> {
    closing ??= leave();
    return closing;
  }

  async function leave(): Promise<void> {
    for (const { abort } of sent.values()) abort.abort();
    sent.clear();
    const late = (): AppError => unanswered(skill);
    await within(clock, limits.graceMs, http.terminateSession(), late).catch(() => undefined);
    await http.close();
    end(new AppError('skill-crashed', { detail: `The conversation with ${skill} has ended.` }));
  }

  return {
    pid: 0,
    send: (message) => send(message as Record<string, unknown>),
    weigh: () => undefined,
    enter: () => () => undefined,
    ended,
    close,
    kill: close,
  };
}

/** What a stream would say if all that it was asked for changed. */
function noticesOf({ notifications }: Record<string, unknown>): object[] {
  const { resourceSubscriptions = [], ...lists } = notifications as { resourceSubscriptions?: string[] };
  return [
    ...Object.keys(lists).map((list) => ({
      method: `notifications/${list.replace('ListChanged', '')}/list_changed`,
    })),
    ...resourceSubscriptions.map((uri) => ({ method: 'notifications/resources/updated', params: { uri } })),
  ];
}

function unanswered(skill: string, cause?: unknown): AppError {
  return new AppError('remote-failed', {
    detail: `No answer of MCP came from the server of ${skill}. Whether it took effect is not known.`,
    cause,
  });
}

/** MCP 2026-07-28 answers with a status and a JSON-RPC error where older revisions have the error alone. */
function answerIn(error: unknown, id: unknown): JSONRPCMessage | undefined {
  if (!(error instanceof SdkHttpError)) return undefined;
  try {
    const answer: unknown = JSON.parse(String(error.data['text']));
    return isObject(answer) && answer['id'] === id && isObject(answer['error'])
      ? (answer as JSONRPCMessage)
      : undefined;
  } catch {
    return undefined;
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof SdkHttpError ? error.data.status : undefined;
}

/** For the log, which gets no word of the server: it may repeat what it was sent. */
function kindOf(error: unknown): string {
  return error instanceof SdkHttpError ? `HTTP status ${error.data.status}` : (error as Error).name;
}

/** What went wrong, without anything that the server or the network said. */
function asRemoteFailure(skill: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const { cause } = error as Error & { cause?: NodeJS.ErrnoException };
  if (cause instanceof AppError) return cause;
  const status = statusOf(error);
  if (status === undefined && !UNREACHED.test(cause?.code ?? '')) return unanswered(skill, error);
  return new AppError('remote-failed', {
    detail:
      status === undefined
        ? `The server of ${skill} was not reached (${cause?.code}). Nothing was done.`
        : `The server of ${skill} refused the request with HTTP status ${status}.`,
    cause: error,
  });
}
