import type { Express } from 'express';
import { AppError } from '../protocol/errors.ts';
import type { Front } from '../protocol/node/http-server.ts';
import type { McpEndpoint } from './mcp/endpoint.ts';
import { isMcpPath } from './mcp/guards.ts';
import { METADATA_PATH } from './oauth/metadata.ts';

interface HubDoors {
  ready: () => boolean;
  /** RFC 9728; `undefined` where only tokens of the hub's own are taken. */
  protectedResource?: Record<string, unknown> | undefined;
}

/** The hub's public addresses beside MCP. */
export function mountHub(app: Express, { ready, protectedResource }: HubDoors): void {
  if (protectedResource !== undefined) {
    const doors = ['', '/mcp', '/s/:namespace/:name/mcp'].map((door) => `${METADATA_PATH}${door}`);
    app.get(doors, (_request, response) => {
      response.set('Cache-Control', 'no-cache').json(protectedResource);
    });
  }
  app.get('/healthz', (_request, response) => void response.json({ ok: true }));
  app.get('/readyz', (_request, response) => {
    if (!ready()) throw new AppError('unavailable', { detail: 'The hub is not ready yet.' });
    response.json({ ok: true });
  });
}

/** MCP goes past Express, which costs more than all the rest of a call (docs/benchmarks.md). */
export function mcpFirst(endpoint: McpEndpoint): Front {
  return (request, response) => {
    if (!isMcpPath(request.url ?? '/')) return false;
    void endpoint.handle(request, response);
    return true;
  };
}
