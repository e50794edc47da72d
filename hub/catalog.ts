import { appsOf, isForApps } from '../protocol/apps-extension.ts';
import { AppError } from '../protocol/errors.ts';
import { describe } from '../protocol/permissions.ts';
import { instructionsResource, type SkillEntry, skillEntry } from '../protocol/skills-extension.ts';
import type { InstalledSkill, InstalledTool } from './installed.ts';
import type { GatewayRequest, GatewayView, Scope } from './mcp/gateway.ts';
import { exposedName } from './exposed-names.ts';
import { ownUris, type ResourceUris, sharedUris } from './resource-uris.ts';
import { withArgumentUris, withToolUris } from './uri-places.ts';

/** What a request is aimed at, with the params as the skill knows them. */
export interface Target {
  skill: InstalledSkill;
  what: 'tool' | 'prompt' | 'resource' | 'subscription' | 'completion';
  /** The name or URI as the skill knows it. */
  name: string;
  /** Set where the client knows resources of the skill by other URIs: the one for each of the skill's own. */
  exposed: ((uri: string) => string) | undefined;
  /** Set for tools. */
  tool: InstalledTool | undefined;
  params: Record<string, unknown>;
}

/** Which names a client sees and what they lead to. Pure: made anew whenever the installed skills change. */
export interface Catalog {
  view(scope: Scope): GatewayView;
  /** @throws AppError `tool-not-found`, `prompt-not-found`, `resource-not-found`, `not-installed`. */
  find(scope: Scope, method: GatewayRequest['method'], params: Record<string, unknown>): Target;
}

/** Builds the catalog; what two skills call the same has a name or URI of its own for each of them at `/mcp`. */
export function buildCatalog(skills: readonly InstalledSkill[]): Catalog {
  const aggregate = exposeAll(skills);
  const single = new Map(skills.map((skill) => [skill.name, exposeOne(skill)]));

  function exposure(scope: Scope): Exposure {
    if (scope.kind === 'all') return aggregate;
    const found = single.get(scope.name);
    if (found === undefined) {
      throw new AppError('not-installed', { detail: `${scope.name} is not installed in this hub.` });
    }
    return found;
  }

  return {
    view: (scope) => exposure(scope).view,
    find(scope, method, params) {
      const { tools, appCalls, prompts, uris } = exposure(scope);
      switch (method) {
        case 'tools/call': {
          const name = String(params['name']);
          const found = tools.get(name) ?? appCalls.get(name);
          if (found === undefined)
            throw new AppError('tool-not-found', { detail: `No tool is named ${quoted(name)}.` });
          const tool = found.skill.tools.get(found.name);
          return { ...named(uris, found, params), what: 'tool', tool };
        }
        case 'prompts/get': {
          const found = prompt(prompts, String(params['name']));
          return { ...named(uris, found, params), what: 'prompt', tool: undefined };
        }
        case 'resources/read':
        case 'resources/subscribe': {
          const asked = String(params['uri']);
          const found = uris.find(asked);
          const isRead = method === 'resources/read';
          if (found === undefined || !(isRead || tellsOfChanges(found.skill))) {
            throw new AppError('resource-not-found', {
              detail: `No resource ${isRead ? '' : 'that tells of its changes '}has the URI ${quoted(asked)}.`,
              data: { uri: asked },
            });
          }
          const { skill, uri } = found;
          return {
            skill,
            what: isRead ? 'resource' : 'subscription',
            name: uri,
            tool: undefined,
            params: { ...params, uri },
            exposed: exposedAs(uris, found, asked),
          };
        }
        case 'completion/complete': {
          const ref = (params['ref'] ?? {}) as Record<string, unknown>;
          const what = { what: 'completion', tool: undefined, exposed: undefined } as const;
          if (ref['type'] === 'ref/prompt') {
            const { skill, name } = prompt(prompts, String(ref['name']));
            return { ...what, skill, name, params: { ...params, ref: { ...ref, name } } };
          }
          const asked = String(ref['uri']);
          const found = uris.findTemplate(asked) ?? uris.find(asked);
          if (found === undefined) {
            throw new AppError('resource-not-found', {
              detail: `No resource template reads ${quoted(asked)}.`,
            });
          }
          const { skill, uri } = found;
          return { ...what, skill, name: uri, params: { ...params, ref: { ...ref, uri } } };
        }
      }
    },
  };
}

/** What is found by name, with arguments as the skill knows what they refer to. */
function named(
  uris: Exposure['uris'],
  { skill, name }: Named,
  params: Record<string, unknown>,
): Pick<Target, 'skill' | 'name' | 'params' | 'exposed'> {
  const rewriting = uris.rewriting(skill);
  if (rewriting === undefined) return { skill, name, params: { ...params, name }, exposed: undefined };
  const { arguments: given } = params;
  const sent = given === undefined ? {} : { arguments: withArgumentUris(given, rewriting.own) };
  return { skill, name, params: { ...params, name, ...sent }, exposed: rewriting.exposed };
}

/** What a client asked for by an older or longer form of its URI, it is told of by that form. */
function exposedAs(
  uris: Exposure['uris'],
  { skill, uri }: { skill: InstalledSkill; uri: string },
  asked: string,
): Target['exposed'] {
  const exposed = uris.rewriting(skill)?.exposed;
  if (uri === asked) return exposed;
  return (said) => (said === uri ? asked : (exposed?.(said) ?? said));
}

