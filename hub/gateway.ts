import { type CallParts, call } from './call.ts';
import { buildCatalog, type Catalog } from './catalog.ts';
import type { InstalledSkills } from './installed.ts';
import type { Gateway } from './mcp/gateway.ts';

/** The hub's side of the MCP endpoint: the catalog for looking, `call` for everything else. */
export function createGateway(parts: Omit<CallParts, 'catalog'> & { installed: InstalledSkills }): Gateway {
  let catalog: Catalog = buildCatalog(parts.installed.list());
  parts.installed.onChange(() => {
    catalog = buildCatalog(parts.installed.list());
  });
  const callParts: CallParts = { ...parts, catalog: () => catalog };
  return {
    view: (_principal, scope) => catalog.view(scope),
    request: (principal, scope, request) => call(callParts, principal, scope, request),
    onChange: (listener) => parts.installed.onChange(listener),
  };
}
