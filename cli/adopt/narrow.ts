import { isIP } from 'node:net';
import { isSteering } from '../../protocol/permissions.ts';
import { toolEffects } from '../../protocol/tool-effects.ts';
import type { PackedSkill } from '../pack.ts';
import type { Draft } from './draft.ts';
import type { Learned } from './learn.ts';
import { isSecretName } from './secret-like.ts';

const MAX_LEARNED_NOTES = 8;

/** The least that what was learned leaves. */
export function narrowed(draft: Draft, learned: Learned, packed: PackedSkill): Draft {
  const mayChange = saysChanges(packed);
  return {
    ...draft,
    modes: Object.fromEntries(
      draft.values.folders.map(({ root }) => [
        root,
        (changesIn(learned, root, packed) ?? mayChange) ? 'rw' : 'r',
      ]),
    ),
    hosts: learned.hosts
      .filter(({ host }) => isIP(host) === 0)
      .filter(({ host }) => !draft.values.hosts.some((known) => known.host === host))
      // Made-up addresses of made-up arguments are not the server's wish.
      .filter(({ host }) => !/(?:^|\.)example\.(?:com|org|net)$/.test(host))
      .map(({ host, port = 443, protocol = 'tls' }) => ({ host, port, protocol })),
    programs: learned.programs,
    variables: learned.variables.filter((name) => isLacking(draft, name) && !isSecretName(name)),
  };
}

/** Whether any of its tools says, or leaves open, that it changes something. */
function saysChanges({ manifest, surface }: PackedSkill): boolean {
  return surface.tools.some((tool) => toolEffects(tool, manifest).some((effect) => effect !== 'read'));
}

/**
 * Whether it changes what is in a folder, as far as that was seen. Undefined where that is not known, and what its tools
 * say has to do: it was not watched, a tool failed, or one says itself that it changes something and did not this time.
 */
function changesIn(
  { changed, called, answered }: Learned,
  root: string,
  { surface }: PackedSkill,
): boolean | undefined {
  if (changed === undefined) return undefined;
  if (changed.some((path) => path === root || path.startsWith(`${root}/`))) return true;
  const mayStill = surface.tools.some(
    ({ name, annotations }) =>
      called.includes(name) && (annotations?.readOnlyHint === false || annotations?.destructiveHint === true),
  );
  return mayStill || answered.length < called.length ? undefined : false;
}

function isLacking({ values }: Draft, name: string): boolean {
  return ![values.env, values.secrets].some((known) => Object.hasOwn(known, name)) && !isSteering(name);
}

/** What was seen and is not proposed, and what its own words do not fit. */
export function notesOn(draft: Draft, learned: Learned, packed: PackedSkill): string[] {
  const secret = learned.variables.filter((name) => isLacking(draft, name) && isSecretName(name));
  const places = learned.hosts.filter(({ host }) => isIP(host) !== 0);
  const lying = saysChanges(packed)
    ? []
    : draft.values.folders.filter(({ root }) => changesIn(learned, root, packed) === true);
  return [
    ...secret.map(
      (name) =>
        `It looks for ${name}, which is not passed on: name it in its settings, and it becomes a secret.`,
    ),
    ...places.map(
      ({ host, port }) =>
        `It connects to ${host}${port === undefined ? '' : ` at port ${port}`}, an address without a name, which is not granted.`,
    ),
    ...lying.map(
      ({ path }) => `It changes files in ${path}, though each of its tools says that it only reads.`,
    ),
    ...learned.notes.slice(0, MAX_LEARNED_NOTES),
  ];
}
