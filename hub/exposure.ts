import { isForModels } from '../protocol/apps-extension.ts';
import { AppError } from '../protocol/errors.ts';
import { isServing } from './catalog.ts';
import type { Clients } from './clients.ts';
import type { WholeGateway } from './gateway.ts';
import type { InstalledSkill, InstalledSkills } from './installed.ts';
import type { Gateway, GatewayRequest, GatewayView, Principal, Scope } from './mcp/gateway.ts';
import { type Profile, profileHas, type Profiles } from './profiles.ts';
import { calledTool, describeTools, SEARCH_TOOLS, searchInstructions, searchTools } from './search-tools.ts';
import { buildToolIndex, type ToolIndex } from './tool-search.ts';

interface ExposureParts {
  whole: WholeGateway;
  installed: Pick<InstalledSkills, 'list'>;
  clients: Pick<Clients, 'exposureOf' | 'onExposure'>;
  profiles: Pick<Profiles, 'get' | 'onChange'>;
  /** `buildToolIndex` when left out. */
  buildIndex?: typeof buildToolIndex;
}

/**
 * Shows each client as much of the hub as its mode says: everything, a profile, or three tools that find the others.
 * What a profile hides is not there for its client: neither listed nor found nor called. Every call goes on to the
 * whole gateway, so that policy, arguments and audit see the tool itself and never `call_tool`.
 */
export function exposingGateway(parts: ExposureParts): Gateway {
  const { whole, clients, profiles, buildIndex = buildToolIndex } = parts;
  // Views and profiles are replaced and never altered: what was made of one holds as long as it lives.
  const narrowed = new WeakMap<GatewayView, WeakMap<Profile, GatewayView>>();
  const shortened = new WeakMap<GatewayView, GatewayView>();
  const indexes = new WeakMap<GatewayView['tools'], ToolIndex>();

  function profileOf({ client }: Principal): Profile | undefined {
    const { profile } = clients.exposureOf(client);
    return profile === undefined ? undefined : profiles.get(profile);
  }

  function searches({ client }: Principal, scope: Scope): boolean {
    return scope.kind === 'all' && clients.exposureOf(client).mode === 'search';
  }

  /** Everything that the principal may use, whether it is listed or found. */
  function usable(principal: Principal, scope: Scope): GatewayView {
    const profile = profileOf(principal);
    if (profile === undefined) return whole.view(principal, scope);
    if (scope.kind === 'skill' && !profileHas(profile, scope.name)) throw notInstalled(scope.name);
    const view = whole.view(principal, scope);
    const ofView = remembered(narrowed, view, () => new WeakMap<Profile, GatewayView>());
    return remembered(ofView, profile, () => narrow(parts, profile, view, scope));
  }

  /** Refuses what the principal's profile hides in the words for what is not there. */
  function through(
    principal: Principal,
    scope: Scope,
    request: GatewayRequest,
  ): Promise<Record<string, unknown>> {
    const profile = profileOf(principal);
    return profile === undefined
      ? whole.request(principal, scope, request)
      : throughProfile(profile, principal, scope, request);
  }

  async function throughProfile(
    profile: Profile,
    principal: Principal,
    scope: Scope,
    request: GatewayRequest,
  ): Promise<Record<string, unknown>> {
    if (scope.kind === 'skill' && !profileHas(profile, scope.name)) throw notInstalled(scope.name);
    if (!leadsInto(whole, profile, scope, request.method, request.params)) throw notThere(request);
    return whole.request(principal, scope, request);
  }

  /** Whoever calls through `call_tool` is a model. */
  async function forModels(
    principal: Principal,
    scope: Scope,
    request: GatewayRequest,
  ): Promise<Record<string, unknown>> {
    const { tool } = whole.find(scope, request.method, request.params);
    if (tool !== undefined && !isForModels(tool.definition)) throw notThere(request);
    return through(principal, scope, request);
  }

  return {
    view(principal, scope) {
      const view = usable(principal, scope);
      if (!searches(principal, scope)) return view;
      return remembered(shortened, view, () => ({
        ...view,
        tools: SEARCH_TOOLS,
        // Whatever is called through it may ask.
        asking: new Set(view.asking.size === 0 ? [] : ['call_tool']),
        instructions: searchInstructions(view.tools.filter(isForModels)),
      }));
    },

    async request(principal, scope, request) {
      if (request.method !== 'tools/call' || !searches(principal, scope))
        return through(principal, scope, request);
      switch (request.params['name']) {
        case 'search_tools': {
          const { tools } = usable(principal, scope);
          return searchTools(
            remembered(indexes, tools, () => buildIndex(tools.filter(isForModels))),
            request.params,
          );
        }
        case 'describe_tools':
          return describeTools(
            usable(principal, scope).tools.filter(isForModels),
            (name) => whole.find(scope, 'tools/call', { name }).skill,
            request.params,
          );
        case 'call_tool': {
          const params = calledTool(request.params);
          return mendable(forModels(principal, scope, { ...request, params }));
        }
        default:
          return through(principal, scope, request);
      }
    },

    async subscribe(principal, scope, uri, updated) {
      const profile = profileOf(principal);
      const request = { method: 'resources/subscribe', params: { uri } } as const;
      if (profile !== undefined && !leadsInto(whole, profile, scope, request.method, request.params))
        throw notThere(request);
      return whole.subscribe(principal, scope, uri, updated);
    },

    onChange(listener) {
      const stops = [whole.onChange(listener), clients.onExposure(listener), profiles.onChange(listener)];
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}

/** What a profile leaves of a view, in the order of the view. */
function narrow(
  { whole, installed }: Pick<ExposureParts, 'whole' | 'installed'>,
  profile: Profile,
  view: GatewayView,
  scope: Scope,
): GatewayView {
  const has = (method: GatewayRequest['method'], params: Record<string, unknown>): boolean =>
    leadsInto(whole, profile, scope, method, params);
  const skills = installed
    .list()
    .filter((skill) => profileHas(profile, skill.name) && isServing(skill))
    .filter((skill) => scope.kind === 'all' || scope.name === skill.name);
  const instructions = skills
    .filter((skill) => skill.surface.instructions !== undefined)
    .map((skill) =>
      scope.kind === 'all' ? `## ${skill.alias}\n${skill.surface.instructions}` : skill.surface.instructions,
    )
    .join('\n\n');
  const { instructions: _ofAll, ...rest } = view;
  return {
    ...rest,
    ...(instructions === '' ? {} : { instructions }),
    tools: view.tools.filter(({ name }) => has('tools/call', { name })),
    prompts: view.prompts.filter(({ name }) => has('prompts/get', { name })),
    resources: view.resources.filter(({ uri }) => has('resources/read', { uri })),
    skills: view.skills.filter(({ uri }) => has('resources/read', { uri })),
    resourceTemplates: view.resourceTemplates.filter(({ uriTemplate }) =>
      has('completion/complete', { ref: { type: 'ref/resource', uri: uriTemplate } }),
    ),
    completions: view.completions && skills.some(completes),
  };
}

/** Whether a request leads to something that the profile has. @throws AppError when it leads nowhere at all. */
function leadsInto(
  whole: WholeGateway,
  profile: Profile,
  scope: Scope,
  method: GatewayRequest['method'],
  params: Record<string, unknown>,
): boolean {
  const { skill, what, name } = whole.find(scope, method, params);
  return profileHas(profile, skill.name, what === 'tool' ? name : undefined);
}

function completes(skill: InstalledSkill): boolean {
  return skill.surface.capabilities.completions === true;
}

/** A wrong name inside of `call_tool` is a wrong argument, of which the model is told so that it can mend it. */
async function mendable(call: Promise<Record<string, unknown>>): Promise<Record<string, unknown>> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'tool-not-found') throw error;
    throw new AppError('arguments-invalid', {
      detail: error.message,
      hint: 'The tool search_tools gives the names.',
      cause: error,
    });
  }
}

