/**
 * The part of DNS that a sandbox's resolver needs (RFC 1035 §4): one question in, one answer out. What a query holds
 * beside its one question is taken for a fault; there is nothing that an honest resolver would say there.
 */

/** RFC 1035 §4.1.1. */
export const RCODE = { ok: 0, malformed: 1, failed: 2, unknown: 3, notImplemented: 4, refused: 5 } as const;
/** RFC 1035 §3.2.2, RFC 3596 §2.1. */
export const TYPE = { A: 1, AAAA: 28 } as const;

const IN = 1;
const OPT = 41;
const HEADER_BYTES = 12;
/** A question is at most 255 + 4 bytes; an OPT record beside it holds a few options. */
const LONGEST_QUERY = 1024;
/** RFC 1035 §2.3.4: a name with the lengths of its labels. */
const LONGEST_WIRE_NAME = 255;
const TTL_SECONDS = 60;

/** A question as it was asked. */
export interface Question {
  /** The labels with dots between, byte for byte as Latin-1. */
  name: string;
  type: number;
}

/** A query that was read. `answer` gives the response that belongs to it. */
type Query =
  | { kind: 'question'; question: Question; answer(rcode: number, address?: string): Buffer }
  /** Nothing to be answered to: an answer itself, or less than a header. */
  | { kind: 'nothing' }
  | { kind: 'fault'; answer: Buffer };

/** Reads a query. Never throws, whatever the bytes. */
export function readQuery(bytes: Buffer): Query {
  if (bytes.length < HEADER_BYTES) return { kind: 'nothing' };
  const flags = bytes.readUInt16BE(2);
  // An answer to an answer would be the start of a loop.
  if ((flags & 0x8000) !== 0) return { kind: 'nothing' };
  const fault = (rcode: number): Query => ({ kind: 'fault', answer: responseTo(bytes, { rcode }) });
  if ((flags & 0x7800) !== 0) return fault(RCODE.notImplemented);
  if (bytes.length > LONGEST_QUERY) return fault(RCODE.malformed);
  const [questions, answers, authorities, additional] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  if (questions !== 1 || answers !== 0 || authorities !== 0) return fault(RCODE.malformed);
  const read = readQuestion(bytes);
  if (read === undefined) return fault(RCODE.malformed);
  const { name, type, of, end } = read;
  if (!(additional === 0 ? end === bytes.length : additional === 1 && isOptAlone(bytes, end)))
    return fault(RCODE.malformed);
  if (of !== IN) return fault(RCODE.refused);
  return {
    kind: 'question',
    question: { name, type },
    answer: (rcode, address) =>
      responseTo(bytes, {
        rcode,
        question: bytes.subarray(HEADER_BYTES, end),
        ...(address === undefined ? {} : { record: addressRecord(type, address) }),
      }),
  };
}

/** RFC 1035 §4.1.2. A pointer has nothing before it in a question to point to, so that each is a fault. */
function readQuestion(bytes: Buffer): (Question & { of: number; end: number }) | undefined {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > 63) return undefined;
    at += 1;
    if (length === 0) break;
    if (at + length > bytes.length || at + length + 1 - HEADER_BYTES > LONGEST_WIRE_NAME) return undefined;
    labels.push(bytes.toString('latin1', at, at + length));
    at += length;
  }
  if (at + 4 > bytes.length) return undefined;
  return {
    name: labels.join('.'),
    type: bytes.readUInt16BE(at),
    of: bytes.readUInt16BE(at + 2),
    end: at + 4,
  };
}

/** RFC 6891 §6.1.2: what tells of a resolver's abilities, and the only thing that may follow a question. */
function isOptAlone(bytes: Buffer, at: number): boolean {
  if (bytes.length < at + 11 || bytes[at] !== 0 || bytes.readUInt16BE(at + 1) !== OPT) return false;
  return bytes.length === at + 11 + bytes.readUInt16BE(at + 9);
}

function responseTo(
  query: Buffer,
  { rcode, question, record }: { rcode: number; question?: Buffer; record?: Buffer },
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  // A response with recursion available; opcode and "recursion desired" are copied (RFC 1035 §4.1.1).
  header.writeUInt16BE(0x8080 | (query.readUInt16BE(2) & 0x7900) | rcode, 2);
  header.writeUInt16BE(question === undefined ? 0 : 1, 4);
  header.writeUInt16BE(record === undefined ? 0 : 1, 6);
  return Buffer.concat([
    header,
    ...(question === undefined ? [] : [question]),
    ...(record === undefined ? [] : [record]),
  ]);
}

/** For the name of the question; an IPv4 address as what was asked for, A or AAAA (RFC 4291 §2.5.5.2). */
function addressRecord(type: number, address: string): Buffer {
  const v4 = Buffer.from(address.split('.').map(Number));
  const data = type === TYPE.A ? v4 : Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), v4]);
  const fixed = Buffer.alloc(12);
  fixed.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  fixed.writeUInt16BE(type, 2);
  fixed.writeUInt16BE(IN, 4);
  fixed.writeUInt32BE(TTL_SECONDS, 6);
  fixed.writeUInt16BE(data.length, 10);
  return Buffer.concat([fixed, data]);
}
