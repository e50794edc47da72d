import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requestGate } from '../../../hub/egress/http-host.ts';
import { verifies } from '../../support/verifies.ts';

const HOST = 'api.example.test';
const bytes = (text: string) => Buffer.from(text, 'latin1');

/** What of a connection's bytes passes, in whatever pieces they come, and why it ends. */
function through(text: string, { cuts = [], host = HOST }: { cuts?: number[]; host?: string } = {}) {
  const gate = requestGate(host, 8080);
  const edges = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length].toSorted((a, b) => a - b);
  let passed = '';
  for (const [at, edge] of edges.slice(1).entries()) {
    const { pass, fault } = gate.take(bytes(text.slice(edges[at], edge)));
    passed += pass?.toString('latin1') ?? '';
    if (fault !== undefined) return { passed, fault };
  }
  return { passed };
}

const head = (line: string, ...fields: string[]) => [line, ...fields, '', ''].join('\r\n');
const GET = head('GET /a?b HTTP/1.1', `Host: ${HOST}`);

const body = fc.string({ unit: fc.constantFrom(...'GET /\r\nHost: x0'.split('')), maxLength: 60 });
const request = fc.oneof(
  fc.constant(GET),
  fc.constant(head('OPTIONS * HTTP/1.1', 'Accept: */*', `host:${HOST.toUpperCase()}:8080 `)),
  fc.constant(head(`GET http://${HOST}/x HTTP/1.1`, `Host: ${HOST}`)),
  fc.constant(head(`GET http://${HOST}:8080 HTTP/1.0`, `Host: ${HOST}:8080`, 'Connection: keep-alive')),
  fc.constant(head('GET / HTTP/1.1', `Host: ${HOST}`, 'Connection: Upgrade', 'Upgrade: h2c')),
  body.map(
    (text) =>
      `${head('POST / HTTP/1.1', `Host: ${HOST}`, 'Expect: 100-continue', `Content-Length: ${text.length}`)}${text}`,
  ),
  fc.tuple(fc.array(body, { maxLength: 4 }), fc.boolean()).map(([parts, withTrailer]) => {
    const chunks = parts
      .filter((part) => part !== '')
      .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
    const end = `0\r\n${withTrailer ? 'X-Sum: 1\r\n' : ''}\r\n`;
    return `${head('PUT /b HTTP/1.1', `Host: ${HOST}`, 'Transfer-Encoding: chunked')}${chunks.join('')}${end}`;
  }),
);

describe('a connection of plain HTTP', () => {
  it(
    'passes byte for byte while every request is for its host',
    verifies('egress.http', 'egress.bytes'),
    () => {
      fc.assert(
        fc.property(fc.array(request, { minLength: 1, maxLength: 5 }), fc.array(fc.nat()), (all, cuts) => {
          const text = all.join('');
          expect(through(text, { cuts })).toEqual({ passed: text });
        }),
      );
    },
  );

  it('ends at the first request for another, wherever the bytes were cut', verifies('egress.http'), () => {
    const other = head('GET / HTTP/1.1', 'Host: evil.test');
    fc.assert(
      fc.property(fc.array(request, { maxLength: 4 }), fc.array(fc.nat()), (all, cuts) => {
        const good = all.join('');
        const { passed, fault } = through(good + other + GET, { cuts });
        expect(passed).toBe(good);
        expect(fault).toEqual({ reason: 'other-name', named: 'evil.test' });
      }),
    );
  });

  it('knows an address in its two spellings', verifies('egress.http'), () => {
    for (const [host, named] of [
      ['10.0.0.1', '10.0.0.1'],
      ['2606:4700::1', '[2606:4700::1]:8080'],
    ] as const) {
      const text = head('GET / HTTP/1.1', `Host: ${named}`);
      expect(through(text, { host })).toEqual({ passed: text });
    }
  });

  it('keeps a head until it is whole, and a body not at all', verifies('egress.http'), () => {
    const gate = requestGate(HOST, 8080);
    const post = head('POST / HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 4');
    expect(gate.take(bytes(post.slice(0, -1)))).toEqual({});
    expect(gate.take(bytes('\nab')).pass?.toString()).toBe(`${post}ab`);
    expect(gate.take(bytes('cdGE')).pass?.toString()).toBe('cd');
  });

  it('holds no more than a head may have', verifies('egress.http', 'egress.bounded'), () => {
    const endless = through(`GET / HTTP/1.1\r\nX: ${'a'.repeat(40_000)}`);
    expect(endless).toEqual({ passed: '', fault: { reason: 'not-http' } });
    const many = through(head('GET / HTTP/1.1', `Host: ${HOST}`, ...Array<string>(300).fill('a: b')));
    expect(many.fault).toEqual({ reason: 'not-http' });
  });
});

describe('a connection that becomes a WebSocket', () => {
  const UPGRADE = head('GET /s HTTP/1.1', `Host: ${HOST}`, 'Connection: Upgrade', 'Upgrade: websocket');
  const FRAME = bytes('\x81\x05hello');

  function upgraded() {
    const gate = requestGate(HOST, 8080);
    expect(gate.take(Buffer.concat([bytes(UPGRADE), FRAME])).pass?.toString()).toBe(UPGRADE);
    expect(gate.waits()).toBe(true);
    return gate;
  }

  it('passes as it is once the server agreed', verifies('egress.http'), () => {
    const gate = upgraded();
    expect(gate.answer(bytes('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 1'))).toEqual({});
    expect(gate.answer(bytes('01 Switching Protocols\r\n\r\n')).pass).toEqual(FRAME);
    expect(gate.waits()).toBe(false);
    expect(gate.take(FRAME).pass).toEqual(FRAME);
  });

  it.each([
    'HTTP/1.1 400 Bad\r\n\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    'nothing of HTTP\r\n',
    'HTTP/2.0 101 x\r\n',
  ])('stays HTTP for one host where the server did not: %j', verifies('egress.http'), (answer) => {
    expect(upgraded().answer(bytes(answer))).toEqual({ fault: { reason: 'not-http' } });
    const gate = requestGate(HOST, 8080);
    gate.take(bytes(UPGRADE));
    gate.answer(bytes(answer));
    expect(gate.take(bytes(GET)).pass?.toString()).toBe(GET);
  });

  it('never does so later, where an answer could be to another request', verifies('egress.http'), () => {
    const gate = requestGate(HOST, 8080);
    gate.take(bytes(GET + UPGRADE));
    expect(gate.waits()).toBe(false);
    expect(gate.take(FRAME)).toEqual({ fault: { reason: 'not-http' } });
  });
});
