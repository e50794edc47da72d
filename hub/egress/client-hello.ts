/**
 * How a ClientHello is read, without a secret and without changing a byte (RFC 8446 §4.1.2 and §5.1, RFC 6066 §3). It is
 * stricter than servers are: what two readers could understand in two ways is refused.
 *
 * A hello with `encrypted_client_hello` is taken by its outer name, which is the one that is seen on the way. So it
 * passes only if that is the host's own name; a skill whose host also serves hidden names (or names in the `Host` of
 * requests, which TLS hides as well) can ask for those. Who that matters to grants no host that is shared with others.
 */

/** What stands at the start of a connection; `more`: not all of it is there yet. */
export type Hello =
  | { kind: 'more' }
  /** Why it is none. */
  | { kind: 'fault'; why: string }
  /** `name`: the server's, lower case; undefined where none is named. */
  | { kind: 'hello'; name: string | undefined };

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
/** Post-quantum keys, session tickets and padding included, real ones stay below 4 KiB. */
const LONGEST_HELLO = 16 * 1024;
/** What a record may hold (RFC 8446 §5.1). */
const LONGEST_RECORD = 16 * 1024;
/** Over how many records it may be spread. */
const MOST_RECORDS = 16;

/** Reads what a connection began with. Never throws, whatever the bytes. */
export function readClientHello(bytes: Buffer): Hello {
  const message = joinRecords(bytes);
  if (!Buffer.isBuffer(message)) return message;
  try {
    return { kind: 'hello', name: serverNameOf(bytesOf(message)) };
  } catch (error) {
    if (error instanceof Fault) return { kind: 'fault', why: error.message };
    throw error;
  }
}

/** The body of the first handshake message, out of one record or several. */
function joinRecords(bytes: Buffer): Buffer | Exclude<Hello, { kind: 'hello' }> {
  const fault = (why: string) => ({ kind: 'fault', why }) as const;
  const parts: Buffer[] = [];
  let held = 0;
  let at = 0;
  for (;;) {
    const head = bytes.subarray(at, at + 5);
    if (head.length > 0 && head[0] !== HANDSHAKE) return fault('it does not begin with a handshake');
    if (head.length > 1 && head[1] !== 3) return fault('its version is none of TLS');
    if (head.length < 5) return { kind: 'more' };
    if (parts.length === MOST_RECORDS) return fault('its ClientHello comes in too many pieces');
    const length = head.readUInt16BE(3);
    if (length === 0 || length > LONGEST_RECORD) return fault('a record is empty or too long');
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    held += part.length;
    at += 5 + length;
    const message = parts.length === 1 ? part : Buffer.concat(parts);
    if (message.length > 0 && message[0] !== CLIENT_HELLO)
      return fault('it does not begin with a ClientHello');
    const end = message.length < 4 ? undefined : 4 + message.readUIntBE(1, 3);
    if ((end ?? held) > LONGEST_HELLO) return fault('its ClientHello is too long');
    if (end !== undefined && held > end) return fault('something follows the ClientHello in its record');
    if (part.length < length) return { kind: 'more' };
    if (held === end) return message.subarray(4);
  }
}

class Fault extends Error {}

/** A reader that takes vectors off the front, and refuses what is not there. */
interface Bytes {
  left(): number;
  number(size: number): number;
  /** A vector with its length before it, in so many bytes (RFC 8446 §3.4). */
  vector(sizeOfLength: number): Bytes;
  text(): string;
  skip(size: number): void;
}

function bytesOf(buffer: Buffer): Bytes {
  let at = 0;
  function take(size: number): Buffer {
    if (at + size > buffer.length) throw new Fault('its ClientHello is cut short');
    at += size;
    return buffer.subarray(at - size, at);
  }
  const number = (size: number) => take(size).readUIntBE(0, size);
  return {
    left: () => buffer.length - at,
    number,
    vector: (sizeOfLength) => bytesOf(take(number(sizeOfLength))),
    text: () => take(buffer.length - at).toString('latin1'),
    skip: (size) => void take(size),
  };
}

function serverNameOf(hello: Bytes): string | undefined {
  const version = 2;
  const random = 32;
  hello.skip(version + random);
  if (hello.vector(1).left() > 32) throw new Fault('its session id is too long');
  hello.vector(2);
  hello.vector(1);
  // Before TLS 1.2 a hello could end here.
  if (hello.left() === 0) return undefined;
  const extensions = hello.vector(2);
  if (hello.left() > 0) throw new Fault('something follows its extensions');
  const seen = new Set<number>();
  let name: string | undefined;
  while (extensions.left() > 0) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (seen.has(type)) throw new Fault('an extension is there twice');
    seen.add(type);
    if (type === SERVER_NAME) name = nameIn(data);
  }
  return name;
}

/** RFC 6066 §3: a list that in practice has one entry, of the one type that there is. */
function nameIn(data: Bytes): string {
  const list = data.vector(2);
  const type = list.number(1);
  const name = list.vector(2).text().toLowerCase();
  if (type !== 0 || list.left() > 0 || data.left() > 0) throw new Fault('its server name is not one name');
  return name;
}
