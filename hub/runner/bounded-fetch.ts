import type { FetchLike } from '@modelcontextprotocol/client';

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/**
 * A `fetch` whose answers end, after `exceeded` was told, as soon as one message in them takes more than `maxBytes`:
 * a whole body, or in an event stream what stands between two empty lines.
 */
export function boundedFetch(fetch: FetchLike, maxBytes: number, exceeded: () => void): FetchLike {
  return async (url, init) => {
    const response = await fetch(url, init);
    const { body, status, statusText, headers } = response;
    if (body === null) return response;
    const isStream = headers.get('content-type')?.startsWith('text/event-stream') === true;
    const bounded = body.pipeThrough(limit(maxBytes, isStream, exceeded));
    return new Response(bounded, { status, statusText, headers });
  };
}

function limit(maxBytes: number, isStream: boolean, exceeded: () => void) {
  let bytes = 0;
  let lineBytes = 0;
  let last = 0;
  const take = (part: Uint8Array): void => {
    bytes += part.length;
    lineBytes += part.length;
    last = part.at(-1) ?? last;
  };
  const endLine = (): void => {
    if (lineBytes === 0 || (lineBytes === 1 && last === RETURN)) bytes = 0;
    lineBytes = 0;
  };
  const count = (chunk: Uint8Array): void => {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); isStream && at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      take(chunk.subarray(from, at));
      // Looked at here as well: many messages may come in one chunk, and each has to fit.
      if (bytes > maxBytes) return;
      endLine();
      from = at + 1;
    }
    take(chunk.subarray(from));
  };
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      count(chunk);
      if (bytes <= maxBytes) return controller.enqueue(chunk);
      exceeded();
      controller.error(new Error(`A message of more than ${maxBytes} bytes.`));
    },
  });
}
