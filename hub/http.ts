import type { Express, Request, Response } from 'express';
import { AppError } from '../protocol/errors.ts';
import type { McpEndpoint } from './mcp/endpoint.ts';

/** The hub's public addresses. */
export function mountHub(
  app: Express,
  { endpoint, ready }: { endpoint: McpEndpoint; ready: () => boolean },
): void {
  const serveMcp = (request: Request, response: Response) => endpoint.handle(request, response);
  app.all('/mcp', serveMcp);
  app.all('/s/:namespace/:name/mcp', serveMcp);
  app.get('/healthz', (_request, response) => void response.json({ ok: true }));
  app.get('/readyz', (_request, response) => {
    if (!ready()) throw new AppError('unavailable', { detail: 'The hub is not ready yet.' });
    response.json({ ok: true });
  });
}
