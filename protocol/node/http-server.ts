import { randomUUID } from 'node:crypto';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express, type Request, type Response } from 'express';
import type { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Route } from '../route.ts';
import { drainOf } from './drain.ts';
import {
  DEFAULT_HTTP_LIMITS,
  isRaw,
  parseInput,
  readBody,
  takesNothing,
  type HttpLimits,
} from './http-input.ts';
import { renderError, REQUEST_ID, requestIdOf } from './http-problem.ts';
import type { Logger } from './logger.ts';

/** Which Host and Origin headers are the server's own; everything else is refused (DNS rebinding). */
export interface OwnNames {
  /** Host names by which clients reach the port it listens on. */
  hosts: readonly string[];
  /** Origins of proxies in front of it, such as `https://skills.example.com`. */
  origins: readonly string[];
}

export const LOOPBACK_NAMES: OwnNames = { hosts: ['127.0.0.1', 'localhost', '[::1]'], origins: [] };

/** One request and its reply; both belong to this exchange alone. */
export interface Exchange {
  request: Request;
  response: Response;
}

/** What a handler gets: everything parsed, nothing raw but the exchange itself. */
export interface Call<Params, Query, Body, Caller> extends Exchange {
  params: Params;
  query: Query;
  body: Body;
  caller: Caller;
  /** Aborts when the client hangs up. */
  signal: AbortSignal;
  requestId: string;
}

/** Headers have 10 s to arrive, a whole request 5 minutes; an idle connection is kept 5 s. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 300_000;
/** For a server that is stopping: about as long as one takes to be there again. */
const RETRY_AFTER_SECONDS = 5;
/** How much of an unknown path is repeated in the answer. */
const SHOWN_PATH_CHARS = 200;

/**
 * An Express application that answers every fault as problem+json (RFC 9457), gives each request an
 * id, and refuses foreign Host and Origin headers. Routes are added with `mount`; `listen` closes
 * the list with the answer for unknown addresses.
 */
export function createApp({ log, names = LOOPBACK_NAMES }: { log: Logger; names?: OwnNames }): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  app.set('etag', 'strong');
  app.set('case sensitive routing', true);
  app.locals['log'] = log;
  app.locals['running'] = new Set<Promise<void>>();
  app.use((request, response, next) => {
    response.set({
      [REQUEST_ID]: randomUUID(),
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'no-store',
    });
    logWhenDone(log, request, response);
    if (app.locals['stopping'] === true) throw stopping('The server');
    refuseForeign(request, names);
    next();
  });
  return app;
}

/** What a server answers from when it is told to stop: whoever asks again soon meets the next one. */
export function stopping(who: string): AppError {
  return new AppError('unavailable', {
    detail: `${who} is stopping and takes nothing new.`,
    hint: 'Try again in a moment.',
    data: { retryAfterSeconds: RETRY_AFTER_SECONDS },
  });
}

function logWhenDone(log: Logger, request: Request, response: Response): void {
  const started = performance.now();
  response.once('close', () => {
    const ms = Math.round(performance.now() - started);
    // The path without the query: what people search for is nobody's business.
    const { method, path } = request;
    const finished = {
      requestId: requestIdOf(response),
      method,
      path,
      status: response.statusCode,
      ms,
    };
    log.debug(finished, response.writableFinished ? 'answered' : 'hung up');
  });
}

function refuseForeign(request: Request, names: OwnNames): void {
  const port = request.socket.localPort;
  // A Unix socket is reached by file permission; no browser and no DNS name leads there.
  if (port === undefined) return;
  const origins = new Set([...names.hosts.map((host) => `http://${host}:${port}`), ...names.origins]);
  const hosts = new Set([...origins].map((origin) => hostOf(origin)));
  const { host, origin } = request.headers;
  const hostIsOwn = host !== undefined && hosts.has(withPort(host.toLowerCase()));
  if (hostIsOwn && (origin === undefined || origins.has(origin))) return;
  throw new AppError('host-refused', {
    detail: hostIsOwn
      ? 'This Origin is not one of this server.'
      : 'This Host header does not name this server.',
    hint: 'Use the address that the server printed, or add this one to its configuration.',
  });
}

function hostOf(origin: string): string {
  const { protocol, host } = new URL(origin);
  return withPort(host, protocol === 'https:' ? '443' : '80');
}

function withPort(host: string, port = '80'): string {
  return /:\d+$/.test(host) ? host : `${host}:${port}`;
}

/** How a route is served besides its handler. */
export interface MountOptions<Caller> {
  /**
   * Says who calls; `undefined` is nobody in particular, which only open routes accept. Asked for
   * every request before its body is read. A place for rate limits, too.
   */
  authenticate?: (exchange: Exchange) => Promise<Caller>;
  limits?: Partial<HttpLimits>;
}

/**
 * Serves one route of a contract: who calls, then the input parsed by the route's schemas, then the
 * handler, whose answer is sent as JSON in the route's reply shape (fields the shape doesn't name
 * stay here). A handler of a `RAW_BYTES` reply writes the response itself.
 */
export function mount<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
  Caller = undefined,
