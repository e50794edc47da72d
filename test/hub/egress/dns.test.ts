import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RCODE, readQuery, TYPE } from '../../../hub/egress/dns.ts';
import { fakeAddresses, isFakeAddress } from '../../../hub/egress/fake-addresses.ts';
import { MOST_NAMES, MOST_NAMES_OF_WILDCARD } from '../../../hub/egress/limits.ts';
import { type QueryParts, query } from '../../support/dns-query.ts';
import { verifies } from '../../support/verifies.ts';

/** The code with which it is answered as a fault, or what it was read as otherwise. */
function read(parts: QueryParts): string | number {
  const read = readQuery(query(parts));
  return read.kind === 'fault' ? (read.answer[3] ?? 0) & 15 : read.kind;
}

const label = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_'.split('')), minLength: 1, maxLength: 63 });
const name = fc
  .array(label, { minLength: 1, maxLength: 6 })
  .map((labels) => labels.join('.'))
  .filter((text) => text.length <= 253);

describe('a query', () => {
  it('is read with its name and type, and answered with both as they came', verifies('egress.names'), () => {
    fc.assert(
      fc.property(name, fc.nat(65_535), fc.nat(65_535), fc.boolean(), (asked, type, id, opt) => {
        const bytes = query({ name: asked, type, id, opt });
        const parsed = readQuery(bytes);
        if (parsed.kind !== 'question') return expect.fail(parsed.kind);
        expect(parsed.question).toEqual({ name: asked, type });
        const response = parsed.answer(RCODE.unknown);
        const question = query({ name: asked, type, id }).subarray(12);
        expect(response.readUInt16BE(0)).toBe(id);
        expect(response.readUInt16BE(2)).toBe(0x8183);
        expect(response.subarray(4)).toEqual(
          Buffer.concat([Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]), question]),
        );
      }),
    );
  });

  it('is answered with an address in the form that was asked for', verifies('egress.names'), () => {
    const record = (type: number): string => {
      const parsed = readQuery(query({ name: 'a.test', type }));
      if (parsed.kind !== 'question') return parsed.kind;
      return parsed
        .answer(RCODE.ok, '127.64.1.2')
        .toString('hex')
        .slice(-2 * 28);
    };
    expect(record(TYPE.A)).toMatch(/c00c000100010000003c00047f400102$/);
    expect(record(TYPE.AAAA)).toBe('c00c001c00010000003c001000000000000000000000ffff7f400102');
  });

  it.each<[string, QueryParts, string | number]>([
    ['less than a header', { cut: 11 }, 'nothing'],
    ['an answer', { flags: 0x8180 }, 'nothing'],
    ['another operation', { flags: 0x2800 }, RCODE.notImplemented],
    ['no question', { counts: [0, 0, 0, 0] }, RCODE.malformed],
    ['many questions', { counts: [2, 0, 0, 0] }, RCODE.malformed],
    ['an answer in a question', { counts: [1, 1, 0, 0] }, RCODE.malformed],
    ['an authority in a question', { counts: [1, 0, 1, 0] }, RCODE.malformed],
    ['two records behind the question', { counts: [1, 0, 0, 2], opt: true }, RCODE.malformed],
    ['a record that is not there', { counts: [1, 0, 0, 1] }, RCODE.malformed],
    ['trailing bytes', { tail: Buffer.from('hidden') }, RCODE.malformed],
    ['trailing bytes behind its options', { opt: true, tail: Buffer.from([0]) }, RCODE.malformed],
    [
      'a signature',
      { counts: [1, 0, 0, 1], tail: Buffer.from('0000fa00ff000000000000', 'hex') },
      RCODE.malformed,
    ],
    ['a pointer', { wire: Buffer.from([0xc0, 12]) }, RCODE.malformed],
    ['a pointer behind a label', { wire: Buffer.from([1, 97, 0xc0, 12]) }, RCODE.malformed],
    ['a label of another kind', { wire: Buffer.from([0x41, 97, 0]) }, RCODE.malformed],
    ['a label of 64', { wire: Buffer.from([64, ...Buffer.alloc(64, 97), 0]) }, RCODE.malformed],
    ['a name of 256', { name: Array(4).fill('a'.repeat(63)).join('.') }, RCODE.malformed],
    ['a name without end', { wire: Buffer.from([3, 97]) }, RCODE.malformed],
    ['no type', { wire: Buffer.from([0]), cut: 14 }, RCODE.malformed],
    ['more bytes than any question has', { tail: Buffer.alloc(2000) }, RCODE.malformed],
    ['another class', { of: 3 }, RCODE.refused],
    ['any class', { of: 255 }, RCODE.refused],
  ])('is refused with %s', verifies('egress.names'), (_what, parts, outcome) => {
    expect(read({ name: 'a.test', ...parts })).toBe(outcome);
  });

  it('is read without a fault of ours, whatever the bytes', verifies('egress.names'), () => {
    const kinds = ['question', 'nothing', 'fault'];
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(name, fc.nat(500), fc.nat(255)).map(([asked, at, value]) => {
        const changed = query({ name: asked, opt: true });
        changed[at % changed.length] = value;
        return changed;
      }),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        const parsed = readQuery(Buffer.from(given));
        expect(kinds).toContain(parsed.kind);
        if (parsed.kind === 'fault') expect(parsed.answer).toHaveLength(12);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the addresses that stand for names', () => {
  it('are each for one name, for good', verifies('egress.names'), () => {
    const addresses = fakeAddresses();
    const given = Array.from({ length: 600 }, (_, at) => addresses.of(`n${at}.test`, undefined) ?? '');
    expect(new Set(given).size).toBe(600);
    expect(given[0]).toBe('127.64.0.1');
    expect(given[255]).toBe('127.64.1.0');
    expect(given.every(isFakeAddress)).toBe(true);
    expect(given.map((address) => addresses.nameOf(address))).toEqual(given.map((_, at) => `n${at}.test`));
    expect(addresses.of('n7.test', undefined)).toBe(given[7]);
    expect(addresses.nameOf('127.64.99.99')).toBeUndefined();
  });

  it('are so many and no more, of a wildcard fewer', verifies('egress.names', 'egress.bounded'), () => {
    const addresses = fakeAddresses();
    const given = (wildcard: string | undefined, many: number, prefix: string) =>
      Array.from({ length: many }, (_, at) => addresses.of(`${prefix}${at}`, wildcard)).filter(
        (address) => address !== undefined,
      ).length;
    expect(given('*.a.test', 2 * MOST_NAMES_OF_WILDCARD, 'a')).toBe(MOST_NAMES_OF_WILDCARD);
    expect(given('*.b.test', 1, 'b')).toBe(1);
    expect(given(undefined, MOST_NAMES, 'c')).toBe(MOST_NAMES - MOST_NAMES_OF_WILDCARD - 1);
    expect(addresses.of('a0', '*.a.test')).toBe('127.64.0.1');
  });

  it.each(['127.63.255.255', '127.128.0.0', '128.64.0.1', '::1'])(
    'are none like %s',
    verifies('egress.names'),
    (address) => expect(isFakeAddress(address)).toBe(false),
  );
});
