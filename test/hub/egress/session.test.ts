import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../hub/clock.ts';
import {
  DIAL_MS,
  HELLO_MS,
  IDLE_MS,
  LOOKUP_MS,
  MOST_CONNECTIONS,
  NEW_CONNECTIONS,
} from '../../../hub/egress/limits.ts';
import { systemResolve } from '../../../hub/egress/lookups.ts';
import { createEgress } from '../../../hub/egress/session.ts';
import { expectCode } from '../../support/expect-code.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { border, carried, everything, here, listener } from './rig.ts';

const ECHO = () =>
  createServer({ allowHalfOpen: true }, (socket) => void socket.on('error', () => undefined).pipe(socket));

describe('a session', () => {
  it('leads by name to the host that was granted', verifies('egress.names', 'egress.audit'), async () => {
    const { session, dial, events, port } = await border({
      upstream: ECHO(),
      rules: (p) => [here('db.test', p)],
    });
    expect(session.ports).toEqual([port]);
    session.enter();
    for (let times = 0; times < 2; times += 1) {
      const socket = await dial('DB.test');
      socket.end('hello');
      expect(await everything(socket)).toBe('hello');
    }
    const who = { skill: 'org.example/skill', user: 'owner' };
    expect(events).toEqual([{ ...who, kind: 'reached', host: 'db.test', port, address: '127.0.0.1' }]);
  });

  it('answers for granted names alone, and for addresses alone', verifies('egress.names'), async () => {
    const { resolver, events } = await border({ rules: (p) => [here('a.test', p), here('*.w.test', p)] });
    expect(await resolver.resolve4('a.test')).toEqual(['127.64.0.1']);
    expect(await resolver.resolve6('x.w.test')).toEqual(['::ffff:127.64.0.2']);
    for (const type of ['TXT', 'MX', 'NS', 'CAA', 'SRV'] as const)
      await expect(resolver.resolve('a.test', type)).rejects.toMatchObject({ code: 'ENODATA' });
    for (const name of ['b.test', 'w.test', 'xa.test'])
      await expect(resolver.resolve4(name)).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(events).toMatchObject([{ host: 'b.test' }, { host: 'w.test' }, { host: 'xa.test' }]);
  });

  it(
    'that is learned from has an address for each name, and leads to those that were granted alone',
    verifies('egress.names', 'learn.holds'),
    async () => {
      const named: string[][] = [];
      const asked: string[] = [];
      const upstream = listener();
      const { session, dial, resolver, events, port } = await border({
        upstream: upstream.server,
        rules: (p) => [{ host: '*.w.test', port: p, protocol: 'tcp' }],
        resolve: async (name) => (asked.push(name), []),
        answered: (...one) => named.push(one),
      });
      let reached = 0;
      upstream.server.on('connection', () => (reached += 1));
      session.enter();
      expect(await resolver.resolve4('b.test')).toEqual(['127.64.0.1']);
      expect(await everything(await dial('b.test'))).toBe('reset');
      expect(await everything(await dial('x.w.test'))).toBe('reset');
      expect(named).toContainEqual(['b.test', '127.64.0.1']);
      expect(named).toContainEqual(['x.w.test', '127.64.0.2']);
      expect(events).toMatchObject([
        { host: 'b.test', reason: 'host-not-granted' },
        { host: 'b.test', port, reason: 'host-not-granted' },
        { host: 'x.w.test', port, reason: 'name-unknown' },
      ]);
      // Not even the name of what was not granted leaves this machine.
      expect([reached, asked]).toEqual([0, ['x.w.test']]);
    },
  );

  it(
    'carries much both ways, unchanged, and each end stops by itself',
    verifies('egress.bytes'),
    async () => {
      const { session, dial } = await border({ upstream: ECHO(), rules: (p) => [here('db.test', p)] });
      session.enter();
      const socket = await dial('db.test');
      const sent = Buffer.alloc(20 * 1024 * 1024, 'the quick brown fox ');
      const back = everything(socket);
      socket.end(sent);
      expect((await back) === sent.toString('latin1')).toBe(true);
    },
  );

  it('reads a fast end no faster than the slow one does', verifies('egress.bytes'), async () => {
    const upstream = listener();
    upstream.server.on('connection', (socket: Socket) => void socket.pause());
    const { session, dial } = await border({ upstream: upstream.server, rules: (p) => [here('db.test', p)] });
    session.enter();
    const socket = await dial('db.test');
    let taken = 0;
    const chunk = Buffer.alloc(1024 * 1024);
    // Until nobody takes any more: the buffers of the system are full then.
    while (taken < 200 && (await written(socket, chunk))) taken += 1;
    expect(taken).toBeLessThan(64);
    upstream.sockets[0]?.resume();
    expect(await written(socket, chunk)).toBe(true);
  });

  it('lets a skill go on speaking to a host that has said all', verifies('egress.bytes'), async () => {
    const upstream = listener();
    upstream.server.on('connection', (socket: Socket) => void socket.end('said all'));
    const { session, dial } = await border({ upstream: upstream.server, rules: (p) => [here('db.test', p)] });
    session.enter();
    const socket = await dial('db.test');
    expect(await everything(socket)).toBe('said all');
    socket.write('heard');
    expect(await upstream.holds(5)).toBe('heard');
  });

  it('breaks one end when the other breaks', verifies('egress.bytes'), async () => {
    const upstream = listener();
    const { session, dial } = await border({ upstream: upstream.server, rules: (p) => [here('db.test', p)] });
    session.enter();
    const socket = await dial('db.test');
    socket.write('x');
    await upstream.holds(1);
    upstream.sockets[0]?.resetAndDestroy();
    expect(await everything(socket)).toBe('reset');
    const second = await dial('db.test');
    second.write('x');
    await upstream.holds(2);
    const broken = everything(upstream.sockets[1] as Socket);
    second.resetAndDestroy();
    expect(await broken).toBe('reset');
  });

  it('refuses port 53, where its names are found', verifies('egress.names'), async () => {
    const parts = { clock: systemClock, resolve: async () => [], doors: () => [], events: () => undefined };
    const order = { skill: 'a/b', user: 'owner', background: false, rules: [here('ns.test', 53)] };
    await expectCode(() => createEgress(parts).open(order), 'sandbox-cannot-enforce');
  });
});

