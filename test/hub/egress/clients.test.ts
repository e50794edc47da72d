import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../hub/clock.ts';
import type { EgressEvent, EgressRule } from '../../../hub/egress/egress.ts';
import { createEgress } from '../../../hub/egress/session.ts';
import { networkNamespace } from '../../support/network-namespace.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { privateInternet } from '../../support/tls.ts';
import { verifies } from '../../support/verifies.ts';
import { here } from './rig.ts';

/** Says what it was asked, and how. */
const ANSWER: RequestListener = (request, response) => {
  let body = '';
  request.on('data', (part) => (body += String(part)));
  request.on('end', () => response.end(`${request.method} ${request.headers.host} ${request.url} ${body}`));
};

/** A network namespace whose only way out is a session with a rule for one server of the world outside. */
async function inside(upstream: Server, rules: (port: number) => EgressRule[]) {
  await once(upstream.listen(0, '127.0.0.1'), 'listening');
  const { port } = upstream.address() as AddressInfo;
  const events: EgressEvent[] = [];
  const egress = createEgress({
    clock: systemClock,
    resolve: async () => [],
    doors: () => [],
    events: (event) => events.push(event),
  });
  const session = egress.open({ skill: 'a/b', user: 'owner', background: false, rules: rules(port) });
  const namespace = await networkNamespace(session.ports);
  session.attach(namespace.listeners);
  session.enter();
  onTestFinished(() => {
    session.close();
    upstream.close();
  });
  return { port, events, ...namespace };
}

async function tlsInside() {
  const internet = await privateInternet();
  const folder = await tempFolder();
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, internet.cert);
  const upstream = internet.http().on('request', ANSWER);
  const there = await inside(upstream, (port) => [here('tools.example', port, 'tls')]);
  return { ...there, ca, url: `https://tools.example:${there.port}/a?b` };
}

const FETCH = `
const [url, other] = process.argv.slice(1);
const post = { method: 'POST', body: 'x'.repeat(300000) };
const all = [await fetch(url), await fetch(url), await fetch(url, post)];
for (const answer of all) console.log((await answer.text()).slice(0, 60).trim());
await fetch(other).then(() => console.log('reached'), (error) => console.log(error.cause.code));`;

const URLLIB = `
import sys, urllib.request
url, other = sys.argv[1:3]
for body in (None, b'x' * 300000):
    print(urllib.request.urlopen(url, body, timeout=10).read()[:60].decode().strip())
try: urllib.request.urlopen(other, timeout=10); print('reached')
except OSError as error: print(error)`;

const SOCKETS = `
import socket, sys
port = int(sys.argv[1])
for family in (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6):
    found = socket.getaddrinfo('db.test', port, family, socket.SOCK_STREAM)
    for kind, _, _, _, place in found:
        with socket.socket(kind) as s:
            s.connect(place)
            greeting = s.recv(100)
            s.sendall(b'said'); s.shutdown(socket.SHUT_WR)
            back = b''
            while part := s.recv(100): back += part
            print(kind.name, greeting.decode(), back.decode())
for port in (port, 1):
    for place in ('127.0.0.1', '127.64.77.77', '::1', '169.254.169.254', '1.1.1.1'):
        try:
            with socket.create_connection((place, port), 5) as s: print(place, s.recv(1))
        except OSError as error: print(place, error.strerror)`;

