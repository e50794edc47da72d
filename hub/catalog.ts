import { createHash } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { placeOf } from '../protocol/package-files.ts';
import { describe } from '../protocol/permissions.ts';
import { instructionsResource, type SkillEntry, skillEntry } from '../protocol/skills-extension.ts';
import type { InstalledSkill, InstalledTool } from './installed.ts';
import type { GatewayRequest, GatewayView, Scope } from './mcp/gateway.ts';
import { fileAsked } from './skill-files.ts';

/** Some clients refuse longer tool names. */
const MAX_EXPOSED_NAME = 64;

/** What a request is aimed at, with the params as the skill knows them. */
export interface Target {
  skill: InstalledSkill;
  what: 'tool' | 'prompt' | 'resource' | 'subscription' | 'completion';
  /** The name or URI as the skill knows it. */
  name: string;
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

/** Builds the catalog; where two skills offer one resource URI, the skill installed first keeps it at `/mcp`. */
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
      const { tools, prompts, resources, templates, documented } = exposure(scope);
      switch (method) {
        case 'tools/call': {
          const name = String(params['name']);
          const found = tools.get(name);
          if (found === undefined)
            throw new AppError('tool-not-found', { detail: `No tool is named ${quoted(name)}.` });
          return {
            skill: found.skill,
            what: 'tool',
            name: found.name,
            tool: found.skill.tools.get(found.name),
            params: { ...params, name: found.name },
          };
        }
        case 'prompts/get': {
          const found = prompt(prompts, String(params['name']));
          return { ...found, what: 'prompt', tool: undefined, params: { ...params, name: found.name } };
        }
        case 'resources/read': {
          const uri = String(params['uri']);
          const skill =
            documented.find((known) => fileAsked(known, { method, params }) !== undefined) ??
            resources.get(uri) ??
            templates.find((template) => template.matches(uri) && maySpeakFor(template.skill, uri))?.skill;
          if (skill === undefined) {
            throw new AppError('resource-not-found', {
              detail: `No resource has the URI ${quoted(uri)}.`,
              data: { uri },
            });
          }
          return { skill, what: 'resource', name: uri, tool: undefined, params };
        }
        case 'resources/subscribe': {
          const uri = String(params['uri']);
          const skill = resources.get(uri) ?? templates.find((template) => template.matches(uri))?.skill;
          if (skill?.surface.capabilities.resourcesSubscribe === true)
            return { skill, what: 'subscription', name: uri, tool: undefined, params };
          throw new AppError('resource-not-found', {
            detail: `No resource that tells of its changes has the URI ${quoted(uri)}.`,
            data: { uri },
          });
        }
        case 'completion/complete': {
          const ref = (params['ref'] ?? {}) as Record<string, unknown>;
          if (ref['type'] === 'ref/prompt') {
            const found = prompt(prompts, String(ref['name']));
            return {
              ...found,
              what: 'completion',
              tool: undefined,
              params: { ...params, ref: { ...ref, name: found.name } },
            };
          }
          const uri = String(ref['uri']);
          const skill =
            templates.find((template) => template.uriTemplate === uri)?.skill ?? resources.get(uri);
          if (skill === undefined) {
            throw new AppError('resource-not-found', {
              detail: `No resource template reads ${quoted(uri)}.`,
            });
          }
          return { skill, what: 'completion', name: uri, tool: undefined, params };
        }
      }
    },
  };
}

interface Exposure {
  view: GatewayView;
  tools: ReadonlyMap<string, Named>;
  prompts: ReadonlyMap<string, Named>;
  resources: ReadonlyMap<string, InstalledSkill>;
  templates: readonly ExposedTemplate[];
  /** Serving skills with a SKILL.md. */
  documented: readonly InstalledSkill[];
}

interface Named {
  skill: InstalledSkill;
  name: string;
}

interface ExposedTemplate {
  skill: InstalledSkill;
  uriTemplate: string;
  /** Characters that stand for themselves. */
  literals: number;
  matches(uri: string): boolean;
}

function exposeOne(skill: InstalledSkill): Exposure {
  return expose([skill], (_skill, name) => name, skill.surface.instructions);
}

function exposeAll(skills: readonly InstalledSkill[]): Exposure {
  const taken = new Set<string>();
  const instructions = skills
    .filter((skill) => isServing(skill) && skill.surface.instructions !== undefined)
    .map((skill) => `## ${skill.alias}\n${skill.surface.instructions}`)
    .join('\n\n');
  return expose(
    skills,
    (skill, name) => {
      const exposed = exposedName(skill.alias, name, taken);
      taken.add(exposed);
      return exposed;
    },
    instructions === '' ? undefined : instructions,
  );
}

