import {
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { z } from 'zod';
import { AppError, errorOfProblem } from '../errors.ts';
import type { Route } from '../route.ts';

/** Which server: by URL, or by its Unix socket. */
export type Target = { baseUrl: string } | { socketPath: string };

interface CallOptions {
  /** Sent as `Authorization: Bearer`; redirects are never followed, so it reaches this server alone. */
  token?: string | undefined;
  signal?: AbortSignal | undefined;
  /** From the request to the end of the reply; 30 s. */
  timeoutMs?: number | undefined;
  /** Bytes of the reply; 16 MiB for JSON. */
  maxBytes?: number | undefined;
}

type Input<Schema extends z.ZodType, Key extends string> =
  undefined extends z.input<Schema> ? { [K in Key]?: z.input<Schema> } : { [K in Key]: z.input<Schema> };

/** A query whose fields are all optional may be left out whole. */
type QueryInput<Q extends z.ZodType> =
  Partial<z.input<Q>> extends z.input<Q> ? { query?: z.input<Q> } : Input<Q, 'query'>;

type RouteInput<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = Input<P, 'params'> &
  QueryInput<Q> &
  Input<B, 'body'>;

const TIMEOUT_MS = 30_000;
const TRANSFER_TIMEOUT_MS = 300_000;
const REPLY_MAX_BYTES = 16 * 1_048_576;
const PROBLEM_MAX_BYTES = 1_048_576;

/**
 * Calls a route and answers with its parsed reply, or throws the `AppError` that the server sent.
 * `not-running` when nothing listens; `unavailable` when the server cannot be reached, takes too
 * long or doesn't answer like a Berth server. An aborted signal throws its own reason.
 */
export async function callRoute<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
>(route: Route<P, Q, B, R>, options: Target & CallOptions & RouteInput<P, Q, B>): Promise<z.output<R>> {
  const { params, query, body } = options as { params?: unknown; query?: unknown; body?: unknown };
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  return exchange(options, route, { params, query }, async (send, signal) => {
    const reply = await send(
      bytes === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(bytes.length) },
      bytes,
    );
    return parseReply(route, reply, options, signal);
  });
}

/**
 * Sends bytes to a route with a raw body, as they come. `size` is announced when it is known; the
 * server counts for itself. Fails like `callRoute`.
 */
export async function upload<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
>(
  route: Route<P, Q, B, R>,
  options: Target &
    CallOptions &
    Input<P, 'params'> &
    QueryInput<Q> & {
      bytes: Uint8Array | AsyncIterable<Uint8Array>;
      size?: number;
    },
): Promise<z.output<R>> {
  const { params, query, bytes } = options as {
    params?: unknown;
    query?: unknown;
    bytes: Uint8Array | AsyncIterable<Uint8Array>;
  };
  const size = bytes instanceof Uint8Array ? bytes.length : options.size;
  const headers = {
    'content-type': 'application/octet-stream',
    ...(size === undefined ? {} : { 'content-length': String(size) }),
  };
  return exchange(
    { timeoutMs: TRANSFER_TIMEOUT_MS, ...options },
    route,
    { params, query },
    async (send, signal) => parseReply(route, await send(headers, bytes), options, signal),
  );
}

/**
 * The bytes of a raw reply, as they come, at most `maxBytes` of them (`request-too-large` beyond).
 * The request is made when the first byte is asked for; leaving the loop early ends it.
 */
