import { type CallParts, call } from './call.ts';
import { buildCatalog, type Catalog } from './catalog.ts';
import type { InstalledSkills } from './installed.ts';
import type { Gateway } from './mcp/gateway.ts';

/** The gateway of everything that is installed; `find` says where a name leads. */
export type WholeGateway = Gateway & Pick<Catalog, 'find'>;

/** The hub's side of the MCP endpoint: the catalog for looking, `call` for everything else. */
export function createGateway(
  parts: Omit<CallParts, 'catalog'> & { installed: InstalledSkills },
): WholeGateway {
  let catalog: Catalog = buildCatalog(parts.installed.list());
  parts.installed.onChange(() => {
    catalog = buildCatalog(parts.installed.list());
  });
  const callParts: CallParts = { ...parts, catalog: () => catalog };
  return {
    view: (_principal, scope) => catalog.view(scope),
    find: (scope, method, params) => catalog.find(scope, method, params),
    request: (principal, scope, request) => call(callParts, principal, scope, request),
    onChange: (listener) => parts.installed.onChange(listener),
  };
}
