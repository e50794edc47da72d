/** A query by its parts, right or wrong; left out: one question for an IPv4 address (RFC 1035 §4.1). */
export interface QueryParts {
  id?: number;
  flags?: number;
  /** Questions, answers, authorities, additional records; as they are, unless said otherwise. */
  counts?: readonly [number, number, number, number];
  name?: string;
  /** In place of the name, as it lies on the wire. */
  wire?: Buffer;
  type?: number;
  /** The class. */
  of?: number;
  /** With an OPT record (RFC 6891). */
  opt?: boolean;
  tail?: Buffer;
  /** Only so many bytes of it. */
  cut?: number;
}

/** The bytes of a query. */
export function query(parts: QueryParts): Buffer {
  const { id = 7, flags = 0x0100, name = '', type = 1, of = 1, opt = false, tail = Buffer.alloc(0) } = parts;
  const counts = parts.counts ?? [1, 0, 0, opt ? 1 : 0];
  const fixed = Buffer.alloc(12);
  [id, flags, ...counts].forEach((value, at) => fixed.writeUInt16BE(value, 2 * at));
  const end = Buffer.alloc(4);
  end.writeUInt16BE(type, 0);
  end.writeUInt16BE(of, 2);
  const options = opt ? Buffer.from('00002904d0000000000000', 'hex') : Buffer.alloc(0);
  const all = Buffer.concat([fixed, parts.wire ?? wireName(name), end, options, tail]);
  return parts.cut === undefined ? all : all.subarray(0, parts.cut);
}

function wireName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), label]),
    Buffer.from([0]),
  ]);
}
