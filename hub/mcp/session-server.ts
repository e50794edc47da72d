import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type NodeIncomingMessageLike, toWebRequest } from '@modelcontextprotocol/node';
import {
  type InitializeRequest,
  isJSONRPCRequest,
  Server,
  type ServerContext,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { capabilitiesOf } from './capabilities.ts';
import { dispatch } from './dispatch.ts';
import type { Principal } from './gateway.ts';
import type { Admitted, DoorParts } from './modern.ts';
import type { Visitor } from './visitor.ts';

/** The SDK's half of a session of the older revisions: made when a request needs it, and let go when none does. */
export interface SessionServer {
  readonly server: Server;
  /** Whether it has turned to the client with requests, whose ids must not come again in this session (MCP, basic). */
  hasAsked(): boolean;
  /** Whether a request of the client is still being answered, though nobody may be left to hear it. */
  isAtWork(): boolean;
  /** Carries one HTTP exchange; settles when its response has ended. */
  exchange(admitted: Admitted): Promise<void>;
  close(): Promise<void>;
}

export interface SessionServerOrder {
  /** The session's id, given to the client in the answer to its `initialize`. */
  id: string;
  visitor: Visitor;
  /** What the client opened the session with, where it is open already: the SDK is told once more. */
  hello?: InitializeRequest | undefined;
  /** The client's `initialize` was taken. */
  opened?: (() => void) | undefined;
  /** The transport was closed, by the client's DELETE or by `close`. */
  closed: () => void;
}

/** Makes it; with a `hello` it is where it was when the session was opened. */
export async function openSessionServer(
  parts: DoorParts,
  { id, visitor, hello, opened, closed }: SessionServerOrder,
): Promise<SessionServer> {
  const { principal, scope } = visitor;
  const view = parts.gateway.view(principal, scope);
  const server = new Server(
    parts.serverInfo,
    view.instructions === undefined ? {} : { instructions: view.instructions },
  );
  // Not in the constructor: there, the SDK adds handlers of its own for whatever is declared.
  const capabilities = capabilitiesOf(view, scope);
  server.registerCapabilities(capabilities);
  if (capabilities.logging !== undefined) {
    // Over the SDK's own, which keeps the level to itself.
    server.setRequestHandler('logging/setLevel', ({ params }) => {
      visitor.session.logLevel = params.level;
      return {};
    });
  }
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => id,
    onsessioninitialized: () => opened?.(),
  });
  let atWork = 0;
  server.fallbackRequestHandler = async (message, context) => {
    // The SDK never answers a cancelled request; its stream would stay open for as long as the session.
    context.mcpReq.signal.addEventListener('abort', () => transport.closeSSEStream(message.id), {
      once: true,
    });
    // A session outlives its first token: each request may do what its own token opens.
    const now = { ...visitor, principal: principalOf(context) ?? principal };
    atWork += 1;
    try {
      return await dispatch(parts, now, server, message, context);
    } finally {
      atWork -= 1;
    }
  };
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's callbacks are no event targets
  server.onerror = (error) => parts.log.debug({ err: error }, 'MCP session');
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
  server.onclose = closed;
  let asked = false;
  await server.connect(
    watchingSends(transport, (message) => {
      asked ||= isJSONRPCRequest(message);
    }),
  );
  if (hello !== undefined) await replay(transport, hello);
  return {
    server,
    hasAsked: () => asked,
    isAtWork: () => atWork > 0,
    async exchange({ principal: sender, request, response, body }) {
      const asWeb = await toWebRequest(request as NodeIncomingMessageLike, body);
      // The SDK carries `authInfo` from a request to its handlers; the token itself has no business there.
      const authInfo = { token: '', clientId: sender.client, scopes: [], extra: { principal: sender } };
      const answer = await transport.handleRequest(asWeb, { authInfo, parsedBody: body });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      if (answer.body === null) return void response.end();
      // A stream may have nothing to say for long, and its client waits to know that it is open.
      response.flushHeaders();
      await stream(answer.body, response);
    },
    close: () => server.close(),
  };
}

/** Writes a body as it comes and as fast as it is read, until its end or that of the client. */
async function stream(body: ReadableStream<Uint8Array>, response: ServerResponse): Promise<void> {
  const reader = body.getReader();
  let closed = (): void => undefined;
  const gone = new Promise<void>((resolve) => (closed = resolve));
  response.once('close', () => {
    closed();
    void reader.cancel().catch(() => undefined);
  });
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
    if (done || response.destroyed) break;
    if (!response.write(value)) await Promise.race([gone, once(response, 'drain')]);
  }
  response.end();
}

type Transport = WebStandardStreamableHTTPServerTransport;

/** Tells of everything that is sent through a transport. */
function watchingSends(transport: Transport, sent: (message: unknown) => void): Transport {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    sent(message);
    return send(message, options);
  };
  return transport;
}

/** Opens the SDK's session once more; what it answers is what the client was told then. */
async function replay(transport: Transport, hello: InitializeRequest): Promise<void> {
  const body = { jsonrpc: '2.0', id: 'again', ...hello };
  const request = new Request('http://localhost/', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  });
  const answer = await transport.handleRequest(request, { parsedBody: body });
  await answer.text();
}

function principalOf({ http }: ServerContext): Principal | undefined {
  return http?.authInfo?.extra?.['principal'] as Principal | undefined;
}
