import { type CallParts, call } from './call.ts';
import { buildCatalog, type Catalog } from './catalog.ts';
import type { InstalledSkills } from './installed.ts';
import type { Gateway } from './mcp/gateway.ts';
import type { Subscriptions } from './subscriptions.ts';

/** The gateway of everything that is installed; `find` says where a name leads. */
export type WholeGateway = Gateway & Pick<Catalog, 'find'>;

type GatewayParts = Omit<CallParts, 'catalog'> & { installed: InstalledSkills; subscriptions: Subscriptions };

/** The hub's side of the MCP endpoint: the catalog for looking, `call` for everything else. */
export function createGateway(parts: GatewayParts): WholeGateway {
  let catalog: Catalog = buildCatalog(parts.installed.list());
  parts.installed.onChange(() => {
    catalog = buildCatalog(parts.installed.list());
  });
  const callParts: CallParts = { ...parts, catalog: () => catalog };
  return {
    view: (_principal, scope) => catalog.view(scope),
    find: (scope, method, params) => catalog.find(scope, method, params),
    request: (principal, scope, request) => call(callParts, principal, scope, request),
    subscribe(principal, scope, uri, updated) {
      const request = { method: 'resources/subscribe', params: { uri }, signal: NEVER } as const;
      const { skill, name: own } = catalog.find(scope, request.method, request.params);
      return parts.subscriptions.listen(
        { skill: skill.name, user: principal.user, uri: own },
        () => call(callParts, principal, scope, request),
        updated,
      );
    },
    onChange: (listener) => parts.installed.onChange(listener),
  };
}

/** Asking takes a moment, and what was asked for is given back by stopping to listen. */
const NEVER = new AbortController().signal;
