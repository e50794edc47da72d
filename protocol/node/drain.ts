import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';

/**
 * Watches the connections of a server from its start and answers with what drains it: that stops accepting, closes each
 * connection behind its answer, and the idle ones once nothing is being answered, so that a request that is on
 * its way meanwhile gets an answer, too. It settles when no connection is left. Node's own `server.close()` cuts an
 * answer short that has not been sent to its last byte, for it takes the connection for an idle one.
 */
export function drainOf(server: Server): () => Promise<void> {
  const sockets = new Set<Socket>();
  const answering = new Set<ServerResponse>();
  let draining: Promise<void> | undefined;

  const closeIdle = (): void => {
    if (answering.size === 0) for (const socket of sockets) socket.destroySoon();
  };
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.prependListener('request', (_request, response) => {
    answering.add(response);
    if (draining !== undefined) response.shouldKeepAlive = false;
    response.once('close', () => {
      answering.delete(response);
      if (draining === undefined) return;
      const { socket } = response.req;
      if (![...answering].some(({ req }) => req.socket === socket)) socket.destroySoon();
      closeIdle();
    });
  });

  return () =>
    (draining ??= new Promise<void>((resolve) => {
      NetServer.prototype.close.call(server, () => {
        // With no connection left to cut, it lets go of its timers.
        server.close();
        resolve();
      });
      // RFC 9112 §9.6: whoever has not been answered yet is told that nothing follows on this connection.
      for (const response of answering) response.shouldKeepAlive = false;
      closeIdle();
    }));
}
