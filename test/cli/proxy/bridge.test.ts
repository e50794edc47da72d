import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { json } from 'node:stream/consumers';
import { createInterface } from 'node:readline';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { isInitializeRequest, Server } from '@modelcontextprotocol/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bridge } from '../../../cli/proxy/bridge.ts';
import { hubTransports } from '../../../cli/proxy/transports.ts';
import { verifies } from '../../support/verifies.ts';

type Message = Record<string, any>;
type Answer = (request: IncomingMessage, response: ServerResponse, body: Message) => unknown;

/** A server on a port of its own that answers as it is told to. */
async function served(answer: Answer): Promise<string> {
  const server = createServer((request, response) => {
    const body = request.method === 'POST' ? (json(request) as Promise<Message>) : Promise.resolve({});
    void body.then((parsed) => answer(request, response, parsed));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The bridge between a pipe that the test holds and a hub at a URL. */
function bridged(hub: () => string | undefined) {
  const [input, output, stop] = [new PassThrough(), new PassThrough(), new AbortController()];
  const said: string[] = [];
  const ended = bridge({
    input,
    output,
    say: (text) => void said.push(text),
    connect: hubTransports({ path: '/mcp', hub: async () => hub(), token: async () => 'a-token' }),
    signal: stop.signal,
  });
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  const lines = createInterface({ input: output })[Symbol.asyncIterator]();
  return {
    ended,
    said,
    write: (text: string | Buffer) => input.write(text),
    say: (...messages: unknown[]) =>
      messages.forEach((message) => input.write(`${JSON.stringify(message)}\n`)),
    hear: async (): Promise<Message> => JSON.parse((await lines.next()).value as string) as Message,
    end: () => input.end(),
  };
}

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };

/** A hub with sessions, each a server of its own; `restart` forgets them all, as a process does. */
async function sessionHub(serve: (server: Server) => void) {
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  const opened: string[] = [];
  const url = await served(async (request, response, body) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    if (known === undefined && !isInitializeRequest(body)) {
      const error = { code: -32_001, message: 'gone', data: { code: 'session-not-found' } };
      response.writeHead(404, { 'content-type': 'application/json' });
      return response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
    }
    const transport = known ?? (await open());
    await transport.handleRequest(request, response, request.method === 'POST' ? body : undefined);
  });

  async function open(): Promise<NodeStreamableHTTPServerTransport> {
    const transport: NodeStreamableHTTPServerTransport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        sessions.set(id, transport);
        opened.push(id);
      },
      onsessionclosed: (id) => void sessions.delete(id),
    });
    const server = new Server(
      { name: 'hub', version: '1.0.0' },
      { capabilities: { tools: { listChanged: true }, logging: {}, resources: { subscribe: true } } },
    );
    serve(server);
    await server.connect(transport);
    return transport;
  }

  return {
    url,
    opened,
    sessions,
    async restart() {
      await Promise.all([...sessions.values()].map((transport) => transport.close()));
      sessions.clear();
    },
  };
}

const HELLO = {
  jsonrpc: '2.0',
  id: 'hello',
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: { elicitation: {} },
    clientInfo: { name: 'test', version: '1.0.0' },
  },
};
const asking = (message: string) => ({
  method: 'elicitation/create' as const,
  params: {
    mode: 'form' as const,
    message,
    requestedSchema: { type: 'object' as const, properties: { sure: { type: 'boolean' as const } } },
  },
});
const READY = { jsonrpc: '2.0', method: 'notifications/initialized' };

