import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { RCODE, readQuery, TYPE, type Question } from './dns.ts';
import type { SandboxListeners } from './egress.ts';
import { DNS_IDLE_MS, MOST_DNS_CONNECTIONS } from './limits.ts';

/** What a name is to a sandbox. */
export type Answer = { rcode: number; address?: string };

/** The answers of a session. */
interface Answering {
  clock: Clock;
  /** False: this one is too many. */
  admit(): boolean;
  answer(name: string): Answer;
}

/** Answers questions for names until it is closed. Nothing that is asked goes any further. */
export function serveDns(
  { udp, tcp }: SandboxListeners['dns'],
  { clock, admit, answer }: Answering,
): () => void {
  const connections = new Set<Socket>();
  const responseTo = (bytes: Buffer): Buffer | undefined => {
    if (!admit()) return undefined;
    const query = readQuery(bytes);
    if (query.kind === 'nothing') return undefined;
    if (query.kind === 'fault') return query.answer;
    const { rcode, address } = typed(query.question, answer(query.question.name));
    return query.answer(rcode, address);
  };

  udp.on('message', (bytes, { port, address }) => {
    const response = responseTo(bytes);
    // Whoever asked may be gone.
    if (response !== undefined) udp.send(response, port, address, () => undefined);
  });
  udp.on('error', () => undefined);
  tcp.on('error', () => undefined);
  tcp.on('connection', (socket) => {
    socket.on('error', () => undefined);
    if (connections.size >= MOST_DNS_CONNECTIONS) {
      admit();
      socket.resetAndDestroy();
      return;
    }
    connections.add(socket);
    const stop = serveConnection(socket, { clock, responseTo });
    socket.once('close', () => {
      stop();
      connections.delete(socket);
    });
  });

  let isUdpOpen = true;
  udp.once('close', () => (isUdpOpen = false));
  return () => {
    if (isUdpOpen) udp.close();
    tcp.close();
    for (const socket of connections) socket.destroy();
  };
}

/** Of other types than addresses a name has nothing: no key for a hello that hides its name, no text to tunnel through. */
function typed({ type }: Question, { rcode, address }: Answer): Answer {
  if (address === undefined || type === TYPE.A || type === TYPE.AAAA)
    return address === undefined ? { rcode } : { rcode, address };
  return { rcode: RCODE.ok };
}

/** RFC 1035 §4.2.2: each message behind its length. */
function serveConnection(
  socket: Socket,
  { clock, responseTo }: { clock: Clock; responseTo(bytes: Buffer): Buffer | undefined },
): () => void {
  let held: Buffer = Buffer.alloc(0);
  const wait = () => clock.after(DNS_IDLE_MS, () => socket.destroy());
  let stopWaiting = wait();
  socket.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const end = 2 + held.readUInt16BE(0);
      const response = responseTo(held.subarray(2, end));
      held = held.subarray(end);
      // One that asks without reading its answers is not worth the memory.
      if (response === undefined || socket.writableNeedDrain) {
        socket.destroy();
        return;
      }
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.write(Buffer.concat([length, response]));
      stopWaiting();
      stopWaiting = wait();
    }
  });
  return () => stopWaiting();
}
