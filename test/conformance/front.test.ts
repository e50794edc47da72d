import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openFront } from './front.ts';

/** A front before a hub that does this, and a request through it. */
async function through(
  hub: RequestListener,
  { headers, body = '', signal }: { headers: Record<string, string>; body?: string; signal?: AbortSignal },
): Promise<IncomingMessage> {
  const server = createServer(hub).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const front = await openFront();
  onTestFinished(async () => {
    await front.close();
    server.closeAllConnections();
    server.close();
  });
  front.leadTo({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'secret' });
  const options = { port: front.port, method: 'POST', path: '/s/a.b/c/mcp?x=1', headers };
  const sent = ask({ ...options, ...(signal === undefined ? {} : { signal }) });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

describe('the door before the hub', () => {
  it('adds the Authorization header and passes everything else as it was sent', async () => {
    const headers = { Host: 'evil.example:99', Origin: 'https://evil.example', 'Mcp-Method': 'tools/call' };
    const response = await through(
      (request, answer) => {
        const { method, url, rawHeaders } = request;
        request.on('data', (chunk: Buffer) => {
          answer
            .writeHead(403, { 'x-own': 'yes' })
            .end(JSON.stringify([method, url, rawHeaders, String(chunk)]));
        });
      },
      { headers, body: 'question' },
    );
    expect([response.statusCode, response.headers['x-own']]).toEqual([403, 'yes']);
    const [method, url, raw, body] = JSON.parse(String(await once(response, 'data'))) as [
      string,
      string,
      string[],
      string,
    ];
    expect([method, url, body]).toEqual(['POST', '/s/a.b/c/mcp?x=1', 'question']);
    const seen = raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1]]] : []));
    expect(seen).toEqual(
      expect.arrayContaining([...Object.entries(headers), ['Authorization', 'Bearer secret']]),
    );
    expect(seen.filter(([name]) => name?.toLowerCase() === 'host')).toHaveLength(1);
  });

  it('passes the first event of a stream on before there is a second', async () => {
    let finish: () => void = () => undefined;
    const response = await through(
      (_request, answer) => {
        answer.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
        finish = () => answer.end('data: 2\n\n');
      },
      { headers: {} },
    );
    const events = response[Symbol.asyncIterator]();
    expect(String((await events.next()).value)).toBe('data: 1\n\n');
    finish();
    expect(String((await events.next()).value)).toBe('data: 2\n\n');
    expect((await events.next()).done).toBe(true);
  });

  it('breaks off towards the hub what the client breaks off', async () => {
    const controller = new AbortController();
    let brokenOff: Promise<unknown> = Promise.resolve();
    const response = await through(
      (_request, answer) => {
        brokenOff = once(answer, 'close');
        answer.writeHead(200).flushHeaders();
      },
      { headers: {}, signal: controller.signal },
    );
    response.on('error', () => undefined);
    controller.abort();
    await brokenOff;
  });
});