/** The same fault, word for word, as for what does not exist. */
function notThere({ method, params }: Pick<GatewayRequest, 'method' | 'params'>): AppError {
  const ref = (params['ref'] ?? {}) as Record<string, unknown>;
  const quoted = (value: unknown): string => JSON.stringify(String(value).slice(0, 200));
  switch (method) {
    case 'tools/call':
      return new AppError('tool-not-found', { detail: `No tool is named ${quoted(params['name'])}.` });
    case 'prompts/get':
      return new AppError('prompt-not-found', { detail: `No prompt is named ${quoted(params['name'])}.` });
    case 'resources/read':
    case 'resources/subscribe':
      return new AppError('resource-not-found', {
        detail: `No resource has the URI ${quoted(params['uri'])}.`,
      });
    case 'completion/complete':
      return ref['type'] === 'ref/prompt'
        ? new AppError('prompt-not-found', { detail: `No prompt is named ${quoted(ref['name'])}.` })
        : new AppError('resource-not-found', { detail: `No resource template reads ${quoted(ref['uri'])}.` });
  }
}

function notInstalled(name: string): AppError {
  return new AppError('not-installed', { detail: `${name} is not installed in this hub.` });
}

function remembered<Key extends object, Value extends object>(
  known: WeakMap<Key, Value>,
  key: Key,
  make: () => Value,
): Value {
  const before = known.get(key);
  if (before !== undefined) return before;
  const made = make();
  known.set(key, made);
  return made;
}
