import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A door before a hub for a client that cannot send a token. */
export interface Front {
  port: number;
  /** From now on requests go to this hub. */
  leadTo(hub: { url: string; token: string }): void;
  close(): Promise<void>;
}

/**
 * Opens a door on a free loopback port. It adds the Authorization header and nothing else: method, path, Host,
 * Origin and every other header reach the hub as the client sent them, and both bodies are streamed. What the
 * client breaks off is broken off towards the hub as well.
 */
export async function openFront(): Promise<Front> {
  let target: { url: string; token: string } | undefined;
  const server = createServer((request, response) => {
    if (target === undefined) response.writeHead(503).end();
    else pass(target, request, response);
  });
  // A stream may stay open and silent for as long as the hub keeps it.
  server.requestTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    leadTo(hub) {
      target = hub;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function pass(
  { url, token }: { url: string; token: string },
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { hostname, port } = new URL(url);
  const onward = ask({
    hostname,
    port,
    method: request.method,
    path: request.url,
    headers: [...request.rawHeaders, 'Authorization', `Bearer ${token}`],
  });
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    // An event stream begins with its head, long before its first event.
    response.flushHeaders();
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  onward.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}
