import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readClientHello } from '../../../hub/egress/client-hello.ts';
import { extension, helloWith, realHello, record, serverNames } from '../../support/client-hello.ts';
import { verifies } from '../../support/verifies.ts';

const GOOD = helloWith(extension(10, Buffer.from([0, 2, 0, 29])), serverNames('Api.Example.test'));

/** The message in as many records as there are cuts, and one more. */
function inRecords(message: Buffer, cuts: readonly number[]): Buffer {
  const places = [...new Set(cuts.map((cut) => 1 + (cut % (message.length - 1))))].toSorted((a, b) => a - b);
  const edges = [0, ...places, message.length];
  return Buffer.concat(edges.slice(1).map((edge, at) => record(message.subarray(edges[at], edge))));
}

describe('a ClientHello', () => {
  it.each([
    ['of today', {}],
    ['of TLS 1.2', { maxVersion: 'TLSv1.2' as const }],
    ['with protocols', { ALPNProtocols: ['h2', 'http/1.1'] }],
  ])('%s is read as Node sends it', verifies('egress.tls'), async (_what, options) => {
    const named = await realHello('api.example.test', options);
    expect(readClientHello(named)).toEqual({ kind: 'hello', name: 'api.example.test' });
    expect(readClientHello(await realHello(undefined, options))).toEqual({ kind: 'hello', name: undefined });
  });

  it('is the same in several records, and wants more until its end', verifies('egress.tls'), () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 12 }), fc.nat(), (cuts, until) => {
        const bytes = inRecords(GOOD, cuts);
        expect(readClientHello(bytes)).toEqual({ kind: 'hello', name: 'api.example.test' });
        expect(readClientHello(bytes.subarray(0, until % bytes.length)).kind).toBe('more');
      }),
    );
  });

  it('may be followed by other records', verifies('egress.tls'), () => {
    const early = Buffer.from([23, 3, 3, 0, 1, 0]);
    expect(readClientHello(Buffer.concat([record(GOOD), early])).kind).toBe('hello');
  });

  it.each([
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9\r\n')],
    ['SSL 2.0', Buffer.from([0x80, 0x2e, 1, 3, 1])],
    ['SSL 2.0 in the version', Buffer.from([22, 2, 0, 0, 4, 1, 0, 0, 0])],
    ['an alert', Buffer.from([21, 3, 1, 0, 2, 1, 0])],
    ['a ServerHello', record(Buffer.from([2, 0, 0, 0]))],
    ['an empty record', record(Buffer.alloc(0))],
    ['a record that is too long', Buffer.from([22, 3, 1, 0xff, 0xff])],
    ['a hello that is too long', record(Buffer.from([1, 0, 0xff, 0xff]))],
    ['an empty hello', record(Buffer.from([1, 0, 0, 0]))],
    [
      'too many records',
      inRecords(
        GOOD,
        Array.from({ length: 40 }, (_, at) => at),
      ),
    ],
    ['a second message in its record', record(Buffer.concat([GOOD, GOOD]))],
    ['two lists of names', record(helloWith(serverNames('a.test'), serverNames('b.test')))],
    ['two names in a list', record(helloWith(serverNames('a.test', 'b.test')))],
    ['an empty list of names', record(helloWith(serverNames()))],
    ['a name of another type', record(helloWith(extension(0, Buffer.from([0, 4, 1, 0, 1, 97]))))],
    ['something behind the names', record(helloWith(extension(0, Buffer.from([0, 4, 0, 0, 1, 97, 0]))))],
    ['something behind the extensions', record(grown(helloWith(serverNames('a.test'))))],
  ])('is not what %s is', verifies('egress.tls'), (_what, bytes) => {
    expect(readClientHello(bytes)).toMatchObject({ kind: 'fault', why: expect.any(String) });
  });

  it('is read without a fault of ours, whatever the bytes', verifies('egress.tls'), () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const kinds = ['more', 'fault', 'hello'];
        expect(kinds).toContain(readClientHello(Buffer.from(bytes)).kind);
        const body = Buffer.concat([Buffer.from([1, 0, bytes.length >> 8, bytes.length & 255]), bytes]);
        expect(kinds).toContain(readClientHello(record(body)).kind);
      }),
    );
  });

  it(
    'with one byte changed never names another host than a strict reader sees',
    verifies('egress.tls'),
    () => {
      fc.assert(
        fc.property(fc.nat(GOOD.length - 1), fc.nat(255), (at, value) => {
          const bytes = Buffer.from(GOOD);
          bytes[at] = value;
          const read = readClientHello(record(bytes));
          if (read.kind !== 'hello' || read.name === undefined) return;
          expect(bytes.toString('latin1').toLowerCase()).toContain(read.name);
        }),
      );
    },
  );
});

/** The same hello with a byte more than its extensions take. */
function grown(hello: Buffer): Buffer {
  const bytes = Buffer.concat([hello, Buffer.from([0])]);
  bytes.writeUIntBE(hello.length - 4 + 1, 1, 3);
  return bytes;
}
