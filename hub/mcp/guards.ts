import type { IncomingMessage } from 'node:http';
import { isUtf8 } from 'node:buffer';
import { isJsonContentType } from '@modelcontextprotocol/server';
import { AppError } from '../../protocol/errors.ts';
import { refuseInexactJson } from '../../protocol/exact-json.ts';
import { refuseDeepJson } from '../../protocol/json-depth.ts';
import type { Principal, Scope } from './gateway.ts';

const MAX_TOKEN_CHARS = 8_192;
const BEARER = /^Bearer +([\w.~+/=-]+)$/i;
const SKILL_PATH = /^\/s\/([^/]{1,200})\/([^/]{1,200})\/mcp$/;

/**
 * Refuses a request whose Host, or whose Origin where a browser sends one, is not a `host:port` of this hub:
 * a foreign page that got its own name to point here must reach nothing (DNS rebinding).
 * @throws AppError `host-refused`.
 */
export function refuseForeign({ headers }: IncomingMessage, ownHosts: readonly string[]): void {
  const { host, origin } = headers;
  if (host === undefined || !ownHosts.includes(host.toLowerCase())) {
    throw new AppError('host-refused', { detail: 'This Host header does not name this hub.' });
  }
  if (origin === undefined) return;
  const own = ownHosts.some((name) => origin === `http://${name}` || origin === `https://${name}`);
  if (!own) throw new AppError('host-refused', { detail: 'This Origin is not one of this hub.' });
}

/** The path of a request without its query. */
export function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}

/** Whether MCP is served at this address. */
export function isMcpPath(url: string): boolean {
  if (url === '/mcp') return true;
  const path = pathOf(url);
  return path === '/mcp' || SKILL_PATH.test(path);
}

const ALL: Scope = { kind: 'all' };

/** Which door a path leads to. @throws AppError `route-not-found`. */
export function scopeOf(url: string): Scope {
  if (url === '/mcp') return ALL;
  const path = pathOf(url);
  if (path === '/mcp') return ALL;
  const [, namespace, name] = SKILL_PATH.exec(path) ?? [];
  if (namespace !== undefined && name !== undefined) return { kind: 'skill', name: `${namespace}/${name}` };
  throw new AppError('route-not-found', {
    detail: 'MCP is served at /mcp and at /s/<namespace>/<name>/mcp.',
  });
}

/** Looks a client's token up. May say more than "no" by throwing `not-signed-in` or `token-expired`. */
export type Authenticate = (token: string) => Principal | undefined | Promise<Principal | undefined>;

/** Who calls. @throws AppError `not-signed-in`, `token-expired`; `unavailable` when it cannot be told now. */
export async function signIn({ headers }: IncomingMessage, authenticate: Authenticate): Promise<Principal> {
  const { authorization } = headers;
  if (authorization === undefined) {
    throw new AppError('not-signed-in', {
      detail: 'This hub answers only clients with a token, sent as "Authorization: Bearer <token>".',
    });
  }
  const [, token] = authorization.length <= MAX_TOKEN_CHARS ? (BEARER.exec(authorization) ?? []) : [];
  try {
    const principal = token === undefined ? undefined : await authenticate(token);
    if (principal !== undefined) return principal;
  } catch (error) {
    if (error instanceof AppError && (error.code === 'token-expired' || error.code === 'not-signed-in'))
      throw refusedToken(error.code, error.message);
    throw error;
  }
  throw refusedToken('not-signed-in', 'The token is not one of this hub, or has been removed.');
}

function refusedToken(code: 'not-signed-in' | 'token-expired', detail: string): AppError {
  return new AppError(code, { detail, data: { tokenSent: true } });
}

/** Bounds on one request body. */
export interface BodyLimits {
  requestBytes: number;
  requestDepth: number;
}

/**
 * Reads and parses a JSON body within its bounds. @throws AppError `request-too-large`, `request-invalid`
 * (with a `SyntaxError` as cause where it is not JSON).
 */
export async function readJson(request: IncomingMessage, limits: BodyLimits): Promise<unknown> {
  if (!isJsonContentType(request.headers['content-type'] ?? null)) {
    throw new AppError('request-invalid', { detail: 'The Content-Type must be application/json.' });
  }
  const tooLarge = (): AppError =>
    new AppError('request-too-large', { detail: `A request may have at most ${limits.requestBytes} bytes.` });
  if (Number(request.headers['content-length']) > limits.requestBytes) throw tooLarge();
  const body = await bytesOf(request, limits.requestBytes, tooLarge);
  refuseDeepJson(body, limits.requestDepth);
  const text = body.toString();
  const value = parsed(body, text);
  refuseInexactJson(text);
  return value;
}

/** By events, not by iteration, which costs as much again as everything else in reading a small body. */
function bytesOf(request: IncomingMessage, most: number, tooLarge: () => AppError): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > most) {
        request.removeAllListeners('data');
        reject(tooLarge());
      } else chunks.push(chunk);
    });
    request.on('end', () =>
      resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks)),
    );
    // Without a listener for errors, a request that breaks off says so by its close alone.
    request.on('close', () => {
      if (!request.complete) reject(new AppError('call-cancelled', { detail: 'The client hung up.' }));
    });
  });
}

function parsed(body: Buffer, text: string): unknown {
  try {
    if (!isUtf8(body)) throw new SyntaxError('not UTF-8');
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('request-invalid', { detail: 'The body is not JSON.', cause });
  }
}
