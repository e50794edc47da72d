import type { IncomingMessage, ServerResponse } from 'node:http';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  type Implementation,
  type McpHttpHandler,
  McpServer,
  type ServerEventBus,
  type ServerOptions,
} from '@modelcontextprotocol/server';
import { audienceKey, type ChangeNotices } from './changes.ts';
import { capabilitiesOf, serves } from './capabilities.ts';
import { dispatch, type DispatchParts } from './dispatch.ts';
import type { GatewayView, Principal, Scope } from './gateway.ts';
import { keepRecent } from './kept.ts';
import { type WatchedResources, watchedResources } from './watched.ts';
import { serveTasks, servesTasks, withTasks } from './tasks.ts';

/** One HTTP request that has passed the guards, with its parsed body where it has one. */
export interface Admitted {
  principal: Principal;
  scope: Scope;
  request: IncomingMessage;
  response: ServerResponse;
  body: unknown;
}

/** The door for one protocol era. */
export interface Door {
  serve(admitted: Admitted): Promise<void>;
  /** Ends what a client has open. */
  end(client: string): Promise<void>;
  close(): Promise<void>;
}

export interface DoorParts extends DispatchParts {
  notices: ChangeNotices;
  serverInfo: Implementation;
}

/** Kept ready for clients that have no request open now; users and scopes of tokens can be any number. */
const MAX_IDLE_HANDLERS = 256;

interface Handler {
  client: string;
  mcp: McpHttpHandler;
  serve: ReturnType<typeof toNodeHandler>;
  watched: WatchedResources;
}

/**
 * The door for MCP 2026-07-28, where every request stands for itself. Each client has an SDK handler of
 * its own at each door, so that its subscriptions hear of its own view and of no other's.
 */
export function createModernDoor(parts: DoorParts & { subscriptionsPerClient: number }): Door {
  const handlers = keepRecent<Handler>(MAX_IDLE_HANDLERS);

  function handlerOf(principal: Principal, scope: Scope): Handler {
    const watched = watchedResources(parts.gateway, principal, scope);
    const mcp = createMcpHandler(
      // The SDK has checked by now that this header says what the body says.
      ({ requestInfo }) => serverFor(parts, principal, scope, requestInfo?.headers.get('mcp-method') ?? ''),
      {
        legacy: 'reject',
        bus: busFor(parts.notices, watched, principal, scope),
        maxSubscriptions: parts.subscriptionsPerClient,
        onerror: (error) => parts.log.debug({ err: error }, 'MCP request refused'),
      },
    );
    return { client: principal.client, mcp, serve: toNodeHandler(mcp), watched };
  }

  async function closeWhere(fits: (handler: Handler) => boolean): Promise<void> {
    await Promise.all(handlers.drop(fits).map(({ mcp }) => mcp.close()));
  }

  return {
    async serve({ principal, scope, request, response, body }) {
      const { value: handler, release: leave } = handlers.take(audienceKey(principal, scope), () =>
        handlerOf(principal, scope),
      );
      if (response.destroyed) return leave();
      response.once('close', leave);
      const release = await handler.watched.hold(body);
      response.once('close', release);
      if (response.destroyed) return release();
      await handler.serve(request as NodeIncomingMessageLike, response, body);
    },
    end: (client) => closeWhere((handler) => handler.client === client),
    close: () => closeWhere(() => true),
  };
}

function serverFor(parts: DoorParts, principal: Principal, scope: Scope, method: string): ViewServer {
  const view = parts.gateway.view(principal, scope);
  const capabilities = withTasks(capabilitiesOf(view, scope), parts.tasks);
  const mcp = new ViewServer(
    view,
    parts.serverInfo,
    view.instructions === undefined ? {} : { instructions: view.instructions },
  );
  // Not in the constructor: there, the SDK adds handlers of its own for whatever is declared.
  mcp.server.registerCapabilities(capabilities);
  const { tasks, newRequestId, log } = parts;
  if (tasks !== undefined && servesTasks(capabilities, method))
    serveTasks(mcp.server, tasks, principal, () => ({ requestId: newRequestId(), log }));
  // Without a fallback the SDK answers an unknown method by itself, with the HTTP status that the revision asks for.
  if (serves(capabilities, method)) {
    const visitor = {
      principal,
      scope,
      era: 'modern',
      session: { subscriptions: new Map<string, () => void>() },
    } as const;
    mcp.server.fallbackRequestHandler = (request, context) =>
      dispatch(parts, visitor, mcp.server, request, context);
  }
  return mcp;
}

/** Lets the SDK check `Mcp-Param-*` headers against the schemas of the view; tools are never registered with it. */
class ViewServer extends McpServer {
  readonly #view: GatewayView;

  constructor(view: GatewayView, serverInfo: Implementation, options: ServerOptions) {
    super(serverInfo, options);
    this.#view = view;
  }

  override toolInputSchemaJson(name: string): Record<string, unknown> | undefined {
    const tool = this.#view.tools.find((shown) => shown['name'] === name);
    return tool?.['inputSchema'] as Record<string, unknown> | undefined;
  }
}

/** The SDK's event bus, fed by the view of one principal at one door and by the resources that it watches there. */
function busFor(
  notices: ChangeNotices,
  watched: WatchedResources,
  principal: Principal,
  scope: Scope,
): ServerEventBus {
  return {
    publish: () => undefined,
    subscribe(listener) {
      const stops = [
        notices.listen(principal, scope, (kind) => listener({ kind: `${kind}_list_changed` })),
        watched.listen(listener),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}
