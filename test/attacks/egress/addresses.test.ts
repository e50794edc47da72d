import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { Address } from '../../../hub/egress/lookups.ts';
import { verifies } from '../../support/verifies.ts';
import { border, carried, everything, here, listener } from '../../hub/egress/rig.ts';

const as = (address: string): Address => ({ address, family: address.includes(':') ? 6 : 4 });

/** What becomes of a connection to a granted name that leads to these addresses. */
async function reaching(addresses: readonly string[], doors: { host: string; port: number }[] = []) {
  const upstream = listener();
  const { session, dial, events } = await border({
    upstream: upstream.server,
    rules: (port) => [{ host: 'api.test', port, protocol: 'tcp' }],
    resolve: async () => addresses.map(as),
    doors: () => doors,
  });
  session.enter();
  const outcome = await everything(await dial('api.test'));
  return { outcome, events, connections: upstream.sockets.length };
}

/** Each range, in every form in which a resolver can put it. */
const INWARD = [
  ...['127.0.0.1', '127.64.0.1', '0.0.0.0', '10.0.0.1', '172.16.0.1', '192.168.0.1', '169.254.169.254'],
  ...['169.254.170.2', '100.64.0.1', '100.100.100.200', '168.63.129.16', '192.0.0.192', '198.18.0.1'],
  ...['192.0.2.1', '203.0.113.1', '192.88.99.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
  ...['::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:169.254.169.254'],
  ...['::ffff:a9fe:a9fe', '0:0:0:0:0:FFFF:0A00:0001', '::ffff:0:127.0.0.1', 'fe80::1', 'fec0::1'],
  ...['fc00::1', 'fd00:ec2::254', 'fd20:ce::254', 'ff02::1', '64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe'],
  ...['64:ff9b:1::a00:1', '2002:7f00:1::', '2002:a9fe:a9fe::1', '2001::1', '2001:0:a00:1::', '2001:db8::1'],
  ...['100::1', '3fff::1', '5f00::1', '::ffff:1.1.1.1'],
  ...['', 'localhost', '0x7f000001', '2130706433', '0177.0.0.1', '127.1'],
];

describe('a granted name that leads inward', () => {
  it.each(INWARD)('is not reached at %s', verifies('egress.addresses'), async (address) => {
    const { outcome, events, connections } = await reaching([address]);
    expect([outcome, connections]).toEqual(['reset', 0]);
    expect(events).toMatchObject([
      {
        kind: 'refused',
        host: 'api.test',
        address,
        reason: expect.stringMatching(/^(?:address-not-public|own-address)$/),
      },
    ]);
  });

  it.each([
    [['1.1.1.1', '10.0.0.1']],
    [['2606:4700::1', '::1']],
    [['1.1.1.1', '1.0.0.1', '::ffff:10.0.0.1']],
  ])(
    'is not reached where only one of its addresses does: %s',
    verifies('egress.addresses'),
    async (addresses) => {
      const { outcome, events } = await reaching(addresses);
      expect(outcome).toBe('reset');
      expect(events).toMatchObject([{ kind: 'refused', address: addresses.at(-1) }]);
    },
  );

  it('is not reached at any address of this machine', verifies('egress.addresses'), async () => {
    const own = Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).map(({ address }) => address),
    );
    for (const address of own) {
      const { outcome, events } = await reaching([address]);
      expect([outcome, events[0]]).toMatchObject(['reset', { reason: 'own-address', address }]);
    }
  });

  it('is not reached where the hub or its registry answers', verifies('egress.addresses'), async () => {
    const upstream = createServer();
    const doors: { host: string; port: number }[] = [];
    const looked: string[] = [];
    const { session, dial, refusals, port } = await border({
      upstream,
      rules: (p) => [
        { host: 'registry.test', port: p, protocol: 'tcp' },
        { host: 'alias.test', port: p, protocol: 'tcp' },
      ],
      async resolve(host) {
        looked.push(host);
        return [as('1.1.1.1')];
      },
      doors: () => doors,
    });
    doors.push({ host: 'registry.test', port }, { host: '1.1.1.1', port });
    session.enter();
    for (const name of ['registry.test', 'alias.test'])
      expect(await everything(await dial(name))).toBe('reset');
    expect(refusals()).toEqual(['own-door', 'own-door']);
    expect(looked).toEqual(['alias.test']);
  });

  it(
    'is not reached by its own address in place of its name',
    verifies('egress.addresses', 'egress.names'),
    async () => {
      const { session, dialAddress, refusals } = await border({
        // Also with a rule that says so: an address that stands for names is none to be granted.
        rules: (p) => [here('api.test', p), here('127.64.0.3', p)],
      });
      session.enter();
      // Of names that nobody has asked for yet, and of loopback.
      for (const address of ['127.64.0.1', '127.64.0.3', '::1'])
        expect(await everything(dialAddress(address))).toBe('reset');
      expect(refusals()).toEqual(['host-not-granted', 'host-not-granted', 'host-not-granted']);
    },
  );
});

describe('a name that leads elsewhere the next time', () => {
  it(
    'is looked up once, and nothing but what was checked is dialled',
    verifies('egress.addresses'),
    async () => {
      const { dial, upstream, outcomes, judged, asked } = await carried({
        lookup: (at) => (at === 1 ? ['127.0.0.1'] : ['10.0.0.1']),
      });
      dial().write('first');
      expect(await upstream.holds(5)).toBe('first');
      expect([asked(), judged, outcomes]).toEqual([1, ['127.0.0.1'], ['127.0.0.1']]);
      expect(await everything(dial())).toBe('reset');
      expect(outcomes).toEqual(['127.0.0.1', 'address-not-public']);
      expect(upstream.sockets).toHaveLength(1);
    },
  );

  it('is reached at whichever of the checked addresses answers', verifies('egress.addresses'), async () => {
    // Nobody listens on the first two.
    const { dial, upstream, outcomes, asked } = await carried({
      lookup: () => ['::1', '127.0.0.2', '127.0.0.1'],
    });
    dial().write('one');
    expect(await upstream.holds(3)).toBe('one');
    expect([asked(), outcomes]).toEqual([1, ['127.0.0.1']]);
  });
});
