import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ANSWERS, strictest, type Decision } from '../../protocol/policy.ts';
import { verifies } from '../support/verifies.ts';

const decision = (answer: Decision['answer'], rule: string, change?: string): Decision => ({
  answer,
  reasons: [{ rule, text: `because of ${rule}` }],
  ...(change === undefined ? {} : { change }),
});

describe('several decisions', () => {
  it('give the strictest answer, with the reasons of those who gave it', verifies('policy.strictest'), () => {
    const decisions = [
      decision('allow', 'a'),
      decision('deny', 'b', 'Ask b.'),
      decision('ask', 'c'),
      decision('deny', 'd'),
    ];
    expect(strictest(decisions)).toEqual({
      answer: 'deny',
      reasons: [
        { rule: 'b', text: 'because of b' },
        { rule: 'd', text: 'because of d' },
      ],
      change: 'Ask b.',
    });
    expect(strictest([decision('allow', 'a'), decision('ask', 'c')])).toEqual(decision('ask', 'c'));
  });

  it('deny where there is none', verifies('policy.strictest'), () => {
    expect(strictest([])).toMatchObject({ answer: 'deny', reasons: [{ rule: 'no-decision' }] });
  });

  it('never become milder when one more is asked, in whatever order', verifies('policy.strictest'), () => {
    const rank = (answer: Decision['answer']) => ANSWERS.indexOf(answer);
    const any = fc.constantFrom(...ANSWERS).map((answer) => decision(answer, 'r'));
    fc.assert(
      fc.property(fc.array(any, { minLength: 1 }), any, (decisions, more) => {
        const before = strictest(decisions).answer;
        const after = strictest([...decisions, more]).answer;
        expect(rank(after)).toBe(Math.max(rank(before), rank(more.answer)));
        expect(strictest([more, ...decisions].toReversed()).answer).toBe(after);
      }),
    );
  });
});
