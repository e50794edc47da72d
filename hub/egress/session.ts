import type { Server, Socket } from 'node:net';
import type { RefusalReason } from '../../protocol/audit.ts';
import type { Clock } from '../clock.ts';
import { AppError } from '../../protocol/errors.ts';
import { addressFault, machineAddresses, type OwnPlaces, plainAddress } from './addresses.ts';
import { bucketOf } from './bucket.ts';
import { type Border, carry, type Connection } from './connection.ts';
import { RCODE } from './dns.ts';
import { type Answer, serveDns } from './dns-door.ts';
import type { Egress, EgressEvent, EgressOrder, EgressSession } from './egress.ts';
import { fakeAddresses, isFakeAddress } from './fake-addresses.ts';
import { BYTES, MOST_CONNECTIONS, NEW_CONNECTIONS, QUERIES, REFUSED_FOR_NUMBER } from './limits.ts';
import { type Lookup, lookups, type Resolve } from './lookups.ts';
import { isNamed, readName, rulesFor, wildcardOf } from './names.ts';
import { telling } from './telling.ts';

/** What sandboxes are led out by. */
export interface EgressParts {
  clock: Clock;
  /** Where names lead to: `systemResolve`, except where a test has an internet of its own. */
  resolve: Resolve;
  /** Where the hub and its registry answer, as of now: as names or addresses. */
  doors: OwnPlaces['doors'];
  events: (event: EgressEvent) => void;
  /**
   * For learn runs alone, never for a hub: every name has an address, and this hears which. So it shows at which port a host
   * is wanted that nobody granted; reached is none of those.
   */
  answered?: (name: string, address: string) => void;
}

/** DNS is served there; nothing else can be. */
const DNS_PORT = 53;

/**
 * The way out of all sandboxes of a hub.
 * @throws AppError `sandbox-cannot-enforce` from `open` for a rule with port 53.
 */
export function createEgress({ clock, resolve, doors, events, answered }: EgressParts): Egress {
  const newLookup = lookups({ resolve, clock });
  const own: OwnPlaces = { addresses: machineAddresses, doors };
  return {
    open(order) {
      const reserved = order.rules.find(({ port }) => port === DNS_PORT);
      if (reserved !== undefined)
        throw new AppError('sandbox-cannot-enforce', {
          detail: `${order.skill} wants port 53 of ${reserved.host}, where a sandbox finds the names of its own hosts.`,
          hint: 'Look names up as every program does, without a server of your own.',
        });
      return openSession(order, { clock, own, lookup: newLookup(), events, answered });
    },
  };
}

interface SessionParts {
  clock: Clock;
  own: OwnPlaces;
  lookup: Lookup;
  events: EgressParts['events'];
  answered: EgressParts['answered'];
}

function openSession(
  order: EgressOrder,
  { clock, own, lookup, events, answered }: SessionParts,
): EgressSession {
  const { rules } = order;
  const addresses = fakeAddresses();
  const told = telling(order, { clock, events });
  const connections = new Set<Connection>();
  const starts = bucketOf(clock, NEW_CONNECTIONS);
  const queries = bucketOf(clock, QUERIES);
  const patience = bucketOf(clock, REFUSED_FOR_NUMBER);
  let stopListening: (() => void)[] = [];
  let calls = 0;
  let isOver = false;
  const isOpen = () => !isOver && (calls > 0 || order.background);
  const bytes = bucketOf(clock, BYTES);
  const border: Border = { clock, lookup, own, faultOf: addressFault, bytes, isOpen };

  function answer(asked: string): Answer {
    const name = readName(asked);
    const isGranted = name !== undefined && isNamed(rules, name);
    if (!isGranted) told.tell({ kind: 'refused', host: asked, reason: 'host-not-granted' });
    if (name === undefined || !(isGranted || answered !== undefined)) return { rcode: RCODE.unknown };
    const address = addresses.of(name, wildcardOf(rules, name));
    if (address !== undefined) {
      answered?.(name, address);
      return { rcode: RCODE.ok, address };
    }
    told.tell({ kind: 'refused', host: name, reason: 'too-many-names' });
    return { rcode: RCODE.failed };
  }

  function accept(inside: Socket): void {
    inside.on('error', () => undefined);
    const address = plainAddress(inside.localAddress ?? '');
    const port = inside.localPort;
    // Gone before it was seen.
    if (address === undefined || port === undefined) return void inside.destroy();
    const host = addresses.nameOf(address) ?? address;
    const reason = refusalOf(host, port);
    if (reason !== undefined) {
      inside.resetAndDestroy();
      told.tell({ kind: 'refused', host, port, reason });
      if (reason === 'too-many-connections') bear();
      return;
    }
    const connection = carry({ inside, host, port, rules: rulesFor(rules, host, port) }, border, {
      reached: (to) => told.tell({ kind: 'reached', host, port, address: to }),
      refused: (why, more) => told.tell({ kind: 'refused', host, port, reason: why, ...more }),
    });
    connections.add(connection);
    inside.once('close', () => connections.delete(connection));
  }

  function refusalOf(host: string, port: number): RefusalReason | undefined {
    if (!starts.take() || connections.size >= MOST_CONNECTIONS) return 'too-many-connections';
    if (!isOpen()) return 'between-calls';
    // An address of ours that stands for no name was guessed.
    if (isFakeAddress(host) || !isNamed(rules, host)) return 'host-not-granted';
    return rulesFor(rules, host, port).length === 0 ? 'port-not-granted' : undefined;
  }

  /** One more that is refused for its number; with too many of those the sandbox loses its network. */
  function bear(): void {
    if (isOver || patience.take()) return;
    told.tell({ kind: 'refused', host: '*', reason: 'flood' });
    end();
  }

  function listen(server: Server): void {
    // Also one that was made elsewhere and handed over: it must not end both ways when its peer ends one.
    Object.assign(server, { allowHalfOpen: true });
    server.on('connection', accept);
    server.on('error', () => undefined);
    stopListening.push(() => server.close());
  }

  function end(): void {
    isOver = true;
    for (const stop of stopListening) stop();
    stopListening = [];
    for (const connection of connections) connection.cut();
  }

  return {
    ports: [...new Set(rules.map(({ port }) => port))].toSorted((a, b) => a - b),
    attach({ servers, dns }) {
      for (const server of servers) listen(server);
      const admit = (): boolean => {
        if (queries.take()) return true;
        bear();
        return false;
      };
      stopListening.push(serveDns(dns, { clock, admit, answer }));
      if (isOver) end();
    },
    enter() {
      let isInside = true;
      calls += 1;
      turn();
      return () => {
        if (!isInside) return;
        isInside = false;
        calls -= 1;
        turn();
      };
    },
    close() {
      end();
      told.close();
    },
  };

  function turn(): void {
    for (const connection of connections) connection.setOpen(isOpen());
  }
}
