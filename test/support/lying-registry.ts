import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** Something between hub and registry that changes what passes through, and what is asked. */
export async function liar(
  real: string,
  lie: (path: string, body: Buffer) => Buffer,
  ask: (path: string) => string = (path) => path,
): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const onward = httpRequest(`${real}${ask(incoming.url ?? '')}`, { method: incoming.method }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('end', () => {
        const body = lie(incoming.url ?? '', Buffer.concat(chunks));
        outgoing.writeHead(reply.statusCode ?? 500, { 'content-type': reply.headers['content-type'] ?? '' });
        outgoing.end(body);
      });
    });
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
