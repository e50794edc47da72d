import { appsOf } from '../protocol/apps-extension.ts';
import type { AgentSkill } from '../protocol/skills-extension.ts';
import { placeOf } from '../protocol/package-files.ts';
import type { Surface } from '../protocol/surface.ts';
import { fileAsked } from './skill-files.ts';

/** What of an installed skill its URIs follow from. */
export interface ResourceSkill {
  name: string;
  surface: Pick<Surface, 'tools' | 'resources' | 'resourceTemplates'>;
  agentSkill: AgentSkill | undefined;
  installedAt: string;
}

/**
 * Whose resource a URI is, where several skills offer theirs at one door. Each URI that a skill offers has one form
 * there: its own, or, where an earlier skill offers it too, the same with a mark that names the skill.
 */
export interface ResourceUris<Skill extends ResourceSkill> {
  /** Earliest skill first, each entry under its form; `uri` and `uriTemplate` of an entry are all that is changed. */
  resources: readonly Record<string, unknown>[];
  templates: readonly Record<string, unknown>[];
  /** The skill that a URI leads to, and what that skill calls it. */
  find(uri: string): Found<Skill> | undefined;
  /** The same for a URI template, word for word. */
  findTemplate(uriTemplate: string): Found<Skill> | undefined;
  /** Set for a skill of which something is marked. */
  rewriting(skill: Skill): Rewriting | undefined;
}

interface Found<Skill> {
  skill: Skill;
  uri: string;
}

/** Between what one skill calls its resources and what clients call them; other text comes back as it is. */
export interface Rewriting {
  exposed(uri: string): string;
  own(uri: string): string;
}

/**
 * Builds the URIs of a door to several skills. The skill installed first keeps a URI, so that no later one can take it
 * over or change what clients know; a mark names the skill itself, so it holds whoever else comes and goes.
 */
export function sharedUris<Skill extends ResourceSkill>(skills: readonly Skill[]): ResourceUris<Skill> {
  const offers = byAge(skills).map(offerOf);
  const byName = new Map(offers.map((offer) => [offer.skill.name, offer]));

  /** Whose it is without a mark. */
  function ownerOf(uri: string): Offer<Skill> | undefined {
    const place = placeOf(uri);
    const named = place && byName.get(place.skill);
    return named?.isFile(uri) ? named : offers.find((offer) => offer.has(uri));
  }

  function exposed(offer: Offer<Skill>, uri: string): string {
    if (!offer.has(uri)) return uri;
    return ownerOf(uri) === offer && unmarked(uri) === undefined ? uri : mark(offer.skill.name, uri);
  }

  function exposedTemplate(offer: Offer<Skill>, template: Template): string {
    const { uriTemplate, matches } = template;
    const isShared = offers
      .slice(0, offers.indexOf(offer))
      .some((earlier) => earlier.uris.some(matches) || earlier.templates.some((one) => meet(one, template)));
    return isShared || unmarked(uriTemplate) !== undefined
      ? mark(offer.skill.name, uriTemplate)
      : uriTemplate;
  }

  const forms = new Map(
    offers.map((offer) => [offer, new Map(offer.uris.map((uri) => [uri, exposed(offer, uri)]))]),
  );
  const resources = offers.flatMap((offer) =>
    offer.skill.surface.resources.flatMap((entry) => {
      const uri = forms.get(offer)?.get(entry.uri);
      return uri === undefined ? [] : [{ ...entry, uri }];
    }),
  );
  const listed = offers.flatMap((offer) =>
    offer.templates.map((template) => ({ offer, template, exposed: exposedTemplate(offer, template) })),
  );
  const rewritings = new Map(
    offers
      .filter(
        (offer) =>
          [...(forms.get(offer) ?? [])].some(([uri, form]) => uri !== form) ||
          listed.some((entry) => entry.offer === offer && entry.exposed !== entry.template.uriTemplate),
      )
      .map((offer) => [
        offer.skill,
        {
          exposed: (uri: string) => exposed(offer, uri),
          own(uri: string) {
            const found = unmarked(uri);
            return found?.skill === offer.skill.name && offer.has(found.uri) ? found.uri : uri;
          },
        },
      ]),
  );

  return {
    resources,
    templates: listed.map(({ template, exposed: uriTemplate }) => ({ ...template.entry, uriTemplate })),
    find(asked) {
      const found = unmarked(asked);
      const uri = found?.uri ?? asked;
      const offer = found === undefined ? ownerOf(uri) : byName.get(found.skill);
      return offer?.has(uri) || offer?.isFile(uri) ? { skill: offer.skill, uri } : undefined;
    },
    findTemplate(asked) {
      const found = unmarked(asked);
      const uri = found?.uri ?? asked;
      const offer = offers.find(
        ({ skill, templates }) =>
          (found === undefined || skill.name === found.skill) &&
          templates.some(({ uriTemplate }) => uriTemplate === uri),
      );
      return offer && { skill: offer.skill, uri };
    },
    rewriting: (skill) => rewritings.get(skill),
  };
}

