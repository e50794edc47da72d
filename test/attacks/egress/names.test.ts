import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  DNS_IDLE_MS,
  MOST_DNS_CONNECTIONS,
  MOST_NAMES_OF_WILDCARD,
  QUERIES,
} from '../../../hub/egress/limits.ts';
import { RCODE } from '../../../hub/egress/dns.ts';
import { query, type QueryParts } from '../../support/dns-query.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { border, everything, here } from '../../hub/egress/rig.ts';

/** A session with a wildcard, and a skill that speaks to its resolver in bytes of its own. */
async function asking() {
  const looked: string[] = [];
  const clock = manualClock();
  const there = await border({
    clock,
    rules: (port) => [here('api.test', port), { host: '*.wild.test', port, protocol: 'tcp' }],
    resolve: async (host) => {
      looked.push(host);
      return [];
    },
  });
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  /** What comes back: its number, its code, how many records. */
  async function ask(
    parts: QueryParts,
  ): Promise<{ id: number; rcode: number; records: number; bytes: number }> {
    socket.send(query(parts), there.dnsPort, '127.0.0.1');
    const [answer] = (await once(socket, 'message')) as [Buffer];
    const [id, records] = [answer.readUInt16BE(0), answer.readUInt16BE(6)];
    return { id, rcode: (answer[3] ?? 0) & 15, records, bytes: answer.length };
  }
  /** A connection to the resolver. */
  function dial(): Socket {
    const connection = connect(there.dnsPort, '127.0.0.1');
    connection.on('error', () => undefined);
    onTestFinished(() => void connection.destroy());
    return connection;
  }
  return { ...there, clock, looked, ask, dial, socket };
}

/** RFC 1035 §4.2.2. */
const framed = (bytes: Buffer) =>
  Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);

/** NULL, TXT, SVCB, HTTPS (with the keys that would hide a name), AXFR and ANY. */
const CARRIERS = [10, 16, 64, 65, 252, 255];

describe('a skill that would talk through names', () => {
  it('is answered without anybody being asked', verifies('egress.names'), async () => {
    const { ask, looked, session } = await asking();
    session.enter();
    const secret = Buffer.from('a secret in many labels').toString('hex');
    const long = `${secret}.${'b'.repeat(63)}.${'c'.repeat(63)}`;
    for (const name of [`${secret}.evil.test`, `${long}.evil.test`, 'evil.test', `${secret}.api.test`])
      for (const type of [1, 28, ...CARRIERS])
        expect(await ask({ name, type })).toMatchObject({ rcode: RCODE.unknown, records: 0 });
    for (const name of ['api.test', `${long}.wild.test`])
      for (const type of CARRIERS)
        expect(await ask({ name, type })).toMatchObject({ rcode: RCODE.ok, records: 0 });
    expect(await ask({ name: `${long}.wild.test` })).toMatchObject({ rcode: RCODE.ok, records: 1 });
    expect(looked).toEqual([]);
  });

  it('is on record with the names that it tried', verifies('egress.audit', 'egress.names'), async () => {
    const { ask, events } = await asking();
    await ask({ name: 'secret\n\u00ff.evil.test', type: 16 });
    expect(events).toEqual([
      {
        kind: 'refused',
        skill: 'org.example/skill',
        user: 'owner',
        host: 'secret\ufffd\ufffd.evil.test',
        reason: 'host-not-granted',
      },
    ]);
  });

  it('has so many names of a wildcard and no more', verifies('egress.names', 'egress.bounded'), async () => {
    const { ask, clock, events, looked } = await asking();
    const codes = new Map<number, number>();
    for (let at = 0; at < MOST_NAMES_OF_WILDCARD + 20; at += 1) {
      if (at % QUERIES.atOnce === 0) clock.advance(60_000);
      const { rcode } = await ask({ name: `n${at}.wild.test` });
      codes.set(rcode, (codes.get(rcode) ?? 0) + 1);
    }
    expect([...codes]).toEqual([
      [RCODE.ok, MOST_NAMES_OF_WILDCARD],
      [RCODE.failed, 20],
    ]);
    expect(events[0]).toMatchObject({
      host: `n${MOST_NAMES_OF_WILDCARD}.wild.test`,
      reason: 'too-many-names',
    });
    expect(looked).toEqual([]);
    expect(await ask({ name: 'api.test' })).toMatchObject({ rcode: RCODE.ok });
  });

  it('gets no more back than it sent, and an address', verifies('egress.names'), async () => {
    const { ask } = await asking();
    const sent = query({ name: 'api.test', type: 28 }).length;
    expect((await ask({ name: 'api.test', type: 28 })).bytes).toBe(sent + 28);
    expect((await ask({ name: 'api.test', tail: Buffer.alloc(500) })).bytes).toBe(12);
  });

  it('is left without an answer once it asks too fast', verifies('egress.bounded'), async () => {
    const { ask, socket, dial, dnsPort, clock } = await asking();
    for (let at = 0; at < QUERIES.atOnce; at += 1) await ask({ name: 'api.test' });
    socket.send(query({ name: 'api.test', id: 1 }), dnsPort, '127.0.0.1');
    const connection = dial();
    connection.write(framed(query({ name: 'api.test', id: 2 })));
    expect(await everything(connection)).toBe('');
    clock.advance(1000);
    expect(await ask({ name: 'api.test', id: 3 })).toMatchObject({ id: 3, rcode: RCODE.ok });
  });
});

describe('a skill that asks over a connection', () => {
  const framed = (bytes: Buffer) =>
    Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);

  it('is answered question by question, however they are cut', verifies('egress.names'), async () => {
    const { dial } = await asking();
    const socket = dial();
    const bytes = Buffer.concat([
      framed(query({ name: 'api.test', id: 1 })),
      framed(query({ name: 'evil.test', id: 2 })),
    ]);
    socket.write(bytes.subarray(0, 40));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect([first.readUInt16BE(2), (first[5] ?? 0) & 15]).toEqual([1, RCODE.ok]);
    socket.write(bytes.subarray(40));
    const [second] = (await once(socket, 'data')) as [Buffer];
    expect([second.readUInt16BE(2), (second[5] ?? 0) & 15]).toEqual([2, RCODE.unknown]);
  });

  it('is left when it says nothing, or nothing that is a question', verifies('egress.bounded'), async () => {
    const { dial, clock } = await asking();
    const silent = dial();
    const end = everything(silent);
    silent.write(Buffer.from([0]));
    // Answered behind it, so that both are accepted by then.
    const speaking = dial();
    speaking.write(framed(query({ name: 'api.test' })));
    await once(speaking, 'data');
    clock.advance(DNS_IDLE_MS);
    expect(await end).toBe('');
    const odd = dial();
    odd.write(framed(Buffer.from('no')));
    expect(await everything(odd)).toBe('');
  });

  it('has so many of them and no more', verifies('egress.bounded'), async () => {
    const { dial } = await asking();
    const sockets = Array.from({ length: MOST_DNS_CONNECTIONS }, dial);
    for (const socket of sockets) {
      socket.write(framed(query({ name: 'api.test' })));
      await once(socket, 'data');
    }
    expect(await everything(dial())).toBe('reset');
  });
});
