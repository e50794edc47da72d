import { EventEmitter, once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text as textIn } from 'node:stream/consumers';
import { randomUUID } from 'node:crypto';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer as LegacyServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createMcpHandler, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { onTestFinished } from 'vitest';
import * as z from 'zod/v4';

/** One request as it came in. */
export interface Seen {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: { method?: string; params?: Record<string, unknown> };
}

export interface RemoteServer {
  url: string;
  seen: Seen[];
  /** Waits until the server has said this, past or future. */
  said(event: string): Promise<void>;
  /** From now on it says something else of itself, and tells those who listen. */
  change(): Promise<void>;
  /** Breaks every open connection off. */
  breakOff(): void;
  /** Listens no longer. */
  close(): Promise<void>;
  /** Forgets every session, as a restart does. */
  forget(): Promise<void>;
}

/** What a request meets before the MCP server; true when it was answered. */
export type Gate = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

interface Setting {
  gate?: Gate;
  /** Makes the server, and says under which origin it is known, but for the port; plain HTTP on loopback by itself. */
  http?: () => HttpServer | HttpsServer;
  origin?: string;
}

const text = (words: string) => ({ content: [{ type: 'text' as const, text: words }] });
const CHANGED = 'Says something else.';
const QUESTION = {
  mode: 'form' as const,
  message: 'Who?',
  requestedSchema: {
    type: 'object' as const,
    properties: { name: { type: 'string' as const } },
    required: ['name'],
  },
};

/** A real server of MCP 2026-07-28 on the v2 SDK. */
export async function modernRemote(setting: Setting = {}): Promise<RemoteServer> {
  const { say, said } = events();
  let changed = false;
  const mcp = createMcpHandler(() => {
    const server = new McpServer(
      { name: 'remote', version: '1.0.0' },
      { capabilities: { tools: { listChanged: true }, resources: { subscribe: true } } },
    );
    server.registerTool(
      'echo',
      {
        description: changed ? CHANGED : 'Says it.',
        inputSchema: z.object({ message: z.string() }),
      },
      ({ message }) => text(message),
    );
    server.registerTool('count', { description: 'Counts aloud.' }, async ({ mcpReq }) => {
      const { _meta: { progressToken } = {} } = mcpReq;
      for (let progress = 1; progress <= 3 && progressToken !== undefined; progress += 1)
        await mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 3 },
        });
      return text('counted');
    });
    server.registerTool('wait', { description: 'Waits.' }, ({ mcpReq: { signal } }) => {
      say('waiting');
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          say('cancelled');
          reject(new Error('cancelled'));
        });
      });
    });
    server.registerTool('whom', { description: 'Asks.' }, ({ mcpReq: { inputResponses } }) => {
      if (inputResponses === undefined)
        return inputRequired({ inputRequests: { who: { method: 'elicitation/create', params: QUESTION } } });
      const { who } = inputResponses as Record<string, { content?: { name?: string } }>;
      return text(`asked ${String(who?.content?.name)}`);
    });
    server.registerResource('note', 'note://one', {}, (uri) => ({
      contents: [{ uri: uri.href, text: 'note' }],
    }));
    return server;
  });
  const serve = toNodeHandler(mcp);
  const http = await listening(setting, (request, response, body) =>
    serve(request as NodeIncomingMessageLike, response, body),
  );
  return {
    ...http,
    said,
    async change() {
      changed = true;
      mcp.notify.toolsChanged();
      mcp.notify.resourceUpdated('note://one');
    },
    forget: async () => undefined,
  };
}

/** A real server of MCP 2025-11-25 with sessions, on the v1 SDK. */
export async function legacyRemote(
  setting: Setting = {},
): Promise<RemoteServer & { sessions: () => number }> {
  const { say, said } = events();
  let changed = false;
  const sessions = new Map<string, { transport: StreamableHTTPServerTransport; change: () => void }>();

  async function open(): Promise<StreamableHTTPServerTransport> {
    const server = new LegacyServer({ name: 'remote', version: '1.0.0' });
    const echo = server.registerTool(
      'echo',
      { description: changed ? CHANGED : 'Says it.', inputSchema: { message: z.string() } },
      ({ message }) => text(message),
    );
    server.registerTool('count', { description: 'Counts aloud.' }, async ({ _meta, sendNotification }) => {
      const progressToken = _meta?.progressToken;
      for (let progress = 1; progress <= 3 && progressToken !== undefined; progress += 1)
        await sendNotification({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 3 },
        });
      return text('counted');
    });
    server.registerTool('wait', { description: 'Waits.' }, ({ signal }) => {
      say('waiting');
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          say('cancelled');
          reject(new Error('cancelled'));
        });
      });
    });
    server.registerTool('whom', { description: 'Asks.' }, async ({ requestId }) => {
      const { content } = await server.server.elicitInput(QUESTION, { relatedRequestId: requestId });
      return text(`asked ${String(content?.['name'])}`);
    });
    server.registerResource('note', 'note://one', {}, (uri) => ({
      contents: [{ uri: uri.href, text: 'note' }],
    }));
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized(id) {
        sessions.set(id, { transport, change: () => echo.update({ description: CHANGED }) });
      },
      onsessionclosed(id) {
        sessions.delete(id);
        say('left');
      },
    });
    await server.connect(transport);
    return transport;
  }

  const http = await listening(setting, async (request, response, body) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id)?.transport : undefined;
    if (id !== undefined && known === undefined) return void response.writeHead(404).end();
    await (known ?? (await open())).handleRequest(request, response, body);
  });
  return {
    ...http,
    said,
    sessions: () => sessions.size,
    async change() {
      changed = true;
      for (const { change } of sessions.values()) change();
    },
    async forget() {
      await Promise.all([...sessions.values()].map(({ transport }) => transport.close()));
      sessions.clear();
    },
  };
}

function events() {
  const heard = new Set<string>();
  const emitter = new EventEmitter();
  return {
    say(event: string) {
      heard.add(event);
      emitter.emit('said');
    },
    async said(event: string) {
      while (!heard.has(event)) await once(emitter, 'said');
    },
  };
}

async function listening(
  { gate = () => false, http = () => createServer(), origin = 'http://127.0.0.1' }: Setting,
  serve: (request: IncomingMessage, response: ServerResponse, body: unknown) => unknown,
) {
  const seen: Seen[] = [];
  const server = http();
  server.on(
    'request',
    (request: IncomingMessage, response: ServerResponse) => void answer(request, response),
  );
  async function answer(request: IncomingMessage, response: ServerResponse) {
    const { method = '', url = '', headers } = request;
    if (await gate(request, response)) {
      seen.push({ method, path: url, headers, body: {} });
      return;
    }
    const raw = await textIn(request);
    const body = raw === '' ? undefined : (JSON.parse(raw) as Seen['body']);
    seen.push({ method, path: url, headers, body: body ?? {} });
    await serve(request, response, body);
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `${origin}:${port}/mcp`,
    seen,
    breakOff: () => server.closeAllConnections(),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
