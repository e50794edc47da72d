import type { Principal } from './gateway.ts';

/** The principal with what its client calls itself, which is for display only. */
export function withAgent(principal: Principal, agent: unknown): Principal {
  if (principal.agent !== undefined) return principal;
  const shown = presentable(agent);
  return shown === undefined ? principal : { ...principal, agent: shown };
}

const PRESENTABLE = /^[\x20-\x7e]{0,100}$/;

/** What a client calls itself, in letters that every log can show. */
export function presentable(agent: unknown): string | undefined {
  if (typeof agent !== 'string') return undefined;
  return PRESENTABLE.test(agent) ? agent : agent.replaceAll(/[^\x20-\x7e]/g, ' ').slice(0, 100);
}