>(
  app: Express,
  route: Route<P, Q, B, R>,
  { authenticate, limits }: MountOptions<Caller>,
  handler: (call: Call<z.output<P>, z.output<Q>, z.output<B>, Caller>) => Promise<z.input<R>> | z.input<R>,
): void {
  if (route.access === 'token' && authenticate === undefined) {
    throw new Error(`${route.method} ${route.path} needs a caller, but nothing authenticates it.`);
  }
  const bounds = { ...DEFAULT_HTTP_LIMITS, ...limits };
  const serve = async (request: Request, response: Response): Promise<void> => {
    const caller = await authenticate?.({ request, response });
    if (route.access === 'token' && caller === undefined) throw notSignedIn();
    const query =
      Object.keys(request.query).length === 0 && takesNothing(route.query) ? undefined : request.query;
    const reply = await handler({
      params: parseInput(
        route.params,
        takesNothing(route.params) ? undefined : { ...request.params },
        'path',
      ),
      query: parseInput(route.query, query, 'query'),
      body: parseInput(route.body, await readBody(request, response, route.body, bounds), 'body'),
      caller: caller as Caller,
      request,
      response,
      signal: signalOf(response),
      requestId: requestIdOf(response),
    });
    if (isRaw(route.reply)) return;
    // What everybody may see may be kept and asked after by ETag; what a token shows is not kept.
    response.set(
      'Cache-Control',
      route.method === 'GET' && route.access === 'open' ? 'no-cache' : 'no-store',
    );
    response.status(route.status).json(route.reply.parse(reply));
  };
  const running = runningIn(app);
  app[METHODS[route.method]](route.path, async (request, response) => {
    const work = serve(request, response);
    running.add(work);
    await work.finally(() => running.delete(work));
  });
}

/** The handlers that are at work; a server that stops waits for them, also when their client has gone. */
function runningIn(app: Express): Set<Promise<void>> {
  return app.locals['running'] as Set<Promise<void>>;
}

const METHODS = { GET: 'get', PUT: 'put', POST: 'post', DELETE: 'delete' } as const;

function notSignedIn(): AppError {
  return new AppError('not-signed-in', {
    detail: 'This needs a token.',
    hint: 'Send it as `Authorization: Bearer <token>`.',
  });
}

function signalOf(response: Response): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished)
      controller.abort(new AppError('call-cancelled', { detail: 'The client hung up.' }));
  });
  return controller.signal;
}

/** A server that accepts connections. */
export interface Listening {
  /** `http://127.0.0.1:4751`, or `unix:<path>`; no trailing slash. */
  url: string;
  /** Stops accepting and answers `unavailable` to what still comes; settles once all running requests are answered. */
  drain(): Promise<void>;
  /** Drains for `graceMs` (3 s) at most, then cuts the connections that are left and waits for the handlers behind
   * them, whose `signal` has aborted. */
  close(graceMs?: number): Promise<void>;
}

/** Where to listen: port 0 takes any free one. */
export type ListenAt = { host: string; port: number } | { socketPath: string };

const CLOSE_GRACE_MS = 3_000;

/** Takes a request before the application sees it; `false` leaves it alone. What it takes is its own, errors included. */
export type Front = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * Starts an application made by `createApp`, behind a `front` where there is one; routes added later are not reached. A socket file that
 * a dead process left is replaced, so the caller must hold the home's lock. Fails with
 * `already-running` when the port is taken.
 */
export async function listen(app: Express, at: ListenAt, front: Front = () => false): Promise<Listening> {
  app.use((request: Request) => {
    throw new AppError('route-not-found', {
      detail: `There is nothing at ${request.method} ${request.path.slice(0, SHOWN_PATH_CHARS)}.`,
    });
  });
  app.use(renderError(app.locals['log'] as Logger));
  const server = createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      if (!front(request, response)) app(request, response);
    },
  );
  const drainConnections = drainOf(server);
  const drain = (): Promise<void> => {
    app.locals['stopping'] = true;
    return drainConnections();
  };
  await bind(server, at);
  return {
    url: urlOf(server, at),
    drain,
    async close(graceMs = CLOSE_GRACE_MS) {
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await drain();
      clearTimeout(timer);
      // Their connections are gone; what they clean up or commit must be done before the caller goes on.
      await Promise.allSettled(runningIn(app));
    },
  };
}

async function bind(server: Server, at: ListenAt): Promise<void> {
  if ('socketPath' in at) await rm(at.socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindFault(error, at)));
    server.listen('socketPath' in at ? { path: at.socketPath } : at, resolve);
  });
  if ('socketPath' in at) await chmod(at.socketPath, 0o600);
}

function bindFault(error: NodeJS.ErrnoException, at: ListenAt): unknown {
  const where = 'socketPath' in at ? at.socketPath : `${at.host}:${at.port}`;
  if (error.code === 'EADDRINUSE') {
    return new AppError('already-running', {
      detail: `Something listens on ${where} already.`,
      hint: 'Stop it, or choose another port (0 takes any free one).',
      cause: error,
    });
  }
  if (
    error.code === 'EACCES' ||
    error.code === 'EADDRNOTAVAIL' ||
    error.code === 'ENOTFOUND' ||
    error.code === 'EINVAL'
  ) {
    return new AppError('config-invalid', {
      detail: `Cannot listen on ${where} (${error.code}).`,
      cause: error,
    });
  }
  return error;
}

function urlOf(server: Server, at: ListenAt): string {
  if ('socketPath' in at) return `unix:${at.socketPath}`;
  const { port } = server.address() as AddressInfo;
  return `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${port}`;
}
