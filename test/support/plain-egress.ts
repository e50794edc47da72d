import net from 'node:net';
import type { Egress, EgressEvent, EgressOrder, EgressRule, EgressSession } from '../../hub/egress/egress.ts';

/**
 * A small egress for tests of what stands below it: answers names, checks host and port, and dials the address that
 * the rule names. It looks into nothing that goes through, and refuses a rule without an address.
 */
export function plainEgress(
  events: (event: EgressEvent) => void = () => undefined,
): Egress & { open(order: EgressOrder): EgressSession; orders: EgressOrder[]; live(): number } {
  const orders: EgressOrder[] = [];
  let live = 0;
  return {
    orders,
    live: () => live,
    open(order) {
      orders.push(order);
      live += 1;
      return openSession(order, events, () => (live -= 1));
    },
  };
}

function openSession(
  { skill, user, rules, background }: EgressOrder,
  events: (event: EgressEvent) => void,
  gone: () => void,
): EgressSession {
  const names: string[] = [];
  const sockets = new Set<net.Socket>();
  let inside = 0;
  let closed = false;
  const isOpen = () => !closed && (background || inside > 0);
  const ruleFor = (host: string, port?: number) =>
    rules.find((rule) => rule.host === host && (port === undefined || rule.port === port));
  const refused = (host: string, reason: string, port?: number) =>
    events({ kind: 'refused', skill, user, host, reason, ...(port === undefined ? {} : { port }) });

  function resolve(name: string): string | undefined {
    if (ruleFor(name) === undefined) {
      refused(name, 'host-not-granted');
      return undefined;
    }
    if (!names.includes(name)) names.push(name);
    return `127.64.0.${names.indexOf(name) + 1}`;
  }

  function connected(socket: net.Socket): void {
    socket.on('error', () => undefined);
    const address = socket.localAddress?.replace(/^::ffff:/, '') ?? '';
    const port = socket.localPort ?? 0;
    const host = names[Number(address.split('.')[3]) - 1] ?? address;
    const rule = address.startsWith('127.64.') ? ruleFor(host, port) : undefined;
    if (!isOpen() || rule?.address === undefined) {
      refused(
        host,
        rule === undefined ? 'host-not-granted' : isOpen() ? 'address-not-public' : 'between-calls',
        port,
      );
      socket.resetAndDestroy();
      return;
    }
    dial(socket, rule, host);
  }

  function dial(socket: net.Socket, rule: EgressRule, host: string): void {
    const far = net.connect({ host: rule.address, port: rule.port });
    for (const one of [socket, far]) {
      sockets.add(one);
      one.once('close', () => sockets.delete(one));
    }
    far.once('connect', () =>
      events({ kind: 'reached', skill, user, host, port: rule.port, address: rule.address ?? '' }),
    );
    far.on('error', () => socket.resetAndDestroy());
    socket.pipe(far).pipe(socket);
    socket.once('close', () => far.destroy());
    far.once('close', () => socket.destroy());
  }

  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    ports: [...new Set(rules.map(({ port }) => port))],
    attach({ servers, dns }) {
      for (const server of servers) server.on('connection', connected);
      dns.udp.on('message', (query, from) => {
        const answer = answerTo(query, resolve);
        if (answer !== undefined) dns.udp.send(answer, from.port, from.address);
      });
      dns.tcp.on('connection', (socket) => socket.on('error', () => undefined).destroy());
    },
    enter() {
      inside += 1;
      let over = false;
      return () => {
        if (over) return;
        over = true;
        inside -= 1;
      };
    },
    close() {
      if (closed) return;
      closed = true;
      cut();
      gone();
    },
  };
}

/** A question of one name, answered with an address, nothing of that kind, or NXDOMAIN (RFC 1035 §4). */
function answerTo(query: Buffer, resolve: (name: string) => string | undefined): Buffer | undefined {
  if (query.length < 17) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  const type = query.readUInt16BE(at + 1);
  const address = resolve(labels.join('.').toLowerCase());
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(address === undefined ? 0x8183 : 0x8180, 2);
  head.writeUInt16BE(1, 4);
  const question = query.subarray(12, at + 5);
  if (address === undefined || type !== 1) return Buffer.concat([head, question]);
  head.writeUInt16BE(1, 6);
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)];
  return Buffer.concat([head, question, Buffer.from(record)]);
}