/** The URIs at the door of a single skill: its own. */
export function ownUris<Skill extends ResourceSkill>(skill: Skill): ResourceUris<Skill> {
  const offer = offerOf(skill);
  const { resources, resourceTemplates } = skill.surface;
  return {
    resources: resources.filter(({ uri }) => offer.has(uri)),
    templates: resourceTemplates,
    find: (uri) => (offer.has(uri) || offer.isFile(uri) ? { skill, uri } : undefined),
    findTemplate: (uriTemplate) =>
      offer.templates.some((known) => known.uriTemplate === uriTemplate)
        ? { skill, uri: uriTemplate }
        : undefined,
    rewriting: () => undefined,
  };
}

/** What one skill offers. */
interface Offer<Skill> {
  skill: Skill;
  /** Listed, or named by a tool. */
  uris: readonly string[];
  templates: readonly Template[];
  /** Whether it is one of these, or made by a template. */
  has(uri: string): boolean;
  /** Whether it is a file of the package, which is read without the skill. */
  isFile(uri: string): boolean;
}

function offerOf<Skill extends ResourceSkill>(skill: Skill): Offer<Skill> {
  const { resources, resourceTemplates, tools } = skill.surface;
  const named = [...resources.map(({ uri }) => uri), ...tools.flatMap(appsOf)];
  const uris = new Set(named.filter((uri) => maySpeakFor(skill, uri)));
  const templates = resourceTemplates.map(templateOf);
  return {
    skill,
    uris: [...uris],
    templates,
    has: (uri) =>
      uris.has(uri) || (templates.some((template) => template.matches(uri)) && maySpeakFor(skill, uri)),
    isFile: (uri) => fileAsked(skill, { method: 'resources/read', params: { uri } }) !== undefined,
  };
}

/** A `skill://` URI names its skill; whatever another one offers under it would pass for that skill's words. */
function maySpeakFor(skill: Pick<ResourceSkill, 'name'>, uri: string): boolean {
  const place = placeOf(uri);
  return place === undefined || place.skill === skill.name;
}

/** Code units, not a locale: the same skills are in the same order on every machine. */
function byAge<Skill extends ResourceSkill>(skills: readonly Skill[]): Skill[] {
  const keyOf = ({ installedAt, name }: Skill): string => `${installedAt} ${name}`;
  return skills.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/**
 * The mark: a fragment, or the end of the one that is there. So the scheme stays what hosts look at (`ui://`), whatever
 * is fetched directly (`https://`) is the same, the variables of a template stay its own, and what it expands to is
 * marked as well (RFC 3986 §3.5, RFC 6570). Of unreserved characters only, which no client writes in another way.
 */
const MARK = /^(?<uri>.+)[#~]berth~(?<namespace>[a-z0-9.-]+)~(?<name>[a-z0-9-]+)$/s;

function mark(skill: string, uri: string): string {
  return `${uri}${uri.includes('#') ? '~' : '#'}berth~${skill.replace('/', '~')}`;
}

function unmarked(uri: string): { skill: string; uri: string } | undefined {
  const found = MARK.exec(uri)?.groups as Record<'uri' | 'namespace' | 'name', string> | undefined;
  return found && { skill: `${found.namespace}/${found.name}`, uri: found.uri };
}

interface Template {
  entry: Record<string, unknown>;
  uriTemplate: string;
  /** What stands before the first expression, and after the last. */
  first: string;
  last: string;
  isLiteral: boolean;
  matches: (uri: string) => boolean;
}

/**
 * Which URIs a template (RFC 6570) may have made, as far as routing needs it: an expression stands for any
 * text. Plain searching instead of a pattern, because templates come from skills and must cost linear time.
 */
function templateOf(entry: Surface['resourceTemplates'][number]): Template {
  const { uriTemplate } = entry;
  const literals = uriTemplate.split(/\{[^{}]*\}/);
  const first = literals[0] ?? '';
  const last = literals.at(-1) ?? '';
  const middle = literals.slice(1, -1);
  const isLiteral = literals.length === 1;
  const matches = (uri: string): boolean => {
    if (isLiteral) return uri === first;
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
  return { entry, uriTemplate, first, last, isLiteral, matches };
}

/** Whether two templates can make the same URI: between its ends, an expression takes in whatever the other one needs. */
function meet(one: Template, other: Template): boolean {
  if (one.isLiteral) return other.matches(one.first);
  if (other.isLiteral) return one.matches(other.first);
  return (
    (one.first.startsWith(other.first) || other.first.startsWith(one.first)) &&
    (one.last.endsWith(other.last) || other.last.endsWith(one.last))
  );
}
