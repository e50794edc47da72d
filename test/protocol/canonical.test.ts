import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalJson,
  digestOf,
  digestOfJson,
  digestSchema,
  isDigest,
  JSON_MAX_DEPTH,
  sha256,
} from '../../protocol/canonical.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const fromBits = (hex: string) => Buffer.from(hex, 'hex').readDoubleBE();

/** A deep copy whose objects hold their properties in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [key, inner] of Object.entries(value).toReversed()) copy[key] = reversed(inner);
  return copy;
}

const wellFormedJson = fc
  .jsonValue({ maxDepth: 5, stringUnit: 'binary' })
  .filter((value) => !/\\ud[89a-f]/.test(JSON.stringify(value)));

describe('canonical JSON', () => {
  it('writes the example of RFC 8785 §3.2.2', verifies('canonical.one-text'), () => {
    const input =
      '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],' +
      '"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}';
    expect(canonicalJson(JSON.parse(input))).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('sorts properties by UTF-16 code units, as RFC 8785 §3.2.3 shows', () => {
    const input = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    expect(Object.values(JSON.parse(canonicalJson({ list: entriesInTextOrder(input) })).list)).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  it('writes numbers as RFC 8785 appendix B lists them', () => {
    const table: [bits: string, text: string][] = [
      ['0000000000000000', '0'],
      ['8000000000000000', '0'],
      ['0000000000000001', '5e-324'],
      ['8000000000000001', '-5e-324'],
      ['7fefffffffffffff', '1.7976931348623157e+308'],
      ['ffefffffffffffff', '-1.7976931348623157e+308'],
      ['4340000000000000', '9007199254740992'],
      ['c340000000000000', '-9007199254740992'],
      ['4430000000000000', '295147905179352830000'],
      ['44b52d02c7e14af5', '9.999999999999997e+22'],
      ['44b52d02c7e14af6', '1e+23'],
      ['44b52d02c7e14af7', '1.0000000000000001e+23'],
      ['444b1ae4d6e2ef4e', '999999999999999700000'],
      ['444b1ae4d6e2ef4f', '999999999999999900000'],
      ['444b1ae4d6e2ef50', '1e+21'],
      ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
      ['3eb0c6f7a0b5ed8d', '0.000001'],
      ['41b3de4355555553', '333333333.3333332'],
      ['41b3de4355555554', '333333333.33333325'],
      ['41b3de4355555555', '333333333.3333333'],
      ['41b3de4355555556', '333333333.3333334'],
      ['41b3de4355555557', '333333333.33333343'],
      ['becbf647612f3696', '-0.0000033333333333333333'],
      ['43143ff3c1cb0959', '1424953923781206.2'],
    ];
    for (const [bits, text] of table) expect(canonicalJson(fromBits(bits))).toBe(text);
  });

  it('is the same text however the properties were ordered, and parses to the same value', () => {
    fc.assert(
      fc.property(wellFormedJson, (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(reversed(value))).toBe(text);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('keeps a property named __proto__', () => {
    expect(canonicalJson(JSON.parse('{"b":1,"__proto__":{"a":2}}'))).toBe('{"__proto__":{"a":2},"b":1}');
  });

  it('refuses what JSON cannot say instead of dropping it', verifies('canonical.refuses'), async () => {
    class Point {
      x = 1;
    }
    const unsayable = [
      undefined,
      { a: undefined },
      [1, undefined],
      // oxlint-disable-next-line no-sparse-arrays -- the hole is the point
      [1, , 2],
      () => 1,
      Symbol('s'),
      10n,
      new Date(0),
      new Map(),
      Buffer.from('x'),
      new Point(),
    ];
    for (const value of unsayable) expect(() => canonicalJson(value)).toThrow(TypeError);
    for (const value of [Number.NaN, Infinity, -Infinity, '\ud800', 'a\udc00b', { '\udfff': 1 }]) {
      await expectCode(() => canonicalJson(value), 'request-invalid');
    }
  });

  it('refuses nesting beyond its bound, and no less', async () => {
    const nested = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as unknown;
    expect(canonicalJson(nested(JSON_MAX_DEPTH))).toHaveLength(2 * JSON_MAX_DEPTH);
    await expectCode(() => canonicalJson(nested(JSON_MAX_DEPTH + 1)), 'request-invalid');
    await expectCode(() => canonicalJson(nested(5000)), 'request-invalid');
  });
});

describe('digests', () => {
  it('are sha256 in lower-case hexadecimal', () => {
    const empty = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    expect(digestOf('')).toBe(empty);
    expect(digestOf(new Uint8Array())).toBe(empty);
    expect(`sha256:${sha256('').toString('hex')}`).toBe(empty);
    expect(digestOf('ü')).toBe(digestOf(Buffer.from('ü', 'utf8')));
    expect(digestOfJson({ b: 1, a: 2 })).toBe(digestOf('{"a":2,"b":1}'));
  });

  it('are recognised in their one form only', () => {
    const good = digestOf('x');
    const bad = [
      good.toUpperCase(),
      good.slice(7),
      `${good}\n`,
      ` ${good}`,
      good.slice(0, -1),
      'sha512:ab',
      '',
    ];
    expect(isDigest(good)).toBe(true);
    expect(digestSchema.parse(good)).toBe(good);
    for (const text of bad) {
      expect(isDigest(text)).toBe(false);
      expect(digestSchema.safeParse(text).success).toBe(false);
    }
  });
});

/** The values of an object in the order in which canonical JSON writes them (JSON.parse would reorder `1`). */
function entriesInTextOrder(value: Record<string, string>): string[] {
  return [...canonicalJson(value).matchAll(/"((?:[^"\\]|\\.)*)":"([^"]*)"/gu)].map((match) => match[2] ?? '');
}