interface Exposure {
  view: GatewayView;
  tools: ReadonlyMap<string, Named>;
  appCalls: ReadonlyMap<string, Named | undefined>;
  prompts: ReadonlyMap<string, Named>;
  uris: ResourceUris<InstalledSkill>;
}

interface Named {
  skill: InstalledSkill;
  name: string;
}

function exposeOne(skill: InstalledSkill): Exposure {
  return expose([skill], {
    uris: isServing(skill) ? ownUris(skill) : sharedUris([]),
    appCalls: new Map(),
    rename: (_kind, _skill, name) => name,
    instructions: skill.surface.instructions,
  });
}

function exposeAll(skills: readonly InstalledSkill[]): Exposure {
  // Tools and prompts have names of their own kind.
  const taken = { tool: new Set<string>(), prompt: new Set<string>() };
  const instructions = skills
    .filter((skill) => isServing(skill) && skill.surface.instructions !== undefined)
    .map((skill) => `## ${skill.alias}\n${skill.surface.instructions}`)
    .join('\n\n');
  return expose(skills, {
    uris: sharedUris(skills.filter(isServing)),
    appCalls: appCallsOf(skills.filter(isServing)),
    rename(kind, skill, name) {
      const exposed = exposedName(skill.alias, name, taken[kind]);
      taken[kind].add(exposed);
      return exposed;
    },
    instructions: instructions === '' ? undefined : instructions,
  });
}

function expose(
  skills: readonly InstalledSkill[],
  {
    uris,
    appCalls,
    rename,
    instructions,
  }: Pick<Exposure, 'uris' | 'appCalls'> & {
    rename: (kind: 'tool' | 'prompt', skill: InstalledSkill, name: string) => string;
    instructions: string | undefined;
  },
): Exposure {
  const tools = new Map<string, Named>();
  const prompts = new Map<string, Named>();
  const asking = new Set<string>();
  const view = {
    tools: [] as Record<string, unknown>[],
    prompts: [] as Record<string, unknown>[],
    resources: [] as Record<string, unknown>[],
    resourceTemplates: uris.templates,
    skills: [] as SkillEntry[],
  };
  for (const skill of skills) {
    const visible = isServing(skill);
    for (const tool of skill.tools.values()) {
      const name = rename('tool', skill, tool.name);
      tools.set(name, { skill, name: tool.name });
      if (mayAsk(skill)) asking.add(name);
      if (!visible || tool.answer === 'deny') continue;
      const rewriting = uris.rewriting(skill);
      const definition =
        rewriting === undefined ? tool.definition : withToolUris(tool.definition, rewriting.exposed);
      view.tools.push({ ...definition, name });
    }
    for (const entry of skill.surface.prompts) {
      const name = rename('prompt', skill, entry.name);
      prompts.set(name, { skill, name: entry.name });
      if (visible) view.prompts.push({ ...entry, name });
    }
  }
  const documented = new Set<unknown>();
  for (const skill of skills.filter(isServing)) {
    if (skill.agentSkill === undefined) continue;
    // Without its tools: which of them there are is told by the list of tools, and differs from client to client.
    const { can, cannot } = describe(skill.permissions);
    const entry = skillEntry({ ...skill, permissions: { can, cannot } }, skill.agentSkill);
    documented.add(entry.uri);
    view.skills.push(entry);
    view.resources.push(instructionsResource(entry));
  }
  view.resources.push(...uris.resources.filter(({ uri }) => !documented.has(uri)));
  return {
    view: {
      ...view,
      ...(instructions === undefined ? {} : { instructions }),
      completions: skills.some(
        (skill) => isServing(skill) && skill.surface.capabilities.completions === true,
      ),
      logging: skills.some((skill) => isServing(skill) && skill.surface.capabilities.logging === true),
      asking,
      subscribable: skills.some((skill) => isServing(skill) && tellsOfChanges(skill)),
    },
    tools,
    appCalls,
    prompts,
    uris,
  };
}

/**
 * An MCP App calls tools of its own skill by their own names, and hosts pass that on as it is. So such a name leads to
 * the skill where only one can be meant; it is never one that a listed tool could have.
 */
function appCallsOf(skills: readonly InstalledSkill[]): Exposure['appCalls'] {
  const calls = new Map<string, Named | undefined>();
  for (const skill of skills) {
    const tools = [...skill.tools.values()];
    if (!tools.some(({ definition }) => appsOf(definition).length > 0)) continue;
    for (const { name, definition } of tools) {
      if (name.includes('__') || !isForApps(definition)) continue;
      calls.set(name, calls.has(name) ? undefined : { skill, name });
    }
  }
  return calls;
}

function tellsOfChanges({ surface }: InstalledSkill): boolean {
  return surface.capabilities.resourcesSubscribe === true;
}

function mayAsk({ permissions: { mcp } }: InstalledSkill): boolean {
  return mcp.elicitation || mcp.sampling || mcp.roots;
}

/** Whether anything of a skill is shown to clients. */
export function isServing(skill: InstalledSkill): boolean {
  return skill.quarantine === undefined && skill.blocked === undefined;
}

function prompt(prompts: ReadonlyMap<string, Named>, name: string): Named {
  const found = prompts.get(name);
  if (found === undefined)
    throw new AppError('prompt-not-found', { detail: `No prompt is named ${quoted(name)}.` });
  return found;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
