import { request } from 'node:http';
import type { FetchLike } from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import { responseOf } from '../../protocol/node/fetch-response.ts';

/** Where the hub is and who asks; both are asked for anew at every request, since both can change meanwhile. */
export interface HubAccess {
  /** @throws AppError `not-running`. */
  address: () => Promise<URL>;
  /** @throws AppError `not-signed-in`. */
  token: () => Promise<string>;
}

/**
 * A `fetch` that leads to the hub, whatever URL it is given. It is no wrapper of the global one, which ends an answer
 * that says nothing for five minutes: a call may take longer, and a stream of changes may be silent for days.
 */
export function hubFetch({ address, token }: HubAccess): FetchLike {
  return async (_url, { method = 'GET', headers, body, signal } = {}) => {
    const [url, secret] = [await address(), await token()];
    return new Promise((resolve, reject) => {
      const outgoing = request(
        url,
        {
          method,
          headers: { ...Object.fromEntries(new Headers(headers)), authorization: `Bearer ${secret}` },
          // One connection a request: no stale one to stumble over when the hub was restarted.
          agent: false,
          ...(signal ? { signal } : {}),
        },
        (incoming) => resolve(responseOf(incoming)),
      );
      outgoing.once('error', (error) => reject(faultOf(error)));
      outgoing.end(typeof body === 'string' ? body : undefined);
    });
  };
}

/** Whether anything can have happened is what matters to whoever asked. */
function faultOf(cause: NodeJS.ErrnoException): AppError {
  return cause.code === 'ECONNREFUSED' ? notRunning(cause) : connectionLost(cause);
}

/** Nothing was sent. */
export function notRunning(cause?: unknown): AppError {
  return new AppError('not-running', {
    detail: 'The hub is not running on this machine. Nothing was done.',
    hint: 'Start it with: berth up',
    cause,
  });
}

/** It was sent, and no answer will come: an effect is never repeated on suspicion. */
export function connectionLost(cause?: unknown): AppError {
  return new AppError('unavailable', {
    detail: 'The connection to the hub ended before its answer. It is not known whether this was done.',
    cause,
  });
}
