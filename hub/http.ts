import type { Express, Request, Response } from 'express';
import { AppError } from '../protocol/errors.ts';
import type { McpEndpoint } from './mcp/endpoint.ts';
import { METADATA_PATH } from './oauth/metadata.ts';

interface HubDoors {
  endpoint: McpEndpoint;
  ready: () => boolean;
  /** RFC 9728; `undefined` where only tokens of the hub's own are taken. */
  protectedResource?: Record<string, unknown> | undefined;
}

/** The hub's public addresses. */
export function mountHub(app: Express, { endpoint, ready, protectedResource }: HubDoors): void {
  const serveMcp = (request: Request, response: Response) => endpoint.handle(request, response);
  app.all('/mcp', serveMcp);
  app.all('/s/:namespace/:name/mcp', serveMcp);
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