function expose(
  skills: readonly InstalledSkill[],
  rename: (skill: InstalledSkill, name: string) => string,
  instructions: string | undefined,
): Exposure {
  const tools = new Map<string, Named>();
  const prompts = new Map<string, Named>();
  const resources = new Map<string, InstalledSkill>();
  const templates: ExposedTemplate[] = [];
  const asking = new Set<string>();
  const view = {
    tools: [] as Record<string, unknown>[],
    prompts: [] as Record<string, unknown>[],
    resources: [] as Record<string, unknown>[],
    resourceTemplates: [] as Record<string, unknown>[],
    skills: [] as SkillEntry[],
  };
  for (const skill of skills) {
    const visible = isServing(skill);
    for (const tool of skill.tools.values()) {
      const name = rename(skill, tool.name);
      tools.set(name, { skill, name: tool.name });
      if (mayAsk(skill)) asking.add(name);
      if (visible && tool.answer !== 'deny') view.tools.push({ ...tool.definition, name });
    }
    for (const entry of skill.surface.prompts) {
      const name = rename(skill, entry.name);
      prompts.set(name, { skill, name: entry.name });
      if (visible) view.prompts.push({ ...entry, name });
    }
  }
  const byAge = skills.toSorted(
    (a, b) => a.installedAt.localeCompare(b.installedAt) || a.name.localeCompare(b.name),
  );
  const documented: InstalledSkill[] = [];
  for (const skill of skills.filter(isServing)) {
    if (skill.agentSkill === undefined) continue;
    // Without its tools: which of them there are is told by the list of tools, and differs from client to client.
    const { can, cannot } = describe(skill.permissions);
    const entry = skillEntry({ ...skill, permissions: { can, cannot } }, skill.agentSkill);
    documented.push(skill);
    view.skills.push(entry);
    view.resources.push(instructionsResource(entry));
    resources.set(entry.uri, skill);
  }
  for (const skill of byAge.filter(isServing)) {
    for (const entry of skill.surface.resources) {
      const uri = entry.uri;
      if (resources.has(uri) || !maySpeakFor(skill, uri)) continue;
      resources.set(uri, skill);
      view.resources.push(entry);
    }
    for (const entry of skill.surface.resourceTemplates) {
      const uriTemplate = entry.uriTemplate;
      if (templates.some((template) => template.uriTemplate === uriTemplate)) continue;
      templates.push({ skill, uriTemplate, ...templateMatcher(uriTemplate) });
      view.resourceTemplates.push(entry);
    }
  }
  // A template that fits everything must not take what another one is about.
  templates.sort((a, b) => b.literals - a.literals);
  return {
    view: {
      ...view,
      ...(instructions === undefined ? {} : { instructions }),
      completions: skills.some(
        (skill) => isServing(skill) && skill.surface.capabilities.completions === true,
      ),
      logging: skills.some((skill) => isServing(skill) && skill.surface.capabilities.logging === true),
      asking,
      subscribable: skills.some(
        (skill) => isServing(skill) && skill.surface.capabilities.resourcesSubscribe === true,
      ),
    },
    tools,
    prompts,
    resources,
    templates,
    documented,
  };
}

/** A `skill://` URI names its skill; whatever another one offers under it would pass for that skill's words. */
function maySpeakFor(skill: InstalledSkill, uri: string): boolean {
  const place = placeOf(uri);
  return place === undefined || place.skill === skill.name;
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

/**
 * `<alias>__<name>`, in letters that every client takes and within 64 characters; where that would be
 * ambiguous or too long, a digest of the full name keeps it stable and unique.
 */
export function exposedName(alias: string, name: string, taken: ReadonlySet<string>): string {
  const plain = `${alias}__${name.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`;
  if (plain.length <= MAX_EXPOSED_NAME && !taken.has(plain)) return plain;
  const mark = createHash('sha256').update(`${alias}\n${name}`).digest('hex').slice(0, 8);
  return `${plain.slice(0, MAX_EXPOSED_NAME - mark.length - 1)}_${mark}`;
}

/** A new skill's alias: its last name, else with the namespace's last label, else numbered. */
export function aliasFor(name: string, taken: ReadonlySet<string>): string {
  const [namespace = '', last = ''] = name.split('/');
  const label = namespace.split('.').at(-1) ?? '';
  const wishes = [last.slice(0, 24), `${label}-${last}`.slice(0, 24)];
  for (let number = 2; ; number += 1) {
    const free = wishes.find((wish) => !taken.has(wish));
    if (free !== undefined) return free;
    wishes.push(`${last.slice(0, 20)}-${number}`);
  }
}

/**
 * Which URIs a template (RFC 6570) may have made, as far as routing needs it: an expression stands for any
 * text. Plain searching instead of a pattern, because templates come from skills and must cost linear time.
 */
function templateMatcher(uriTemplate: string): Pick<ExposedTemplate, 'literals' | 'matches'> {
  const literals = uriTemplate.split(/\{[^{}]*\}/);
  const first = literals[0] ?? '';
  const last = literals.at(-1) ?? '';
  const middle = literals.slice(1, -1);
  const matches = (uri: string): boolean => {
    if (literals.length === 1) return uri === first;
    if (uri.length < first.length + last.length || !uri.startsWith(first) || !uri.endsWith(last))
      return false;
    let at = first.length;
    const end = uri.length - last.length;
    return middle.every((literal) => {
      const found = uri.indexOf(literal, at);
      at = found + literal.length;
      return found >= 0 && at <= end;
    });
  };
  return { literals: literals.join('').length, matches };
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