export async function* download<P extends z.ZodType, Q extends z.ZodType>(
  route: Route<P, Q, z.ZodUndefined>,
  options: Target & CallOptions & Input<P, 'params'> & QueryInput<Q> & { maxBytes: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { params, query } = options as { params?: unknown; query?: unknown };
  const bound = boundOf({ timeoutMs: TRANSFER_TIMEOUT_MS, ...options });
  const outgoing = open(options, route, { params, query });
  const url = describeTarget(options);
  try {
    const reply = await replyTo(outgoing, {}, undefined, bound);
    if (!isSuccess(reply)) throw await problemIn(reply, url, bound);
    yield* bounded(reply, options.maxBytes, url);
  } catch (error) {
    throw faultOf(error, options, bound);
  } finally {
    outgoing.destroy();
  }
}

type Send = (
  headers: Record<string, string>,
  body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
) => Promise<IncomingMessage>;

async function exchange<T>(
  options: Target & CallOptions,
  route: Route,
  input: { params: unknown; query: unknown },
  use: (send: Send, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const bound = boundOf(options);
  const outgoing = open(options, route, input);
  try {
    return await use((headers, body) => replyTo(outgoing, headers, body, bound), bound);
  } catch (error) {
    throw faultOf(error, options, bound);
  } finally {
    outgoing.destroy();
  }
}

function boundOf({ signal, timeoutMs = TIMEOUT_MS }: CallOptions): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
}

function open(
  options: Target & CallOptions,
  route: Route,
  input: { params: unknown; query: unknown },
): ClientRequest {
  const path = pathOf(route, input);
  const common: RequestOptions = {
    method: route.method,
    // One connection a request: no stale one to stumble over after a restart, nothing left open at exit.
    agent: false,
    headers: {
      accept: 'application/json, application/problem+json, */*;q=0.1',
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    },
  };
  if ('socketPath' in options)
    return httpRequest({ ...common, socketPath: options.socketPath, host: 'localhost', path });
  const url = new URL(`${options.baseUrl.replace(/\/+$/, '')}${path}`);
  return url.protocol === 'https:' ? httpsRequest(url, common) : httpRequest(url, common);
}

function pathOf(route: Route, { params, query }: { params: unknown; query: unknown }): string {
  const given = new Map(Object.entries((params ?? {}) as Record<string, unknown>));
  const path = route.path.replace(/:(\w+)/g, (_found, name: string) =>
    encodeURIComponent(String(given.get(name))),
  );
  const pairs = Object.entries(
    (query ?? {}) as Record<string, string | number | boolean | undefined>,
  ).flatMap(([key, value]): [string, string][] => (value === undefined ? [] : [[key, String(value)]]));
  return pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs).toString()}`;
}

async function replyTo(
  outgoing: ClientRequest,
  headers: Record<string, string>,
  body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  for (const [name, value] of Object.entries(headers)) outgoing.setHeader(name, value);
  const stop = () => outgoing.destroy(signal.reason as Error);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  outgoing.once('close', () => signal.removeEventListener('abort', stop));
  const reply = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
    outgoing.once('close', () => reject(new Error('The connection was closed before an answer.')));
  });
  if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
  else {
    // A server that refuses answers before the end of the body: its answer is worth more than the broken pipe.
    const sent = pipeline(Readable.from(body, { objectMode: false }), outgoing);
    return Promise.race([reply, sent.then(() => reply)]);
  }
  return reply;
}

async function parseReply<R extends z.ZodType>(
  route: Route<z.ZodType, z.ZodType, z.ZodType, R>,
  reply: IncomingMessage,
  options: Target & CallOptions,
  signal: AbortSignal,
): Promise<z.output<R>> {
  const url = describeTarget(options);
  if (!isSuccess(reply)) throw await problemIn(reply, url, signal);
  const text = await readAll(reply, options.maxBytes ?? REPLY_MAX_BYTES, url);
  const parsed = route.reply.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new AppError('unavailable', {
    detail: `${url} does not answer like a Berth server of this version.`,
    hint: 'Check the address, and that both sides run the same version.',
    cause: parsed.error,
  });
}

function isSuccess(reply: IncomingMessage): boolean {
  return reply.statusCode !== undefined && reply.statusCode >= 200 && reply.statusCode < 300;
}

async function problemIn(reply: IncomingMessage, url: string, signal: AbortSignal): Promise<AppError> {
  const text = await readAll(reply, PROBLEM_MAX_BYTES, url).catch((error: unknown) => {
    signal.throwIfAborted();
    if (error instanceof AppError) return Buffer.alloc(0);
    throw error;
  });
  return errorOfProblem(jsonOf(text), reply.statusCode ?? 500);
}

function jsonOf(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'));
  } catch {
    // Not JSON is not ours: the caller's schema says so better than a syntax error would.
    return undefined;
  }
}

async function readAll(reply: IncomingMessage, maxBytes: number, url: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bounded(reply, maxBytes, url)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* bounded(
  reply: IncomingMessage,
  maxBytes: number,
  url: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new AppError('request-too-large', {
        detail: `${url} answered with more than ${maxBytes} bytes.`,
      });
    }
    yield chunk;
  }
}

function describeTarget(target: Target): string {
  return 'socketPath' in target ? target.socketPath : target.baseUrl;
}

/** What a broken connection means to the person who waits for it. */
function faultOf(error: unknown, target: Target & CallOptions, bound: AbortSignal): unknown {
  if (error instanceof AppError) return error;
  if (target.signal?.aborted === true) return target.signal.reason;
  const url = describeTarget(target);
  if (bound.aborted) {
    return new AppError('unavailable', {
      detail: `${url} did not answer in time.`,
      hint: 'Try again.',
      cause: error,
    });
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED' || ('socketPath' in target && code === 'ENOENT')) {
    return new AppError('not-running', {
      detail: `Nothing listens at ${url}.`,
      hint: 'Start it with: berth up',
      cause: error,
    });
  }
  return new AppError('unavailable', {
    detail: `The connection to ${url} failed (${code ?? 'closed early'}).`,
    hint: 'Check the address and try again.',
    cause: error,
  });
}
