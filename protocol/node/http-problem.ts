import type { NextFunction, Request, Response } from 'express';
import { AppError, asAppError, problemOf } from '../errors.ts';
import type { Logger } from './logger.ts';

/** The header in which every answer carries the id of its request. */
export const REQUEST_ID = 'X-Request-Id';

/** The id that a request was given when it came in. */
export function requestIdOf(response: Response): string {
  return String(response.getHeader(REQUEST_ID));
}

/** How long a client may go on sending a body after it was refused, so that it can read why. */
const LINGER_MS = 2_000;

/** Express's last handler: whatever was thrown, as a problem document (RFC 9457). */
export function renderError(log: Logger) {
  return (thrown: unknown, request: Request, response: Response, _next: NextFunction): void => {
    const error = ofExpress(thrown) ?? asAppError(thrown);
    const requestId = requestIdOf(response);
    if (error.code === 'internal') log.error({ requestId, err: thrown }, 'unexpected fault');
    else if (error.status >= 500) log.warn({ requestId, code: error.code, err: error.cause }, error.message);
    endUnreadBody(request, response);
    // Half an answer cannot be taken back; a cut connection is the only honest end of it.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (error.status === 401) response.set('WWW-Authenticate', challengeOf(request));
    const retryAfter = error.data?.['retryAfterSeconds'];
    if (typeof retryAfter === 'number') response.set('Retry-After', String(retryAfter));
    for (const name of ['ETag', 'Content-Range', 'Content-Length', 'Accept-Ranges'])
      response.removeHeader(name);
    response.set('Cache-Control', 'no-store');
    response
      .status(error.status)
      .type('application/problem+json')
      .send(JSON.stringify(problemOf(error, requestId)));
  };
}

// RFC 6750 §3: no error code when no credentials came at all.
function challengeOf(request: Request): string {
  return request.headers.authorization === undefined
    ? 'Bearer realm="berth"'
    : 'Bearer realm="berth", error="invalid_token"';
}

/** What Express and its body parser throw for a client's fault, in our words. */
function ofExpress(thrown: unknown): AppError | undefined {
  if (thrown instanceof AppError || typeof thrown !== 'object' || thrown === null) return undefined;
  const { status } = thrown as { status?: unknown };
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined;
  if (status === 413) {
    const { limit } = thrown as { limit?: unknown };
    return new AppError('request-too-large', {
      detail: `The body is larger than ${String(limit)} bytes.`,
      cause: thrown,
    });
  }
  return new AppError('request-invalid', { detail: 'The request cannot be read.', cause: thrown });
}

/** Lets a refused sender read its answer, but not send for ever. */
function endUnreadBody(request: Request, response: Response): void {
  if (request.complete) return;
  response.once('finish', () => {
    const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
    timer.unref();
    request.once('close', () => clearTimeout(timer));
    request.resume();
  });
}
