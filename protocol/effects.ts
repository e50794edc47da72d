import { z } from 'zod';

/**
 * What a tool may do to the world; a closed set. `read` looks, `create` `update` `destroy` change
 * state, `send` lets data out to somebody, `spend` costs money, `run` starts programs or jobs.
 */
export const EFFECTS = ['read', 'create', 'update', 'destroy', 'send', 'spend', 'run'] as const;
export type Effect = (typeof EFFECTS)[number];

export const effectSchema = z.enum(EFFECTS);

/** The effects among `found`, each once, in the order of `EFFECTS`. */
export function inEffectOrder(found: Iterable<Effect>): Effect[] {
  const present = new Set(found);
  return EFFECTS.filter((effect) => present.has(effect));
}
