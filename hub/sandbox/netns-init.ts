import type dgram from 'node:dgram';
import type net from 'node:net';

/** What the program is given of its own process and of Node. */
interface World {
  net: typeof net;
  dgram: typeof dgram;
  process: NodeJS.Process;
}

/** What it says through the channel, with a handle where there is one to hand over. */
type InitMessage =
  | { kind: 'server'; port: number }
  | { kind: 'dns-tcp' }
  | { kind: 'dns-udp' }
  | { kind: 'ready' }
  | { kind: 'failed'; message: string };

/**
 * The first process of a new network namespace: binds the ports, hands the listening sockets to the hub and waits to
 * be told, or to be left alone, and ends. It runs as text in a Node of its own, so it sees nothing of this file.
 * `::` is dual-stack; where the kernel has no IPv6, `0.0.0.0` stands in for it.
 */
function init({ net, dgram, process }: World, ports: readonly number[]): void {
  const send = (message: InitMessage, handle?: net.Server | dgram.Socket) =>
    new Promise<void>((resolve, reject) => {
      process.send?.(message, handle, undefined, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  const withoutIpv6 = (error: NodeJS.ErrnoException) =>
    error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL' || error.code === 'EINVAL';
  const listen = (port: number, host: string) =>
    new Promise<net.Server>((resolve, reject) => {
      const server = net.createServer();
      server.once('error', reject);
      server.listen({ port, host, exclusive: true }, () => resolve(server));
    });
  const bind = (type: 'udp4' | 'udp6', host: string) =>
    new Promise<dgram.Socket>((resolve, reject) => {
      const socket = dgram.createSocket({ type });
      socket.once('error', reject);
      socket.bind({ port: 53, address: host, exclusive: true }, () => resolve(socket));
    });
  const either = <T>(first: Promise<T>, second: () => Promise<T>) =>
    first.catch((error: NodeJS.ErrnoException) => {
      if (withoutIpv6(error)) return second();
      throw error;
    });
  const work = async (): Promise<void> => {
    for (const port of ports) {
      const server = await either(listen(port, '::'), () => listen(port, '0.0.0.0'));
      await send({ kind: 'server', port }, server);
    }
    const tcp = await either(listen(53, '::'), () => listen(53, '0.0.0.0'));
    await send({ kind: 'dns-tcp' }, tcp);
    const udp = await either(bind('udp6', '::'), () => bind('udp4', '0.0.0.0'));
    await send({ kind: 'dns-udp' }, udp);
    await send({ kind: 'ready' });
  };
  process.once('message', () => process.exit(0));
  process.once('disconnect', () => process.exit(0));
  work().catch((error: Error) =>
    send({ kind: 'failed', message: error.message }).then(() => process.exit(1)),
  );
}

/** The program as Node takes it after `--eval`, for these ports. */
export function initProgram(ports: readonly number[]): string {
  const world = "{ net: require('node:net'), dgram: require('node:dgram'), process }";
  return `(${init.toString()})(${world}, ${JSON.stringify(ports)});`;
}
