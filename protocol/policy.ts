import type { Effect } from './effects.ts';

/** What a policy can say of a request, from the mildest to the strictest. */
export const ANSWERS = ['allow', 'ask', 'deny'] as const;
export type Answer = (typeof ANSWERS)[number];

/** Whom a request acts for. `user` comes from the token's record alone, never from the wire. */
export interface Principal {
  user: string;
  client: string;
  /** The agent as the client names it; for display, never a reason to allow. */
  agent?: string | undefined;
  /** What the token of an authorization server opens; a local client has none, and sees everything. */
  scopes?: readonly string[] | undefined;
}

/** What a policy is asked: may this principal do this with this skill, now? */
export interface PolicyRequest {
  principal: Principal;
  action: 'tool:call' | 'prompt:get' | 'resource:read' | 'resource:subscribe' | 'complete';
  skill: { name: string; version: string };
  /** The tool or prompt by its name in the skill, the resource by its URI. */
  target: string;
  /** What the sandbox leaves of the effects that were approved; `['read']` for all but tools. */
  effects: readonly Effect[];
  /** The arguments as they will be sent, for rules that look into them. */
  arguments: Readonly<Record<string, unknown>>;
}

/** Why a decision fell, for the person it concerns. */
interface Reason {
  /** A stable name of the rule or grant, such as `tool-answer` or `grant:files`. */
  rule: string;
  text: string;
}

export interface Decision {
  answer: Answer;
  reasons: Reason[];
  /** What would change the answer, for an admin. Never shown to an agent. */
  change?: string;
}

/**
 * The one decision of several: `deny` beats `ask`, `ask` beats `allow`, and where nobody decided the
 * answer is `deny`. It keeps the reasons of those who gave that answer.
 */
export function strictest(decisions: readonly Decision[]): Decision {
  const answer = (['deny', 'ask', 'allow'] as const).find((word) =>
    decisions.some((decision) => decision.answer === word),
  );
  if (answer === undefined) {
    return { answer: 'deny', reasons: [{ rule: 'no-decision', text: 'No policy decided about this.' }] };
  }
  const deciding = decisions.filter((decision) => decision.answer === answer);
  const change = deciding.find((decision) => decision.change !== undefined)?.change;
  return {
    answer,
    reasons: deciding.flatMap(({ reasons }) => reasons),
    ...(change === undefined ? {} : { change }),
  };
}
