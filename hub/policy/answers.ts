import type { Answer, Decision } from '../../protocol/policy.ts';
import type { Policy } from './policy.ts';

interface AnswersPolicyParts {
  /** What an admin chose for a tool of a skill; undefined when nothing is known about it. */
  answerOf: (skill: string, tool: string) => Answer | undefined;
}

/**
 * Decides by what an admin chose for each tool. Reading a skill's prompts, resources and completions is
 * part of having approved the skill, for its whole surface was approved with it.
 */
export function answersPolicy({ answerOf }: AnswersPolicyParts): Policy {
  return {
    async decide({ action, skill, target, effects }) {
      if (action !== 'tool:call') {
        return {
          answer: 'allow',
          reasons: [{ rule: 'approved-surface', text: `it is part of what was approved with ${skill.name}` }],
        };
      }
      return DECISIONS[answerOf(skill.name, target) ?? 'unknown'](effects.join(', '));
    },
  };
}

const DECISIONS: Readonly<Record<Answer | 'unknown', (effects: string) => Decision>> = {
  allow: () => ({ answer: 'allow', reasons: [{ rule: 'tool-allowed', text: 'an admin allowed this tool' }] }),
  ask: (effects) => ({
    answer: 'ask',
    reasons: [{ rule: 'tool-asks', text: `an admin has to agree first, for it may ${effects}` }],
    change: 'Set the tool to allow.',
  }),
  deny: () => ({
    answer: 'deny',
    reasons: [{ rule: 'tool-denied', text: 'an admin switched this tool off' }],
    change: 'Set the tool to ask or allow.',
  }),
  unknown: () => ({
    answer: 'deny',
    reasons: [{ rule: 'tool-unknown', text: 'nothing is known about this tool' }],
  }),
};
