import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A server with fixed answers by path, 404 for the rest; answers with its URL. */
export async function servedJson(
  answers: Record<string, { status: number; body: string; headers?: Record<string, string> }>,
): Promise<string> {
  const server = createServer((request, response) => {
    const { status, body, headers } = answers[request.url ?? ''] ?? { status: 404, body: '' };
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
