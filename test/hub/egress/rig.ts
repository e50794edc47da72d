import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../../hub/clock.ts';
import type { EgressEvent, EgressRule } from '../../../hub/egress/egress.ts';
import { bucketOf, type Rate } from '../../../hub/egress/bucket.ts';
import { carry } from '../../../hub/egress/connection.ts';
import { BYTES } from '../../../hub/egress/limits.ts';
import type { Resolve } from '../../../hub/egress/lookups.ts';
import { createEgress } from '../../../hub/egress/session.ts';

/** How many names of a session a rig listens for; the addresses that they get are known. */
const NAMES = 4;

interface Wishes {
  /** For the port that the server in the world outside has. */
  rules(port: number): EgressRule[];
  /** The server in the world outside, on 127.0.0.1. */
  /** Left out: one that breaks off whatever reaches it. */
  upstream?: Server;
  /** Where one listens that is no server of this process. */
  upstreamPort?: number;
  clock?: Clock;
  resolve?: Resolve;
  doors?: () => { host: string; port: number }[];
  background?: boolean;
  /** As for a learn run. */
  answered?: (name: string, address: string) => void;
}

/** A rule for a host that an admin placed on this machine, where tests have their world outside. */
export function here(host: string, port: number, protocol: EgressRule['protocol'] = 'tcp'): EgressRule {
  return { host, port, protocol, address: '127.0.0.1' };
}

/** A session of which this process is both sides: it listens at the addresses that names get, and connects to them. */
export async function border({ rules, clock = systemClock, ...wishes }: Wishes) {
  const upstream = wishes.upstream ?? createServer((socket) => socket.resetAndDestroy());
  const port = wishes.upstreamPort ?? (await placed(upstream));
  const events: EgressEvent[] = [];
  let told = (): void => undefined;
  const egress = createEgress({
    clock,
    resolve: wishes.resolve ?? (async () => []),
    doors: wishes.doors ?? (() => []),
    ...(wishes.answered === undefined ? {} : { answered: wishes.answered }),
    events(event) {
      events.push(event);
      told();
    },
  });
  const session = egress.open({
    skill: 'org.example/skill',
    user: 'owner',
    background: wishes.background ?? false,
    rules: rules(port),
  });
  const addresses = ['::1', ...Array.from({ length: NAMES }, (_, at) => `127.64.0.${at + 1}`)];
  const servers = addresses.map(() => createServer());
  const [udp, tcp] = [createSocket('udp4'), createServer()];
  onTestFinished(() => {
    session.close();
    upstream.close();
  });
  await Promise.all(servers.map((server, at) => listening(server, addresses[at] ?? '', port)));
  const dnsPort = await placed(tcp);
  await once(udp.bind(dnsPort, '127.0.0.1'), 'listening');
  session.attach({ servers, dns: { udp, tcp } });
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${dnsPort}`]);

  return {
    session,
    events,
    port,
    dnsPort,
    resolver,
    /** Settles with the first event, past or to come, that fits. */
    event: (fits: (event: EgressEvent) => boolean) =>
      new Promise<EgressEvent>((resolve) => {
        const look = (): void => {
          const found = events.find(fits);
          if (found !== undefined) resolve(found);
        };
        told = look;
        look();
      }),
    refusals: () => events.flatMap((event) => (event.kind === 'refused' ? [event.reason] : [])),
    /** Connects as a skill does: by name. */
    async dial(name: string): Promise<Socket> {
      const [address = ''] = await resolver.resolve4(name);
      return socketTo(address, port);
    },
    dialAddress: (address: string) => socketTo(address, port),
  };
}

/** An end of a connection whose errors are waited for where they matter. */
function socketTo(host: string, port: number): Socket {
  const socket = connect({ host, port, allowHalfOpen: true });
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

/**
 * Listens on 127.0.0.1, at a port that is free for other addresses of loopback, too: below those that the system gives to
 * connections.
 */
export async function placed(server: Server): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    try {
      return await listening(server, '127.0.0.1', port);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

async function listening(server: Server, host: string, port: number): Promise<number> {
  await once(server.listen(port, host), 'listening');
  return (server.address() as AddressInfo).port;
}

/** Everything that comes until the other side has said all, or `reset`. */
export async function everything(socket: Socket): Promise<string> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => void parts.push(part));
  const text = () => Buffer.concat(parts).toString('latin1');
  return new Promise((resolve) => {
    socket.once('end', () => resolve(text()));
    socket.once('close', (hadError) => resolve(hadError ? 'reset' : text()));
  });
}

/** A server that keeps what it is sent, and answers with nothing of its own. */
export function listener() {
  const seen: Buffer[] = [];
  const sockets: Socket[] = [];
  let heard = (): void => undefined;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      seen.push(bytes);
      heard();
    });
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const text = () => Buffer.concat(seen).toString('latin1');
  return {
    server,
    sockets,
    text,
    /** Settles once so many characters have come. */
    holds: (length: number) =>
      new Promise<string>((resolve) => {
        heard = () => (text().length >= length ? resolve(text()) : undefined);
        heard();
      }),
  };
}

/** Connections that are carried one by one to where a resolver says, in an internet where loopback is public. */
export async function carried({
  lookup,
  clock = systemClock,
  bytes = BYTES,
  isOpen = () => true,
}: {
  /** The addresses of the name, by how often they were asked for. */
  lookup(asked: number): readonly string[];
  clock?: Clock;
  bytes?: Rate;
  isOpen?: () => boolean;
}) {
  const upstream = listener();
  const port = await listening(upstream.server, '127.0.0.1', 0);
  let asked = 0;
  /** Addresses, and reasons where there were none. */
  const outcomes: string[] = [];
  const judged: string[] = [];
  const bucket = bucketOf(clock, bytes);
  const door = createServer({ allowHalfOpen: true }, (inside) => {
    inside.on('error', () => undefined);
    const rules = [{ host: 'api.test', port, protocol: 'tcp' as const }];
    carry(
      { inside, host: 'api.test', port, rules },
      {
        clock,
        lookup: async () =>
          lookup((asked += 1)).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        own: { addresses: () => [], doors: () => [] },
        faultOf({ address }) {
          judged.push(address);
          return address.startsWith('10.') ? 'address-not-public' : undefined;
        },
        bytes: bucket,
        isOpen,
      },
      { reached: (address) => outcomes.push(address), refused: (reason) => outcomes.push(reason) },
    );
  });
  const doorPort = await listening(door, '127.0.0.1', 0);
  onTestFinished(() => void door.close());
  return { dial: () => socketTo('127.0.0.1', doorPort), upstream, outcomes, judged, asked: () => asked };
}
