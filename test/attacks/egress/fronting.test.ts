import { describe, expect, it } from 'vitest';
import type { EgressRule } from '../../../hub/egress/egress.ts';
import { extension, helloWith, record, serverNames } from '../../support/client-hello.ts';
import { verifies } from '../../support/verifies.ts';
import { border, everything, here, listener } from '../../hub/egress/rig.ts';

const HOST = 'api.test';
/** `encrypted_client_hello` (RFC 9849 §5): outer, one suite, a key, and a payload that hides the true hello. */
const ENCRYPTED = extension(
  0xfe0d,
  Buffer.concat([Buffer.from([0, 0, 1, 0, 1, 9, 0, 0, 0, 32]), Buffer.alloc(32, 5)]),
);

/** What a server behind the border gets to see of a connection that begins so, and why it was refused. */
async function sent(bytes: Buffer, protocol: EgressRule['protocol']) {
  const upstream = listener();
  const { session, dial, events } = await border({
    upstream: upstream.server,
    rules: (p) => [here(HOST, p, protocol)],
  });
  session.enter();
  const socket = await dial(HOST);
  const outcome = everything(socket);
  socket.write(bytes);
  return { outcome, upstream, events };
}

describe('a connection under a grant for TLS', () => {
  it.each([
    ['another name', helloWith(serverNames('evil.test')), { reason: 'other-name', named: 'evil.test' }],
    ['a name below', helloWith(serverNames('x.api.test')), { reason: 'other-name', named: 'x.api.test' }],
    ['a name that goes on', helloWith(serverNames('api.test\0.evil.test')), { reason: 'other-name' }],
    ['a dot behind', helloWith(serverNames('api.test.')), { reason: 'other-name' }],
    ['its address', helloWith(serverNames('127.0.0.1')), { reason: 'other-name' }],
    ['no name', helloWith(), { reason: 'no-name' }],
    ['only a hidden name', helloWith(ENCRYPTED), { reason: 'no-name' }],
    [
      'a hidden name behind that of a front',
      helloWith(serverNames('front.test'), ENCRYPTED),
      { reason: 'other-name', named: 'front.test' },
    ],
    ['two names', helloWith(serverNames(HOST, 'evil.test')), { reason: 'not-tls' }],
    ['two lists of names', helloWith(serverNames(HOST), serverNames('evil.test')), { reason: 'not-tls' }],
  ])('is refused with %s', verifies('egress.tls'), async (_what, hello, fault) => {
    const { outcome, upstream, events } = await sent(record(hello), 'tls');
    expect(await outcome).toBe('reset');
    expect(events).toMatchObject([{ kind: 'refused', host: HOST, ...fault }]);
    expect(upstream.sockets).toEqual([]);
  });

  it('is refused with another name in pieces', verifies('egress.tls'), async () => {
    const hello = helloWith(serverNames('evil.test'));
    const at = hello.indexOf('evil') + 2;
    const pieces = Buffer.concat([record(hello.subarray(0, at)), record(hello.subarray(at))]);
    const { outcome, events } = await sent(pieces, 'tls');
    expect(await outcome).toBe('reset');
    expect(events).toMatchObject([{ reason: 'other-name', named: 'evil.test' }]);
  });

  it.each([
    'GET / HTTP/1.1\r\nHost: api.test\r\n\r\n',
    'SSH-2.0-x\r\n',
    'CONNECT evil.test:443 HTTP/1.1\r\n\r\n',
  ])('is refused when it speaks something else: %j', verifies('egress.tls'), async (text) => {
    const { outcome, events, upstream } = await sent(Buffer.from(text), 'tls');
    expect(await outcome).toBe('reset');
    expect([events[0], upstream.sockets]).toMatchObject([{ reason: 'not-tls' }, []]);
  });

  it(
    'goes on with the name that was granted, to the byte',
    verifies('egress.tls', 'egress.bytes'),
    async () => {
      const hello = record(helloWith(serverNames('API.test'), ENCRYPTED));
      const { upstream } = await sent(hello, 'tls');
      await upstream.holds(hello.length);
      expect(upstream.text()).toBe(hello.toString('latin1'));
    },
  );

  it('to an address goes on without a name, and not with one', verifies('egress.tls'), async () => {
    const upstream = listener();
    const rules = (port: number): EgressRule[] => [{ ...here('::1', port, 'tls'), address: '127.0.0.1' }];
    const { session, dialAddress, refusals } = await border({ upstream: upstream.server, rules });
    session.enter();
    const named = dialAddress('::1');
    named.write(record(helloWith(serverNames('evil.test'))));
    expect(await everything(named)).toBe('reset');
    expect(refusals()).toEqual(['other-name']);
    const hello = record(helloWith());
    dialAddress('::1').write(hello);
    await upstream.holds(hello.length);
  });
});

