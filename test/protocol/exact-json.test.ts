import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refuseInexactJson } from '../../protocol/exact-json.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const refused = async (text: string) =>
  void (await expectCode(
    Promise.resolve().then(() => refuseInexactJson(text)),
    'request-invalid',
  ));

describe('JSON that parsing would change', () => {
  it.each([
    '9007199254740993',
    '[1, 12345678901234567890]',
    '{"a": 1e400}',
    '0.1234567890123456789',
    '12345678901.234567891',
    '1e-400',
    '-9007199254740993.0',
  ])('%s is refused', verifies('call.exact-values'), refused);

  it.each(['"\\ud800"', '{"\\udc00": 1}', '["ok", "\\uD83Dx"]'])(
    'the half character %s is refused',
    verifies('call.exact-values'),
    refused,
  );

  it('is not confused with JSON that means what it says', verifies('call.exact-values'), () => {
    for (const text of [
      '1e3',
      '1.50',
      '-0',
      '9007199254740992',
      '100000000000000000000',
      '"9007199254740993 \\" 1e400"',
      '"\\ud83d\\ude00"',
      '0.1',
      '1E+2',
    ])
      expect(() => refuseInexactJson(text)).not.toThrow();
  });

  it('never is what JSON.stringify writes', verifies('call.exact-values'), () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(() => refuseInexactJson(JSON.stringify(value))).not.toThrow();
      }),
    );
  });
});
