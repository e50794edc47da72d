import type { OAuthConfig } from './config.ts';

/** What each scope opens, as it was configured. */
export type ScopeMap = OAuthConfig['scopes'];

/** One thing of a skill that a request is about; without `tool` it is a prompt, a resource or the skill as such. */
export interface Wanted {
  skill: string;
  tool?: string;
}

/** The scopes of a token that this hub knows, in one order; what it does not know opens nothing. */
export function knownScopes(map: ScopeMap, granted: readonly string[]): string[] {
  const held = new Set(granted);
  return Object.keys(map).filter((scope) => held.has(scope));
}

/** Whether any of these scopes opens what is wanted. */
export function covers(map: ScopeMap, scopes: readonly string[], wanted: Wanted): boolean {
  return scopes.some((scope) => opens(map, scope, wanted));
}

/** Whether any of these scopes opens anything of the skill. */
export function touches(map: ScopeMap, scopes: readonly string[], skill: string): boolean {
  return scopes.some((scope) => map[scope] !== undefined && names(map[scope].skills, skill));
}

/**
 * The one scope to ask for: of those that open what is wanted, the one that opens least beside it.
 * `undefined` when none does, so that asking again would be in vain.
 */
export function neededScope(map: ScopeMap, wanted: Wanted): string | undefined {
  return narrowest(
    map,
    Object.keys(map).filter((scope) => opens(map, scope, wanted)),
  );
}

/** The one scope to begin with at a skill: the one that opens least of all that open anything of it. */
export function scopeToEnter(map: ScopeMap, skill: string): string | undefined {
  return narrowest(
    map,
    Object.keys(map).filter((scope) => touches(map, [scope], skill)),
  );
}

function opens(map: ScopeMap, scope: string, { skill, tool }: Wanted): boolean {
  const grant = map[scope];
  if (grant === undefined || !names(grant.skills, skill)) return false;
  return grant.tools === undefined || (tool !== undefined && grant.tools.includes(tool));
}

function names(skills: readonly string[], skill: string): boolean {
  return skills.includes(skill) || skills.includes('*');
}

function narrowest(map: ScopeMap, scopes: readonly string[]): string | undefined {
  const width = (scope: string): number => {
    const { skills = [], tools } = map[scope] ?? {};
    const ofSkills = skills.includes('*') ? 1_000_000 : skills.length * 1_000;
    return ofSkills + (tools?.length ?? 999);
  };
  return scopes.toSorted((a, b) => width(a) - width(b))[0];
}
