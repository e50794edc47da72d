import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';

/** The first bytes that Node's own TLS sends, for a name or for none. */
export async function realHello(
  servername: string | undefined,
  more: ConnectionOptions = {},
): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({
    port,
    host: '127.0.0.1',
    ...(servername === undefined ? {} : { servername }),
    ...more,
  });
  client.on('error', () => undefined);
  const [socket] = await once(server, 'connection');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** A record of the handshake. */
export function record(part: Buffer): Buffer {
  const head = Buffer.from([22, 3, 1, 0, 0]);
  head.writeUInt16BE(part.length, 3);
  return Buffer.concat([head, part]);
}

const vector = (size: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(size);
  length.writeUIntBE(body.length, 0, size);
  return Buffer.concat([length, body]);
};

/** An extension of a hello, by its number. */
export function extension(type: number, data: Buffer): Buffer {
  const number = Buffer.alloc(2);
  number.writeUInt16BE(type);
  return Buffer.concat([number, vector(2, data)]);
}

/** `server_name` with these names, each of type host_name unless said otherwise. */
export function serverNames(...names: string[]): Buffer {
  const entries = names.map((name) =>
    Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name, 'latin1'))]),
  );
  return extension(0, vector(2, ...entries));
}

/** A handshake message that is a ClientHello with these extensions. */
export function helloWith(...extensions: Buffer[]): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(32, 8)),
    vector(2, Buffer.from([0x13, 0x01])),
    vector(1, Buffer.from([0])),
    vector(2, ...extensions),
  ]);
  return Buffer.concat([Buffer.from([1]), vector(3, body)]);
}