describe('the names of the world outside', () => {
  it('are found as every program of this machine finds them', verifies('egress.addresses'), async () => {
    expect(await systemResolve('localhost')).toContainEqual({ address: '127.0.0.1', family: 4 });
  });
});

describe('between calls', () => {
  it('nothing is accepted, and what is there rests', verifies('egress.calls'), async () => {
    const upstream = listener();
    const { session, dial, refusals } = await border({
      upstream: upstream.server,
      rules: (p) => [here('db.test', p), here('web.test', p, 'tls')],
    });
    // Also where it would have to say something first.
    for (const name of ['db.test', 'web.test']) expect(await everything(await dial(name))).toBe('reset');
    expect(refusals()).toEqual(['between-calls', 'between-calls']);

    const leave = session.enter();
    const socket = await dial('db.test');
    socket.write('one.');
    await upstream.holds(4);
    leave();
    leave();
    socket.write('two.');
    let came = '';
    socket.on('data', (bytes: Buffer) => (came += bytes.toString()));
    upstream.sockets[0]?.write('answer');
    // A connection that is refused meanwhile shows that the hub had its turns to move bytes in.
    for (let times = 0; times < 5; times += 1) expect(await everything(await dial('db.test'))).toBe('reset');
    expect([upstream.text(), came]).toEqual(['one.', '']);

    session.enter();
    expect(await upstream.holds(8)).toBe('one.two.');
    if (came === '') await once(socket, 'data');
    expect(came).toBe('answer');
  });

  it.each([
    ['looked for', 0, ['between-calls']],
    ['dialled', 1, ['127.0.0.1', 'between-calls']],
  ])(
    'a host that was just being %s is let go of',
    verifies('egress.calls'),
    async (_what, asked, expected) => {
      let left = asked;
      const isOpen = () => (left -= 1) >= 0;
      const { dial, outcomes, upstream } = await carried({ lookup: () => ['127.0.0.1'], isOpen });
      const socket = dial();
      socket.write('x');
      expect(await everything(socket)).toBe('reset');
      expect([outcomes, upstream.text()]).toEqual([expected, '']);
    },
  );

  it('a call that goes on keeps the network open for all', verifies('egress.calls'), async () => {
    const { session, dial } = await border({ upstream: ECHO(), rules: (p) => [here('db.test', p)] });
    const leave = session.enter();
    session.enter();
    leave();
    const socket = await dial('db.test');
    socket.end('on');
    expect(await everything(socket)).toBe('on');
  });

  it('it goes on where that was granted', verifies('egress.calls'), async () => {
    const { dial } = await border({
      upstream: ECHO(),
      background: true,
      rules: (p) => [here('db.test', p)],
    });
    const socket = await dial('db.test');
    socket.end('on');
    expect(await everything(socket)).toBe('on');
  });

  it('a connection that rests for long is cut', verifies('egress.calls', 'egress.bounded'), async () => {
    const clock = manualClock();
    const upstream = listener();
    const { session, dial } = await border({
      clock,
      upstream: upstream.server,
      rules: (p) => [here('db.test', p)],
    });
    const leave = session.enter();
    const socket = await dial('db.test');
    socket.write('x');
    await upstream.holds(1);
    clock.advance(IDLE_MS - 1);
    socket.write('y');
    await upstream.holds(2);
    leave();
    clock.advance(IDLE_MS - 1);
    expect(socket.destroyed).toBe(false);
    const end = everything(socket);
    clock.advance(1);
    expect(await end).toBe('reset');
  });
});