describe('an unmodified client in a network namespace', () => {
  it('of Node reaches a host over TLS', verifies('egress.clients', 'egress.tls'), async () => {
    const { run, ca, url, port, events } = await tlsInside();
    const other = `https://other.example:${port}/`;
    const args = ['--input-type=module', '-e', FETCH, url, other];
    const ran = await run(process.execPath, args, { NODE_EXTRA_CA_CERTS: ca });
    const host = `tools.example:${port}`;
    const lines = ran.stdout.trim().split('\n');
    expect(lines.slice(0, 2)).toEqual([`GET ${host} /a?b`, `GET ${host} /a?b`]);
    expect(lines[2]).toMatch(/^POST .*x$/);
    expect(lines[3]).toBe('ENOTFOUND');
    expect(events.map(({ kind, host }) => [kind, host])).toEqual([
      ['reached', 'tools.example'],
      ['refused', 'other.example'],
    ]);
  });

  it('of Python reaches a host over TLS', verifies('egress.clients', 'egress.tls'), async () => {
    const { run, ca, url, port } = await tlsInside();
    const args = ['-c', URLLIB, url, `https://other.example:${port}/`];
    const { stdout } = await run('python3', args, { SSL_CERT_FILE: ca });
    const lines = stdout.trim().split('\n');
    expect(lines[0]).toBe(`GET tools.example:${port} /a?b`);
    expect(lines[1]).toMatch(/^POST .*x$/);
    expect(lines[2]).toContain('Name or service not known');
  });

  it(
    'of curl reaches a host over TLS, and over either kind of socket',
    verifies('egress.clients', 'egress.tls'),
    async () => {
      const { run, ca, url, port } = await tlsInside();
      for (const flags of [[], ['-4'], ['-6'], ['--http1.1', '--data', 'x']]) {
        const ran = await run('curl', ['-sS', '--cacert', ca, ...flags, url]);
        expect(ran.stdout).toBe(
          flags.includes('--data') ? `POST tools.example:${port} /a?b x` : `GET tools.example:${port} /a?b `,
        );
      }
    },
  );

  it(
    'of each kind reaches a host over plain HTTP, many requests a connection',
    verifies('egress.clients', 'egress.http'),
    async () => {
      const { run, port } = await inside(createHttpServer(ANSWER), (p) => [here('web.test', p, 'http')]);
      const [url, other] = [`http://web.test:${port}/a?b`, `http://other.test:${port}/`];
      const node = await run(process.execPath, ['--input-type=module', '-e', FETCH, url, other]);
      expect(node.stdout.split('\n')[0]).toBe(`GET web.test:${port} /a?b`);
      expect(node.stdout).toContain('ENOTFOUND');
      const python = await run('python3', ['-c', URLLIB, url, other]);
      expect(python.stdout.split('\n')[0]).toBe(`GET web.test:${port} /a?b`);
      const upload = ['-sS', '-H', 'Transfer-Encoding: chunked', '-d', 'body', url, '--next', '-sS', url];
      const curl = await run('curl', upload);
      expect(curl.stdout).toBe(`POST web.test:${port} /a?b bodyGET web.test:${port} /a?b `);
    },
  );

  it(
    'of plain TCP is spoken to first, and may stop speaking before it is answered',
    verifies('egress.clients', 'egress.bytes'),
    async () => {
      const upstream = createServer({ allowHalfOpen: true }, (socket) => {
        let said = '';
        socket.on('error', () => undefined);
        socket.on('data', (part) => (said += String(part)));
        socket.on('end', () => socket.end(`heard ${said}`));
        socket.write('welcome');
      });
      const { run, port, refusals } = await withRefusals(upstream);
      const { stdout, stderr } = await run('python3', ['-c', SOCKETS, String(port)]);
      expect(stderr).toBe('');
      const [reached, others] = [stdout.trim().split('\n').slice(0, 4), stdout.trim().split('\n').slice(4)];
      expect(reached.toSorted()).toEqual(
        ['AF_INET', 'AF_INET', 'AF_INET6', 'AF_INET6'].map((kind) => `${kind} welcome heard said`),
      );
      expect(others).toEqual([
        '127.0.0.1 Connection reset by peer',
        '127.64.77.77 Connection reset by peer',
        '::1 Connection reset by peer',
        '169.254.169.254 Network is unreachable',
        '1.1.1.1 Network is unreachable',
        '127.0.0.1 Connection refused',
        '127.64.77.77 Connection refused',
        '::1 Connection refused',
        '169.254.169.254 Network is unreachable',
        '1.1.1.1 Network is unreachable',
      ]);
      expect(refusals()).toEqual(['127.0.0.1', '127.64.77.77', '::1']);
    },
  );
});

async function withRefusals(upstream: Server) {
  const there = await inside(upstream, (port) => [here('db.test', port)]);
  return {
    ...there,
    refusals: () => there.events.filter(({ kind }) => kind === 'refused').map(({ host }) => host),
  };
}