describe('the bridge', () => {
  it(
    'hands on a 2026-07-28 request with the headers that its body says, and its answer as it came',
    verifies('proxy.unchanged'),
    async () => {
      const received: { headers: IncomingMessage['headers']; body: Message }[] = [];
      const result = {
        resultType: 'complete',
        content: [{ type: 'text', text: 'line\nbreak \u2028', unknown: { deep: [1, null] } }],
        structuredContent: [1, 'two'],
        _meta: { 'example.com/x': { y: 1e21 } },
        more: 'unknown to any schema',
      };
      const url = await served((request, response, body) => {
        received.push({ headers: request.headers, body });
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id: body['id'], result }));
      });
      const client = bridged(() => url);
      const request = {
        jsonrpc: '2.0',
        id: 7,
        method: 'tools/call',
        params: {
          name: 'skill__tööl',
          arguments: { a: { b: [] } },
          other: true,
          _meta: { ...META, traceparent: 'x' },
        },
      };
      client.say(request);
      expect(await client.hear()).toEqual({ jsonrpc: '2.0', id: 7, result });
      expect(received[0]?.body).toEqual(request);
      expect(received[0]?.headers).toMatchObject({
        authorization: 'Bearer a-token',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': `=?base64?${Buffer.from('skill__tööl').toString('base64')}?=`,
      });
      expect(received[0]?.headers['mcp-session-id']).toBeUndefined();
      client.end();
      await client.ended;
    },
  );

  it(
    'closes the stream of a cancelled 2026-07-28 request and answers nothing to it',
    verifies('proxy.both-eras'),
    async () => {
      const exchanges = new EventEmitter();
      const [open, closed] = [once(exchanges, 'open'), once(exchanges, 'closed')];
      const url = await served((_request, response, body) => {
        if (body['id'] === 'kept') {
          response.writeHead(200, { 'content-type': 'application/json' });
          return response.end(JSON.stringify({ jsonrpc: '2.0', id: 'kept', result: {} }));
        }
        response.once('close', () => exchanges.emit('closed'));
        exchanges.emit('open');
      });
      const client = bridged(() => url);
      const request = (id: string) => ({
        jsonrpc: '2.0',
        id,
        method: 'tools/call',
        params: { name: 'x', _meta: META },
      });
      client.say(request('slow'));
      await open;
      client.say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'slow' } });
      await closed;
      client.say(request('kept'));
      expect(await client.hear()).toMatchObject({ id: 'kept', result: {} });
      client.end();
      await client.ended;
    },
  );

  it(
    'carries a question of the hub to a client with sessions and its answer back',
    verifies('proxy.both-eras', 'proxy.unchanged'),
    async () => {
      const hub = await sessionHub((server) => {
        server.fallbackRequestHandler = async (_request, { mcpReq }) => {
          const answer = await mcpReq.send(asking('Really?'));
          return { content: [{ type: 'text', text: JSON.stringify(answer) }] };
        };
      });
      const client = bridged(() => hub.url);
      client.say(HELLO);
      expect(await client.hear()).toMatchObject({ id: 'hello', result: { protocolVersion: '2025-11-25' } });
      client.say(READY, { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'ask' } });
      const question = await client.hear();
      expect(question).toMatchObject({ method: 'elicitation/create', params: { message: 'Really?' } });
      client.say({
        jsonrpc: '2.0',
        id: question['id'],
        result: { action: 'accept', content: { sure: true } },
      });
      const answer = await client.hear();
      expect(JSON.parse(answer['result'].content[0].text)).toMatchObject({ content: { sure: true } });
      client.end();
      await client.ended;
      // It says goodbye, so that nothing of it stays in the hub.
      expect(hub.sessions.size).toBe(0);
    },
  );

  it(
    'begins a lost session anew by itself, with its settings, and tells that lists may have changed',
    verifies('proxy.hub-restarts'),
    async () => {
      const levels: unknown[] = [];
      const hub = await sessionHub((server) => {
        server.setRequestHandler('logging/setLevel', ({ params }) => {
          levels.push(params.level);
          return {};
        });
        server.fallbackRequestHandler = async ({ method }) => ({ answered: method });
      });
      const client = bridged(() => hub.url);
      client.say(HELLO);
      await client.hear();
      client.say(READY, { jsonrpc: '2.0', id: 1, method: 'logging/setLevel', params: { level: 'error' } });
      await client.hear();
      await hub.restart();
      // Nobody asked anything: the stream for what the hub says unasked found out.
      expect(await client.hear()).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
      expect([hub.opened.length, levels]).toEqual([2, ['error', 'error']]);
      client.say({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
      expect(await client.hear()).toMatchObject({ id: 2, result: { answered: 'tools/list' } });
      client.end();
      await client.ended;
    },
  );

  it(
    'takes back a question that a lost session had asked, and gives its answer to no other',
    verifies('proxy.hub-restarts'),
    async () => {
      const hub = await sessionHub((server) => {
        server.fallbackRequestHandler = async (_request, { mcpReq }) => {
          const answer = await mcpReq.send(asking('Q'));
          return { content: [{ type: 'text', text: JSON.stringify(answer) }] };
        };
      });
      const client = bridged(() => hub.url);
      client.say(HELLO);
      await client.hear();
      client.say(READY, { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'ask' } });
      const question = await client.hear();
      await hub.restart();
      const heard = [await client.hear(), await client.hear(), await client.hear()];
      expect(heard).toContainEqual(
        expect.objectContaining({ id: 1, error: expect.objectContaining({ code: -32_000 }) }),
      );
      expect(heard).toContainEqual(
        expect.objectContaining({
          method: 'notifications/cancelled',
          params: expect.objectContaining({ requestId: question['id'] }),
        }),
      );
      client.say({ jsonrpc: '2.0', id: question['id'], result: { action: 'accept', content: {} } });
      client.say({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'ask' } });
      const again = await client.hear();
      expect([again['method'], again['id'] === question['id']]).toEqual(['elicitation/create', false]);
    },
  );

  it(
    'repeats arguments in headers where the list of tools asked for that',
    verifies('proxy.both-eras'),
    async () => {
      const received: IncomingMessage['headers'][] = [];
      const inputSchema = {
        type: 'object',
        properties: {
          region: { type: 'string', 'x-mcp-header': 'Region' },
          deep: { type: 'object', properties: { n: { type: 'integer', 'x-mcp-header': 'N' } } },
          absent: { type: 'string', 'x-mcp-header': 'Absent' },
          silent: { type: 'string' },
        },
      };
      const url = await served((request, response, body) => {
        received.push(request.headers);
        const result = body['method'] === 'tools/list' ? { tools: [{ name: 'x', inputSchema }] } : {};
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id: body['id'], result }));
      });
      const client = bridged(() => url);
      const ask = async (id: number, method: string, params: object) => {
        client.say({ jsonrpc: '2.0', id, method, params: { ...params, _meta: META } });
        await client.hear();
        return received.at(-1) ?? {};
      };
      await ask(1, 'tools/list', {});
      const args = { region: ' für ', deep: { n: 7 }, silent: 'x' };
      const sent = await ask(2, 'tools/call', { name: 'x', arguments: args });
      const named = (headers: object) =>
        Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('mcp-param-')));
      expect(named(sent)).toEqual({
        'mcp-param-region': `=?base64?${Buffer.from(' für ').toString('base64')}?=`,
        'mcp-param-n': '7',
      });
      const other = await ask(3, 'tools/call', { name: 'y', arguments: args });
      expect(named(other)).toEqual({});
    },
  );

  it('refuses what is no message or too long, and goes on', verifies('proxy.bounded'), async () => {
    const url = await served((_request, response, body) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: body['id'], result: {} }));
    });
    const client = bridged(() => url);
    const big = (bytes: number) =>
      `{"jsonrpc":"2.0","id":9,"method":"x","params":{"a":"${'a'.repeat(bytes)}"}}\n`;
    const refused: [line: string | Buffer, id: number | null, code: number][] = [
      ['not json\n', null, -32_700],
      [Buffer.from([0x22, 0xff, 0x22, 0x0a]), null, -32_700],
      ['[]\n', null, -32_600],
      ['{"jsonrpc":"2.0","id":3,"method":4}\n', 3, -32_600],
      [big(5 * 1024 * 1024), 9, -32_000],
      [big(17 * 1024 * 1024), null, -32_000],
    ];
    for (const [line, id, code] of refused) {
      client.write(line);
      expect(await client.hear()).toMatchObject({ id, error: { code } });
    }
    client.say({ jsonrpc: '2.0', id: 10, method: 'tools/list', params: { _meta: META } });
    expect(await client.hear()).toMatchObject({ id: 10, result: {} });
  });

  it('has a bounded number of requests open', verifies('proxy.bounded'), async () => {
    const url = await served(() => undefined);
    const client = bridged(() => url);
    for (let id = 0; id <= 256; id += 1)
      client.say({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'x', _meta: META } });
    expect(await client.hear()).toMatchObject({ id: 256, error: { data: { code: 'rate-limited' } } });
    client.say({ jsonrpc: '2.0', id: 5, method: 'tools/list', params: { _meta: META } });
    expect(await client.hear()).toMatchObject({ id: 5, error: { code: -32_600 } });
  });

  it(
    'answers each request while there is no hub, tells a person once, and works when there is one',
    verifies('proxy.hub-restarts'),
    async () => {
      let url: string | undefined;
      const client = bridged(() => url);
      for (const id of [1, 2]) {
        client.say({ jsonrpc: '2.0', id, method: 'tools/list', params: { _meta: META } });
        expect(await client.hear()).toMatchObject({ id, error: { data: { code: 'not-running' } } });
      }
      expect(client.said).toEqual([expect.stringContaining('berth up')]);
      url = await served((_request, response, body) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id: body['id'], result: {} }));
      });
      client.say({ jsonrpc: '2.0', id: 3, method: 'tools/list', params: { _meta: META } });
      expect(await client.hear()).toMatchObject({ id: 3, result: {} });
    },
  );
});
