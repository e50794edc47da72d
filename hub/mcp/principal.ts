import type { Principal } from './gateway.ts';

/** The principal with what its client calls itself: for display only, in letters that every log can show. */
export function withAgent(principal: Principal, agent: unknown): Principal {
  if (principal.agent !== undefined || typeof agent !== 'string') return principal;
  return { ...principal, agent: agent.replaceAll(/[^\x20-\x7e]/g, ' ').slice(0, 100) };
}
