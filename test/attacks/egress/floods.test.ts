import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EgressRule } from '../../../hub/egress/egress.ts';
import { DIAL_MS, HELLO_MS, LOOKUPS_OF_HUB, MOST_TOLD } from '../../../hub/egress/limits.ts';
import { lookups } from '../../../hub/egress/lookups.ts';
import { helloWith, record, serverNames } from '../../support/client-hello.ts';
import { query } from '../../support/dns-query.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { border, everything, here, listener, placed } from '../../hub/egress/rig.ts';

const HOST = 'api.test';

/** Whether anybody still listens, as the system answers. */
async function connecting(port: number, host: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host }, () => resolve('accepted'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    onTestFinished(() => void socket.destroy());
  });
}

describe('a skill that holds connections without saying anything', () => {
  it.each<[EgressRule['protocol'], Buffer]>([
    ['tls', record(helloWith(serverNames(HOST)))],
    ['http', Buffer.from(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)],
  ])('loses each in time, however it dribbles: %s', verifies('egress.bounded'), async (protocol, opening) => {
    const clock = manualClock();
    const { session, dial, event, port } = await border({ clock, rules: (p) => [here(HOST, p, protocol)] });
    session.enter();
    const socket = await dial(HOST);
    const outcome = everything(socket);
    for (const byte of opening.subarray(0, -1)) {
      socket.write(Buffer.from([byte]));
      if (clock.waiting() > 0) clock.advance(HELLO_MS / (2 * opening.length));
    }
    while (clock.waiting() === 0) await new Promise((resolve) => void setImmediate(resolve));
    clock.advance(HELLO_MS);
    expect(await outcome).toBe('reset');
    expect(await event(() => true)).toMatchObject({ kind: 'refused', port, reason: 'too-slow' });
  });
});

describe('a skill that floods', () => {
  it(
    'with connections loses its network, not the hub its time',
    verifies('egress.bounded', 'egress.audit'),
    async () => {
      const { session, resolver, port, events, dialAddress } = await border({
        clock: manualClock(),
        rules: (p) => [here(HOST, p)],
      });
      session.enter();
      const [address = ''] = await resolver.resolve4(HOST);
      const isFlood = () => events.some((event) => event.kind === 'refused' && event.reason === 'flood');
      for (let made = 0; made < 200 && !isFlood(); made += 1)
        await Promise.all(Array.from({ length: 50 }, () => everything(dialAddress(address))));
      expect(isFlood()).toBe(true);
      expect(await connecting(port, address)).toBe('ECONNREFUSED');
      expect(events.length).toBeLessThan(MOST_TOLD);
    },
  );

  it('with questions loses its network', verifies('egress.bounded'), async () => {
    const { port, dnsPort, event } = await border({ clock: manualClock(), rules: (p) => [here(HOST, p)] });
    const socket = createSocket('udp4');
    let isOver = false;
    const ended = event((told) => told.kind === 'refused' && told.reason === 'flood').then(
      () => (isOver = true),
    );
    while (!isOver) {
      for (let sent = 0; sent < 50; sent += 1)
        socket.send(query({ name: HOST }), dnsPort, '127.0.0.1', () => undefined);
      await new Promise((resolve) => void setImmediate(resolve));
    }
    await ended;
    socket.close();
    expect(await connecting(port, '127.64.0.1')).toBe('ECONNREFUSED');
    expect(await connecting(dnsPort, '127.0.0.1')).toBe('ECONNREFUSED');
  });

  it(
    'with names that nobody answers for keeps nobody else from theirs',
    verifies('egress.bounded'),
    async () => {
      const clock = manualClock();
      const working = new Set<string>();
      let most = 0;
      const newLookup = lookups({
        clock,
        resolve: (host) => {
          working.add(host);
          most = Math.max(most, working.size);
          return host.startsWith('slow')
            ? new Promise(() => undefined)
            : Promise.resolve([{ address: '1.1.1.1', family: 4 }]).finally(() => working.delete(host));
        },
      });
      const [greedy, honest] = [newLookup(), newLookup()];
      const slow = Array.from({ length: 50 }, (_, at) => greedy(`slow${at}.test`));
      expect(await honest('fast.test')).toEqual([{ address: '1.1.1.1', family: 4 }]);
      clock.advance(60_000);
      expect((await Promise.all(slow)).flat()).toEqual([]);
      for (const [at, lookup] of Array.from({ length: 10 }, newLookup).entries())
        void lookup(`slow-too${at}.test`);
      await new Promise((resolve) => void setImmediate(resolve));
      expect(working.size).toBe(LOOKUPS_OF_HUB);
      expect(most).toBe(LOOKUPS_OF_HUB);
    },
  );
});

