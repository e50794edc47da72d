import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/** Statuses whose answers have no body. */
const BODILESS = new Set([204, 205, 304]);

/**
 * An answer of `node:http` in the form that `fetch` gives, its body streamed. A status that `fetch` does not know counts
 * as 502, and what the server calls it is left out: a peer must not be able to make this throw.
 */
export function responseOf(incoming: IncomingMessage): Response {
  const { statusCode = 0 } = incoming;
  const status = statusCode >= 200 && statusCode <= 599 ? statusCode : 502;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headersDistinct))
    for (const one of value ?? []) headers.append(name, one);
  if (BODILESS.has(status)) incoming.resume();
  const body = BODILESS.has(status) ? null : (Readable.toWeb(incoming) as ReadableStream);
  return new Response(body, { status, headers });
}
