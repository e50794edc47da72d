import { AppError } from '../../protocol/errors.ts';
import { buildCatalog, type Catalog } from '../catalog.ts';
import { LOCAL_USER } from '../clients.ts';
import type { InstalledSkill, InstalledSkills } from '../installed.ts';
import type { Gateway, GatewayRequest, GatewayView, Principal, Scope } from '../mcp/gateway.ts';
import { covers, neededScope, scopeToEnter, type ScopeMap, touches, type Wanted } from './scopes.ts';

/** A gateway behind which a token opens what its scopes map to, and nothing else. */
export interface ScopedGateway extends Gateway {
  /** @throws AppError `insufficient-scope`, `forbidden` when the scopes do not open what is asked for. */
  refuseUncovered(principal: Principal, scope: Scope, asked: Pick<GatewayRequest, 'method' | 'params'>): void;
}

interface ScopedGatewayParts {
  gateway: Gateway;
  installed: InstalledSkills;
  scopes: ScopeMap;
}

/** Views kept at a time: one for each door and set of scopes in use. */
const MAX_VIEWS = 256;

/**
 * Narrows a gateway for principals with scopes; others pass as they are. Names are looked up in the same catalog
 * that calls go through, so that what is shown and what is allowed cannot differ.
 */
export function scopedGateway({ gateway, installed, scopes: map }: ScopedGatewayParts): ScopedGateway {
  let catalog: Catalog = buildCatalog(installed.list());
  const views = new Map<string, { of: GatewayView; narrowed: GatewayView }>();
  installed.onChange(() => {
    catalog = buildCatalog(installed.list());
    views.clear();
  });

  function narrowedView(whole: GatewayView, scope: Scope, held: readonly string[]): GatewayView {
    const key = JSON.stringify([scope, held]);
    const kept = views.get(key);
    if (kept?.of === whole) return kept.narrowed;
    if (views.size >= MAX_VIEWS) views.clear();
    const narrowed = narrow(whole, installed.list(), {
      scope,
      catalog,
      opens: (wanted) => covers(map, held, wanted),
      touches: (skill) => touches(map, held, skill),
    });
    views.set(key, { of: whole, narrowed });
    return narrowed;
  }

  function refuseUncovered(
    principal: Principal,
    scope: Scope,
    { method, params }: Pick<GatewayRequest, 'method' | 'params'>,
  ): void {
    const held = scopesOf(principal);
    if (held === undefined) return;
    const { skill, tool } = catalog.find(scope, method, params);
    const wanted = { skill: skill.name, ...(tool === undefined ? {} : { tool: tool.name }) };
    if (!covers(map, held, wanted)) throw insufficient(wanted, neededScope(map, wanted));
  }

  return {
    view(principal, scope) {
      const whole = gateway.view(unscoped(principal), scope);
      const held = scopesOf(principal);
      if (held === undefined) return whole;
      if (scope.kind === 'skill' && !touches(map, held, scope.name))
        throw insufficient({ skill: scope.name }, scopeToEnter(map, scope.name));
      if (held.length === 0) throw opensNothing(map);
      return narrowedView(whole, scope, held);
    },
    async request(principal, scope, request) {
      refuseUncovered(principal, scope, request);
      return gateway.request(unscoped(principal), scope, request);
    },
    async subscribe(principal, scope, uri, updated) {
      refuseUncovered(principal, scope, { method: 'resources/subscribe', params: { uri } });
      return gateway.subscribe(unscoped(principal), scope, uri, updated);
    },
    onChange: (listener) => gateway.onChange(listener),
    refuseUncovered,
  };
}

/** `undefined` opens everything, and is for local clients alone: whoever comes from elsewhere without scopes has none. */
function scopesOf({ user, scopes }: Principal): readonly string[] | undefined {
  return scopes ?? (user === LOCAL_USER ? undefined : []);
}

/** Scopes are used up here: policies and records know users and clients. */
function unscoped({ scopes: _scopes, ...principal }: Principal): Principal {
  return principal;
}

interface Narrowing {
  scope: Scope;
  catalog: Catalog;
  opens: (wanted: Wanted) => boolean;
  touches: (skill: string) => boolean;
}

function narrow(
  whole: GatewayView,
  skills: readonly InstalledSkill[],
  { scope, catalog, opens, touches: open }: Narrowing,
): GatewayView {
  const seen = (method: GatewayRequest['method'], params: Record<string, unknown>): boolean => {
    const { skill, tool } = catalog.find(scope, method, params);
    return opens({ skill: skill.name, ...(tool === undefined ? {} : { tool: tool.name }) });
  };
  const shown = skills.filter(({ name }) => (scope.kind === 'all' || scope.name === name) && open(name));
  const { instructions: _all, ...rest } = whole;
  const instructions = scope.kind === 'skill' ? whole.instructions : instructionsOf(catalog, shown);
  return {
    ...rest,
    ...(instructions === undefined ? {} : { instructions }),
    tools: whole.tools.filter(({ name }) => seen('tools/call', { name })),
    prompts: whole.prompts.filter(({ name }) => seen('prompts/get', { name })),
    resources: whole.resources.filter(({ uri }) => seen('resources/read', { uri })),
    skills: whole.skills.filter(({ uri }) => seen('resources/read', { uri })),
    resourceTemplates: whole.resourceTemplates.filter(({ uriTemplate: uri }) =>
      seen('completion/complete', { ref: { type: 'ref/resource', uri } }),
    ),
    completions:
      whole.completions &&
      shown.some(({ name, surface }) => surface.capabilities.completions === true && opens({ skill: name })),
  };
}

/** What each open skill says of itself, under its alias as at `/mcp`. A skill that is not served says nothing. */
function instructionsOf(catalog: Catalog, skills: readonly InstalledSkill[]): string | undefined {
  const said = skills.flatMap(({ name, alias, quarantine, blocked }) => {
    if (quarantine !== undefined || blocked !== undefined) return [];
    const { instructions } = catalog.view({ kind: 'skill', name });
    return instructions === undefined ? [] : [`## ${alias}\n${instructions}`];
  });
  return said.length === 0 ? undefined : said.join('\n\n');
}

function insufficient({ skill, tool }: Wanted, scope: string | undefined): AppError {
  const what = tool === undefined ? skill : `${tool} of ${skill}`;
  if (scope === undefined)
    return new AppError('forbidden', { detail: `No token of an authorization server opens ${what} here.` });
  return new AppError('insufficient-scope', {
    detail: `The token does not open ${what}; the scope ${scope} does.`,
    hint: 'Sign in again and ask for this scope, too.',
    data: { scope },
  });
}

function opensNothing(map: ScopeMap): AppError {
  const scope = Object.keys(map).join(' ');
  return new AppError('insufficient-scope', {
    detail: `The token has none of the scopes that open anything in this hub: ${scope}.`,
    hint: 'Sign in again and ask for what you need of these.',
    data: { scope },
  });
}
