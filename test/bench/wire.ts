import { once } from 'node:events';
import { connect } from 'node:net';

/** What came back for one request. */
export interface Answer {
  /** Names in lower case. */
  head: string;
  status: number;
  body: string;
}

/** One kept connection that carries one request at a time, as one client of a server would. */
export interface Wire {
  /** `headers` are whole lines, each ended by CRLF; the body has ASCII only. */
  post(headers: string, body: string): Promise<Answer>;
  close(): void;
}

/**
 * HTTP/1.1 by hand over one socket. A client library would take more processor time than the servers that are
 * measured, on the same two processors. A connection that the server closed while it was idle is made anew.
 */
export async function openWire(url: string): Promise<Wire> {
  const { pathname, search, host } = new URL(url);
  const start = `POST ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n`;
  let connection = await openConnection(url);
  let closed = false;
  return {
    async post(headers, body) {
      const request = `${start}${headers}content-length: ${body.length}\r\n\r\n${body}`;
      const answer = await connection.exchange(request);
      if (answer !== 'closed') return answer;
      if (closed) throw new Error(`the connection to ${url} was closed`);
      connection = await openConnection(url);
      const again = await connection.exchange(request);
      if (again === 'closed') throw new Error(`${url} hangs up`);
      return again;
    },
    close() {
      closed = true;
      connection.close();
    },
  };
}

interface Connection {
  /** Settles with `closed` when the server closed it before it said anything. */
  exchange(request: string): Promise<Answer | 'closed'>;
  close(): void;
}

async function openConnection(url: string): Promise<Connection> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  let received = '';
  let waiting: { resolve(answer: Answer | 'closed'): void; reject(error: Error): void } | undefined;
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    const answer = parse(received);
    if (answer === undefined) return;
    received = '';
    const { resolve } = waiting ?? {};
    waiting = undefined;
    resolve?.(answer);
  });
  // An error is followed by `close`.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (received === '') waiting?.resolve('closed');
    else waiting?.reject(new Error(`${url} hung up in the middle of an answer`));
    waiting = undefined;
  });
  return {
    exchange: (request) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed || socket.readyState !== 'open') return resolve('closed');
        waiting = { resolve, reject };
        socket.write(request, 'latin1');
      }),
    close: () => socket.destroy(),
  };
}

/** The answer once all of it is there. */
function parse(received: string): Answer | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const head = received.slice(0, end).toLowerCase();
  const status = Number(head.slice(9, 12));
  const length = /\ncontent-length: *(\d+)/.exec(head)?.[1];
  if (length !== undefined) {
    const body = received.slice(end + 4);
    return body.length < Number(length) ? undefined : { head, status, body };
  }
  if (!head.includes('\ntransfer-encoding: chunked')) return { head, status, body: '' };
  const body = dechunked(received, end + 4);
  return body === undefined ? undefined : { head, status, body };
}

function dechunked(received: string, from: number): string | undefined {
  // Most answers are still under way or end here; only those that ended are taken apart.
  if (!received.endsWith('0\r\n\r\n')) return undefined;
  let body = '';
  for (let at = from; ;) {
    const line = received.indexOf('\r\n', at);
    if (line === -1) return undefined;
    const size = Number.parseInt(received.slice(at, line), 16);
    if (size === 0) return body;
    body += received.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
    if (at > received.length) return undefined;
  }
}