describe('what a session may have', () => {
  it('is so many connections', verifies('egress.bounded'), async () => {
    const clock = manualClock();
    const upstream = listener();
    const { session, dialAddress, resolver, refusals } = await border({
      clock,
      upstream: upstream.server,
      rules: (p) => [here('db.test', p)],
    });
    session.enter();
    const [address = ''] = await resolver.resolve4('db.test');
    const dialNext = (): Socket => {
      clock.advance(1000);
      return dialAddress(address);
    };
    const first = dialNext();
    first.write('x');
    for (let made = 1; made < MOST_CONNECTIONS; made += 1) {
      await upstream.holds(made);
      dialNext().write('x');
    }
    await upstream.holds(MOST_CONNECTIONS);
    expect(await everything(dialNext())).toBe('reset');
    expect(refusals()).toEqual(['too-many-connections']);
    const gone = everything(first);
    upstream.sockets[0]?.resetAndDestroy();
    expect(await gone).toBe('reset');
    // Its place is free.
    dialNext().write('x');
    await upstream.holds(MOST_CONNECTIONS + 1);
  });

  it('is a pace of new ones', verifies('egress.bounded'), async () => {
    const clock = manualClock();
    const { session, dialAddress, resolver, refusals } = await border({
      clock,
      upstream: ECHO(),
      rules: (p) => [here('db.test', p)],
    });
    session.enter();
    const [address = ''] = await resolver.resolve4('db.test');
    const dialOnce = async (): Promise<string> => {
      const socket = dialAddress(address);
      socket.end('x');
      return everything(socket);
    };
    for (let made = 0; made < NEW_CONNECTIONS.atOnce; made += 1) expect(await dialOnce()).toBe('x');
    expect(await dialOnce()).toBe('reset');
    expect(refusals()).toEqual(['too-many-connections']);
    clock.advance(1000);
    expect(await dialOnce()).toBe('x');
  });

  it.each([
    ['says what it wants', HELLO_MS, 'too-slow'],
    ['is told where its host is', LOOKUP_MS, 'name-unknown'],
  ])('is a time in which a connection %s', verifies('egress.bounded'), async (_what, ms, reason) => {
    const clock = manualClock();
    let asked = (): void => undefined;
    const looking = new Promise<void>((resolve) => (asked = resolve));
    const { session, dial, event, refusals } = await border({
      clock,
      rules: (port) => [{ host: 'db.test', port, protocol: reason === 'too-slow' ? 'tls' : 'tcp' }],
      resolve: () => {
        asked();
        return new Promise(() => undefined);
      },
    });
    session.enter();
    const socket = await dial('db.test');
    const end = everything(socket);
    if (reason === 'too-slow') await accepted(clock);
    else await looking;
    clock.advance(ms - 1);
    expect(refusals()).toEqual([]);
    clock.advance(1);
    expect(await event(({ kind }) => kind === 'refused')).toMatchObject({ reason });
    expect(await end).toBe('reset');
  });

  it(
    'is no name that leads nowhere, nor a host that does not answer',
    verifies('egress.bounded'),
    async () => {
      const upstream = createServer();
      const { session, dial, refusals } = await border({
        upstream,
        rules: (port) => [{ host: 'lost.test', port, protocol: 'tcp' }, here('down.test', port)],
        resolve: async () => {
          throw new Error('ENOTFOUND');
        },
      });
      session.enter();
      expect(await everything(await dial('lost.test'))).toBe('reset');
      upstream.close();
      expect(await everything(await dial('down.test'))).toBe('reset');
      expect(refusals()).toEqual(['name-unknown', 'unreachable']);
      expect(DIAL_MS).toBeLessThanOrEqual(LOOKUP_MS);
    },
  );
});

/** Settles once a connection waits for its first bytes, which is what the clock then has a timer for. */
async function accepted(clock: ReturnType<typeof manualClock>): Promise<void> {
  while (clock.waiting() === 0) await new Promise((resolve) => void setImmediate(resolve));
}

/** Whether all of it was taken within the turns that a busy loop would need by far. */
async function written(socket: Socket, chunk: Buffer): Promise<boolean> {
  let isTaken = false;
  socket.write(chunk, () => (isTaken = true));
  for (let turn = 0; turn < 2000 && !isTaken; turn += 1)
    await new Promise((resolve) => void setImmediate(resolve));
  return isTaken;
}
