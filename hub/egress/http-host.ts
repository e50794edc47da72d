import { type Framing, readFields, readHead } from './http-head.ts';

/**
 * Keeps a connection of plain HTTP to one host. A connection carries many requests, and the second may name another host
 * than the first. To let only one through would break the pools of every client, and to change a header would be a
 * proxy's work; so each head is read, and each body followed to its end, by rules so strict that a server cannot see the
 * end of a request where this does not. Heads go on once they are whole and found good; bodies go on as they come.
 *
 * A connection is let go of (for WebSocket) only when the server itself has answered the first request with 101.
 * Until then what the client sends waits. Any other protocol that a server might change to begins with bytes that are
 * no head, HTTP/2 too (RFC 9113 §3.4), and ends there.
 */
export interface RequestGate {
  /** Takes what the client sent next. */
  take(bytes: Buffer): Passed;
  /** Sees what the server answers; what had to wait for that may pass now. */
  answer(bytes: Buffer): Passed;
  /** Whether nothing passes before the server has answered. */
  waits(): boolean;
}

/** What may go on, and whether the connection has to end behind it. */
export interface Passed {
  pass?: Buffer;
  fault?: { reason: 'not-http' | 'no-name' | 'other-name'; named?: string };
}

/** A little above what servers take. */
const LONGEST_HEAD = 32 * 1024;
const LONGEST_CHUNK_LINE = 16;
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const END_OF_LINE = Buffer.from('\r\n');

type State =
  | { at: 'head' | 'answer' | 'chunk' | 'trailers' | 'free' }
  | { at: 'body'; left: number }
  /** With the line end behind it. */
  | { at: 'chunk-data'; left: number };

/** What is done with the bytes at hand: how many of them pass, and where that leads; undefined: more of them first. */
type Step = { bytes: number; next: State } | NonNullable<Passed['fault']> | undefined;

const NOT_HTTP = { reason: 'not-http' } as const;

export function requestGate(host: string, port: number): RequestGate {
  let state: State = { at: 'head' };
  let held: Buffer = Buffer.alloc(0);
  let fault: Passed['fault'];
  let isFirst = true;
  let answered = Buffer.alloc(0);

  function step(rest: Buffer): Step {
    switch (state.at) {
      case 'free':
        return { bytes: rest.length, next: state };
      case 'answer':
        return undefined;
      case 'head':
        return headStep(rest);
      case 'body': {
        const bytes = Math.min(rest.length, state.left);
        return { bytes, next: bodyOf({ kind: 'length', bytes: state.left - bytes }) };
      }
      case 'chunk':
        return chunkStep(rest);
      case 'chunk-data':
        return chunkDataStep(rest, state.left);
      case 'trailers':
        return trailersStep(rest);
    }
  }

  function headStep(held: Buffer): Step {
    const end = held.indexOf(END_OF_HEAD);
    if (end > LONGEST_HEAD || (end === -1 && held.length > LONGEST_HEAD)) return NOT_HTTP;
    // What cannot become a request any more need not wait for its end, as another protocol might never send one.
    if (end === -1) return isStartOfHead(held) ? undefined : NOT_HTTP;
    const head = readHead(held.toString('latin1', 0, end), host, port);
    if (!head.ok) return head;
    const empty = head.framing.kind === 'length' && head.framing.bytes === 0;
    const waits = head.websocket && isFirst && empty;
    isFirst = false;
    return { bytes: end + END_OF_HEAD.length, next: waits ? { at: 'answer' } : bodyOf(head.framing) };
  }

  function run(): Passed {
    let good = 0;
    while (good < held.length && fault === undefined) {
      const next = step(held.subarray(good));
      if (next === undefined) break;
      if ('reason' in next) {
        fault = { reason: next.reason, ...(next.named === undefined ? {} : { named: next.named }) };
        break;
      }
      good += next.bytes;
      state = next.next;
    }
    const pass = good === 0 ? undefined : held.subarray(0, good);
    held = held.subarray(good);
    return { ...(pass === undefined ? {} : { pass }), ...(fault === undefined ? {} : { fault }) };
  }

  return {
    waits: () => state.at === 'answer',
    take(bytes) {
      held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      return run();
    },
    answer(bytes) {
      if (state.at !== 'answer') return {};
      answered = Buffer.concat([answered, bytes]);
      const status = finalStatus(answered);
      if (status === undefined) return {};
      answered = Buffer.alloc(0);
      state = { at: status === 101 ? 'free' : 'head' };
      return run();
    },
  };
}

function bodyOf(framing: Framing): State {
  if (framing.kind === 'chunked') return { at: 'chunk' };
  return framing.bytes === 0 ? { at: 'head' } : { at: 'body', left: framing.bytes };
}

/** RFC 9112 §7.1; no extensions, which nobody sends and readers end in different places. */
function chunkStep(held: Buffer): Step {
  const end = held.indexOf(END_OF_LINE);
  if (end === -1) return held.length > LONGEST_CHUNK_LINE ? NOT_HTTP : undefined;
  const line = held.toString('latin1', 0, end);
  if (!/^[0-9a-fA-F]{1,12}$/.test(line)) return NOT_HTTP;
  const size = Number.parseInt(line, 16);
  return {
    bytes: end + END_OF_LINE.length,
    next: size === 0 ? { at: 'trailers' } : { at: 'chunk-data', left: size + END_OF_LINE.length },
  };
}

function chunkDataStep(held: Buffer, left: number): Step {
  const data = Math.min(held.length, left - END_OF_LINE.length);
  if (data > 0) return { bytes: data, next: { at: 'chunk-data', left: left - data } };
  if (held.length < END_OF_LINE.length) return undefined;
  return held.indexOf(END_OF_LINE) === 0 ? { bytes: END_OF_LINE.length, next: { at: 'chunk' } } : NOT_HTTP;
}

/** RFC 9112 §7.1.2; up to the empty line that ends the body. */
function trailersStep(held: Buffer): Step {
  if (held.indexOf(END_OF_LINE) === 0) return { bytes: END_OF_LINE.length, next: { at: 'head' } };
  const end = held.indexOf(END_OF_HEAD);
  if (end === -1) return held.length > LONGEST_HEAD ? NOT_HTTP : undefined;
  if (end > LONGEST_HEAD || readFields(held.toString('latin1', 0, end).split('\r\n')) === undefined)
    return NOT_HTTP;
  return { bytes: end + END_OF_HEAD.length, next: { at: 'head' } };
}

/** The method, as far as it is there. */
function isStartOfHead(held: Buffer): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: |$)/.test(held.toString('latin1', 0, 40));
}

/**
 * The status of the first answer, past those of 100 to 199 that announce another (RFC 9110 §15.2); undefined while it is
 * not there. What is no answer of HTTP counts as one that changes nothing.
 */
function finalStatus(answered: Buffer): number | undefined {
  let rest = answered;
  for (;;) {
    const line = rest.toString('latin1', 0, 12);
    const status = Number(/^HTTP\/1\.[01] ([1-5]\d\d)$/.exec(line)?.[1] ?? Number.NaN);
    if (line.length < 12) return undefined;
    if (Number.isNaN(status) || rest.length > 2 * LONGEST_HEAD) return 0;
    if (status === 101 || status >= 200) return status;
    const end = rest.indexOf(END_OF_HEAD);
    if (end === -1) return undefined;
    rest = rest.subarray(end + END_OF_HEAD.length);
  }
}
