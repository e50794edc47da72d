import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundedResult, MAX_RESULT_BYTES, preview, redact } from '../../hub/result.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const SECRETS = new Map([['API_KEY', 'sk-very-secret-value']]);

describe('results', () => {
  it('a secret never stays in a result, wherever the skill puts it', verifies('call.redacts-secrets'), () => {
    const hiding = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constant('sk-very-secret-value'),
        fc.string().map((text) => `${text}sk-very-secret-value${text}`),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('value'), { maxKeys: 4 }),
        fc.constant({ 'sk-very-secret-value': 1 }),
      ),
    })).value;
    fc.assert(
      fc.property(hiding, (value) => {
        expect(JSON.stringify(redact(value, SECRETS))).not.toContain('sk-very-secret-value');
      }),
    );
  });

  it('a result without secrets is passed on as it is', () => {
    const value = { content: [{ type: 'text', text: 'plain' }], structuredContent: { a: [1, null] } };
    expect(redact(value, SECRETS)).toEqual(value);
    expect(redact(value, new Map())).toBe(value);
    expect(redact({ text: 'a cat' }, new Map([['SHORT', 'a']]))).toEqual({ text: 'a cat' });
  });

  it('an answer that is too large is refused with what to do', verifies('call.result-bounded'), async () => {
    const large = { content: [{ type: 'text', text: 'x'.repeat(MAX_RESULT_BYTES) }] };
    const error = await expectCode(() => boundedResult(large), 'skill-output-too-large');
    expect(error.hint).toContain('less');
    expect(boundedResult({ a: 'ü' })).toEqual({ result: { a: 'ü' }, bytes: 10 });
  });

  it('a preview of arguments is bounded however long they are', () => {
    expect(preview({ text: 'y'.repeat(1_000_000) }).length).toBeLessThan(400);
    expect(preview(Array.from({ length: 5000 }, () => 'abc')).length).toBeLessThanOrEqual(2001);
    expect(preview({ path: 'a.txt' })).toBe('{"path":"a.txt"}');
  });
});
