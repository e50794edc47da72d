import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Writable } from 'node:stream';
import { REDIRECT_URL } from '../hub/remote/reach.ts';
import { AppError } from '../protocol/errors.ts';

/**
 * Lets a person agree in a browser: says which address to open, and waits on loopback for the query that the
 * authorization server sends the browser back with. A visit that answers another question is not taken.
 * @throws AppError `unavailable` when the loopback port is taken, and the signal's reason.
 */
export async function agreeInBrowser(
  { stderr, signal }: { stderr: Writable; signal: AbortSignal },
  authorizationUrl: URL,
): Promise<URLSearchParams> {
  const { hostname, port, pathname } = new URL(REDIRECT_URL);
  const state = authorizationUrl.searchParams.get('state');
  let take = (_answer: URLSearchParams): void => undefined;
  const taken = new Promise<URLSearchParams>((resolve) => (take = resolve));
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', REDIRECT_URL);
    const isOurs = url.pathname === pathname && url.searchParams.get('state') === state;
    response.writeHead(isOurs ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(isOurs ? 'Berth has your answer. You can close this window.\n' : 'Nothing is here.\n');
    if (isOurs) take(url.searchParams);
  });
  server.listen(Number(port), hostname);
  try {
    await once(server, 'listening', { signal });
    stderr.write(`Open this address in a browser on this machine, and agree:\n${authorizationUrl.href}\n`);
    const stopped = once(signal, 'abort').then(() => {
      throw signal.reason;
    });
    return await (signal.aborted ? stopped : Promise.race([taken, stopped]));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new AppError('unavailable', {
      detail: `Port ${port} of this machine is taken, and a browser has to come back to it.`,
      hint: 'Stop what listens there, perhaps another sign-in, and try again.',
      cause: error,
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}