const head = (line: string, ...fields: string[]) => [line, ...fields, '', ''].join('\r\n');
const GET = head('GET / HTTP/1.1', `Host: ${HOST}`);
const EVIL = head('GET /evil HTTP/1.1', 'Host: evil.test');

describe('a connection under a grant for HTTP', () => {
  it.each([
    ['another host', EVIL],
    ['a host that goes on', head('GET / HTTP/1.1', `Host: ${HOST}.evil.test`)],
    ['another port', head('GET / HTTP/1.1', `Host: ${HOST}:1`)],
    ['another user', head('GET / HTTP/1.1', `Host: ${HOST}@evil.test`)],
    ['two hosts', head('GET / HTTP/1.1', `Host: ${HOST}`, 'Host: evil.test')],
    ['its host twice', head('GET / HTTP/1.1', `Host: ${HOST}`, `Host: ${HOST}`)],
    ['a tunnel that looks like a request', head('CONNECT / HTTP/1.1', `Host: ${HOST}`)],
    ['two hosts in one', head('GET / HTTP/1.1', `Host: ${HOST}, evil.test`)],
    ['no host', head('GET / HTTP/1.1', 'Accept: */*')],
    ['no host, as of old', head('GET / HTTP/1.0')],
    ['nothing but a line', 'GET /\r\n\r\n'],
    ['a target elsewhere', head('GET http://evil.test/ HTTP/1.1', `Host: ${HOST}`)],
    ['a target with a user', head(`GET http://${HOST}@evil.test/ HTTP/1.1`, `Host: ${HOST}`)],
    ['a target and another host', head(`GET http://${HOST}/ HTTP/1.1`, 'Host: evil.test')],
    ['a target of TLS', head(`GET https://${HOST}/ HTTP/1.1`, `Host: ${HOST}`)],
    ['a target that turns', head(`GET http://${HOST}\\@evil.test/ HTTP/1.1`, `Host: ${HOST}`)],
    ['a target without a scheme', head('GET evil.test:80 HTTP/1.1', `Host: ${HOST}`)],
    ['a tunnel', head('CONNECT evil.test:443 HTTP/1.1', 'Host: evil.test:443')],
    ['a tunnel to itself', head(`CONNECT ${HOST}:443 HTTP/1.1`, `Host: ${HOST}`)],
    ['a blank before the colon', head('GET / HTTP/1.1', 'Host : evil.test', `Host: ${HOST}`)],
    ['a folded line', head('GET / HTTP/1.1', 'X: a', ' Host: evil.test', `Host: ${HOST}`)],
    ['a bare line feed', `GET / HTTP/1.1\nHost: evil.test\n\nX: y\r\nHost: ${HOST}\r\n\r\n`],
    ['a line feed in a value', head('GET / HTTP/1.1', 'X: a\nHost: evil.test', `Host: ${HOST}`)],
    ['a bare return', head('GET / HTTP/1.1', 'X: a\rHost: evil.test', `Host: ${HOST}`)],
    ['a null', head('GET / HTTP/1.1', 'X: a\0', `Host: ${HOST}`)],
    ['a host taken out on the way', head('GET / HTTP/1.1', `Host: ${HOST}`, 'Connection: close, Host')],
    ['an empty line before', `\r\n${GET}`],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/1.2', head('GET / HTTP/1.2', `Host: ${HOST}`)],
    ['a blank too many', head('GET  / HTTP/1.1', `Host: ${HOST}`)],
    ['TLS', record(helloWith(serverNames(HOST))).toString('latin1')],
    [
      'a length and chunks',
      head('POST / HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 5', 'Transfer-Encoding: chunked'),
    ],
    ['two lengths', head('POST / HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 5', 'Content-Length: 5')],
    ['a list of lengths', head('POST / HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 5, 5')],
    ['a length with a sign', head('POST / HTTP/1.1', `Host: ${HOST}`, 'Content-Length: +5')],
    ['a length in hex', head('POST / HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 0x5')],
    ['a length without end', head('POST / HTTP/1.1', `Host: ${HOST}`, `Content-Length: ${'9'.repeat(30)}`)],
    ['a coding that hides chunks', head('POST / HTTP/1.1', `Host: ${HOST}`, 'Transfer-Encoding: xchunked')],
    ['chunks and more', head('POST / HTTP/1.1', `Host: ${HOST}`, 'Transfer-Encoding: gzip, chunked')],
    [
      'chunks twice',
      head('POST / HTTP/1.1', `Host: ${HOST}`, 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
    ],
    ['chunks of old', head('POST / HTTP/1.0', `Host: ${HOST}`, 'Transfer-Encoding: chunked')],
    ['an odd expectation', head('POST / HTTP/1.1', `Host: ${HOST}`, 'Expect: 100-continue, x')],
  ])('is refused with %s', verifies('egress.http'), async (_what, text) => {
    const { outcome, upstream, events } = await sent(Buffer.from(text, 'latin1'), 'http');
    expect(await outcome).toBe('reset');
    expect(events).toMatchObject([{ kind: 'refused', host: HOST }]);
    expect(upstream.sockets).toEqual([]);
  });

  it.each([
    ['behind the first', GET, ''],
    ['behind a body', head('POST / HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 2'), 'ab'],
    [
      'behind chunks',
      head('POST / HTTP/1.1', `Host: ${HOST}`, 'Transfer-Encoding: chunked'),
      '2\r\nab\r\n0\r\n\r\n',
    ],
    [
      'behind the wish for another protocol',
      head('GET / HTTP/1.1', `Host: ${HOST}`, 'Connection: upgrade', 'Upgrade: h2c'),
      '',
    ],
  ])('is cut before a request for another host: %s', verifies('egress.http'), async (_where, first, body) => {
    const upstream = listener();
    const { session, dial, event } = await border({
      upstream: upstream.server,
      rules: (p) => [here(HOST, p, 'http')],
    });
    session.enter();
    const socket = await dial(HOST);
    const outcome = everything(socket);
    socket.write(first);
    await upstream.holds(first.length);
    socket.write(body + EVIL);
    expect(await outcome).toBe('reset');
    expect(await event(({ kind }) => kind === 'refused')).toMatchObject({
      reason: 'other-name',
      named: 'evil.test',
    });
    expect(upstream.text()).not.toContain('evil');
  });

  it.each([
    ['a chunk with an extension', '5;a=b\r\nhello\r\n0\r\n\r\n'],
    ['a chunk longer than said', '2\r\nabGET\r\n0\r\n\r\n'],
    ['a chunk without its end', '2\r\nabXX0\r\n\r\n'],
    ['a size with a sign', '-2\r\n'],
    ['a size beyond counting', `${'f'.repeat(16)}\r\n`],
    ['a bare line feed', '2\nab\n0\n\n'],
    ['a trailer that is none', '0\r\nHost evil.test\r\n\r\n'],
  ])('is cut at %s', verifies('egress.http'), async (_what, chunks) => {
    const text = head('POST / HTTP/1.1', `Host: ${HOST}`, 'Transfer-Encoding: chunked') + chunks + EVIL;
    const { outcome, upstream, events } = await sent(Buffer.from(text), 'http');
    expect(await outcome).toBe('reset');
    expect(events.at(-1)).toMatchObject({ reason: 'not-http' });
    expect(upstream.text()).not.toContain('evil');
  });

  it(
    'becomes no tunnel by asking for a WebSocket that the server does not want',
    verifies('egress.http'),
    async () => {
      const upgrade = head('GET / HTTP/1.1', `Host: ${HOST}`, 'Connection: Upgrade', 'Upgrade: websocket');
      const { outcome, upstream } = await sent(Buffer.from(upgrade + EVIL), 'http');
      await upstream.holds(upgrade.length);
      upstream.sockets[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      expect(await outcome).toMatch(/^reset$|^HTTP/);
      expect(upstream.text()).toBe(upgrade);
    },
  );
});
