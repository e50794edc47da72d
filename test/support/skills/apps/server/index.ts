/** A skill with an MCP App, on the helpers of the extension's own package. */
import {
  getUiCapability,
  registerAppResource,
  registerAppTool,
  RESOURCE_MIME_TYPE,
} from '@modelcontextprotocol/ext-apps/server';
import { CLIENT_CAPABILITIES_META_KEY, McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { whoami } from './whoami.ts';

const VIEW = 'ui://clock/view.html';
const UNLISTED = 'ui://clock/settings.html';
const html = (uri: string) => `<!doctype html><title>${whoami}</title><p>${uri}</p>`;
const meta = {
  ui: {
    csp: { connectDomains: ['https://time.example'], resourceDomains: ['https://cdn.example'] },
    permissions: { geolocation: {} },
    domain: 'clock.apps.example',
    prefersBorder: true,
  },
};

serveStdio(() => {
  const server = new McpServer(
    { name: 'apps', version: '1.0.0' },
    { capabilities: { resources: { subscribe: true } } },
  );
  // Up to 2025-11-25; later revisions have streams for it, which the SDK serves.
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  registerAppTool(
    server,
    'show_time',
    { description: 'Shows the time.', _meta: { ui: { resourceUri: VIEW } } },
    ({ mcpReq }) => {
      // Each request has the client's capabilities with it, up to 2025-11-25 the session.
      const envelope = mcpReq.envelope as Record<string, unknown> | undefined;
      const capabilities = (envelope?.[CLIENT_CAPABILITIES_META_KEY] ??
        server.server.getClientCapabilities()) as Parameters<typeof getUiCapability>[0];
      const { mimeTypes = [] } = getUiCapability(capabilities) ?? {};
      return {
        content: [
          { type: 'text', text: `${whoami} ${VIEW}` },
          { type: 'resource_link', uri: VIEW, name: 'view' },
          { type: 'resource_link', uri: 'https://elsewhere.example/', name: 'elsewhere' },
          { type: 'resource', resource: { uri: 'clock://zones/utc', text: 'UTC' } },
        ],
        structuredContent: { uri: VIEW, hostTakes: mimeTypes },
      };
    },
  );
  registerAppTool(
    server,
    'set_zone',
    {
      description: 'Sets the time zone.',
      inputSchema: z.object({ zone: z.string() }),
      _meta: { ui: { resourceUri: UNLISTED, visibility: ['app'] } },
    },
    ({ zone }: { zone: string }) => ({ content: [{ type: 'text', text: `${whoami} ${zone}` }] }),
  );
  registerAppResource(server, 'view', VIEW, { _meta: meta }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: RESOURCE_MIME_TYPE, text: html(uri.href), _meta: meta }],
  }));
  server.registerResource(
    'zone',
    new ResourceTemplate('clock://zones/{zone}', { list: undefined }),
    {},
    (uri) => ({
      contents: [{ uri: uri.href, text: `${whoami} ${uri.href}` }],
    }),
  );
  server.registerPrompt('tell', { description: 'Tells of a zone.' }, () => ({
    messages: [
      { role: 'user', content: { type: 'resource', resource: { uri: 'clock://zones/utc', text: 'UTC' } } },
    ],
  }));
  server.registerTool('touch', { description: 'Changes the view.' }, async () => {
    await server.server.sendResourceUpdated({ uri: VIEW });
    return { content: [] };
  });
  return server;
});