describe('a network that is taken back', () => {
  it(
    'is gone within a second, whatever state its connections are in',
    verifies('egress.closed'),
    async () => {
      const upstream = listener();
      const never = new Promise<never>(() => undefined);
      let looked = (): void => undefined;
      const looking = new Promise<void>((resolve) => (looked = resolve));
      const { session, dial, port, resolver, events } = await border({
        upstream: upstream.server,
        rules: (p) => [
          here('open.test', p),
          here('hello.test', p, 'tls'),
          { host: 'lookup.test', port: p, protocol: 'tcp' },
        ],
        resolve: () => {
          looked();
          return never;
        },
      });
      const leave = session.enter();
      const open = await dial('open.test');
      open.write('x');
      await upstream.holds(1);
      const resting = await dial('open.test');
      resting.write('y');
      await upstream.holds(2);
      const hello = await dial('hello.test');
      const lookup = await dial('lookup.test');
      await looking;
      leave();
      const ends = [open, resting, hello, lookup].map(everything);
      const outer = upstream.sockets.map((socket: Socket) => everything(socket));
      const start = performance.now();
      session.close();
      expect(await Promise.all([...ends, ...outer])).toEqual(Array(6).fill('reset'));
      expect(performance.now() - start).toBeLessThan(1000);
      expect(await connecting(port, '127.64.0.1')).toBe('ECONNREFUSED');
      await expect(resolver.resolve4('open.test')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      expect(events.filter(({ kind }) => kind === 'reached')).toHaveLength(1);
      // Nothing opens it again.
      session.enter();
      expect(await connecting(port, '127.64.0.1')).toBe('ECONNREFUSED');
    },
  );

  it.each(['closed', 'late'] as const)(
    'is not dialled for any more once it is %s',
    verifies('egress.closed', 'egress.bounded'),
    async (ending) => {
      const clock = manualClock();
      const { session, dial, refusals, port } = await border({
        clock,
        upstreamPort: await deafServer(),
        rules: (p) => [here(HOST, p)],
      });
      session.enter();
      const outcome = everything(await dial(HOST));
      await dialling(port, true);
      if (ending === 'closed') session.close();
      else clock.advance(DIAL_MS);
      expect(await outcome).toBe('reset');
      await dialling(port, false);
      expect(refusals()).toEqual(ending === 'closed' ? [] : ['unreachable']);
    },
  );
});

/** The port of a server that takes no connection: the one that it has room for is there already. */
async function deafServer(): Promise<number> {
  const program = `
import socket, sys
s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(0)
print('ready', flush=True)
sys.stdin.read()`;
  const place = createServer();
  const port = await placed(place);
  await new Promise((resolve) => void place.close(resolve));
  const child = spawn('python3', ['-c', program, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  await once(child.stdout, 'data');
  expect(await connecting(port, '127.0.0.1')).toBe('accepted');
  return port;
}

/** Settles once this machine dials the port, or does no more. */
async function dialling(port: number, isDialling: boolean): Promise<void> {
  const line = `:${port.toString(16).toUpperCase().padStart(4, '0')} 02 `;
  for (;;) {
    const connections = await readFile('/proc/net/tcp', 'latin1');
    if (connections.includes(line) === isDialling) return;
  }
}
