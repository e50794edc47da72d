import { isIP } from 'node:net';

/** How the body behind a head is framed (RFC 9112 §6.3). */
export type Framing = { kind: 'length'; bytes: number } | { kind: 'chunked' };

/** A head that has one meaning to everybody, or why it has not. */
export type Head =
  | { ok: true; framing: Framing; websocket: boolean }
  | { ok: false; reason: 'not-http' | 'no-name' | 'other-name'; named?: string };

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP\/1\.([01])$/;
/** RFC 9110 §5.5: visible characters, blanks between, and the bytes that older ones put there. */
const FIELD_VALUE = /^[\t -~\x80-\xff]*$/;
const MOST_FIELDS = 256;
/** Below what a double counts exactly. */
const LONGEST_BODY_DIGITS = 15;
/** What a proxy on the way would take out if `Connection` named it (RFC 9110 §7.6.1). */
const NOT_OF_THE_CONNECTION = /^(?:host|content-length|transfer-encoding)$/;

const notHttp = { ok: false, reason: 'not-http' } as const;

/**
 * Reads the head of a request (RFC 9112), without the empty line at its end, that is to be for one host. Where a server
 * may see the end of a line, of the head or of the body in another place, or another host, it is refused: a bare line
 * feed, a folded line, a blank before a colon, two lengths, two hosts, a length beside chunks.
 */
export function readHead(text: string, host: string, port: number): Head {
  const [line = '', ...lines] = text.split('\r\n');
  const [, method = '', target = '', minor] = REQUEST_LINE.exec(line) ?? [];
  const fields = readFields(lines);
  // A rule for a host makes nobody a proxy to others.
  if (method === '' || method === 'CONNECT' || fields === undefined) return notHttp;
  const named = [...hostsOf(fields), ...authorityIn(target)];
  if (named.includes(undefined)) return notHttp;
  if ((fields.get('host') ?? []).length === 0) return { ok: false, reason: 'no-name' };
  const other = named.find((authority) => authority !== undefined && !isAuthority(authority, host, port));
  if (other !== undefined) return { ok: false, reason: 'other-name', named: other };
  if (valuesOf(fields, 'connection').some((value) => NOT_OF_THE_CONNECTION.test(value))) return notHttp;
  const expected = fields.get('expect') ?? [];
  if (expected.some((value) => value.toLowerCase() !== '100-continue')) return notHttp;
  const framing = framingOf(fields, minor === '1');
  if (framing === undefined) return notHttp;
  return { ok: true, framing, websocket: valuesOf(fields, 'upgrade').join() === 'websocket' };
}

/** Lower-case names with their values; undefined where a line is no field. */
export function readFields(lines: readonly string[]): Map<string, string[]> | undefined {
  if (lines.length > MOST_FIELDS) return undefined;
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const [name, value] = [line.slice(0, colon).toLowerCase(), line.slice(colon + 1)];
    if (colon < 1 || !TOKEN.test(name) || !FIELD_VALUE.test(value)) return undefined;
    fields.set(name, [...(fields.get(name) ?? []), value.replaceAll(/^[\t ]+|[\t ]+$/g, '')]);
  }
  return fields;
}

/** The members of a list that may be spread over several fields (RFC 9110 §5.6.1). */
function valuesOf(fields: Map<string, string[]>, name: string): string[] {
  return (fields.get(name) ?? [])
    .flatMap((value) => value.split(','))
    .map((value) => value.trim().toLowerCase());
}

/** RFC 9112 §3.2: one `Host`, whatever the version; `undefined` among them for more than one. */
function hostsOf(fields: Map<string, string[]>): (string | undefined)[] {
  const hosts = fields.get('host') ?? [];
  return hosts.length > 1 ? [undefined] : hosts;
}

/** RFC 9112 §3.2: what the target says of the host; nothing where it is a path, `undefined` where it is no target of ours. */
function authorityIn(target: string): (string | undefined)[] {
  if (target.startsWith('/') || target === '*') return [];
  return [/^http:\/\/([^/?#@\\]+)(?:[/?]|$)/i.exec(target)?.[1]];
}

function isAuthority(authority: string, host: string, port: number): boolean {
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return [name, `${name}:${port}`].includes(authority.toLowerCase());
}

/** RFC 9112 §6.3, with everything refused that §11.2 warns of. */
function framingOf(fields: Map<string, string[]>, hasChunks: boolean): Framing | undefined {
  const lengths = fields.get('content-length') ?? [];
  const codings = fields.get('transfer-encoding') ?? [];
  if (codings.length > 0) {
    const isChunked = hasChunks && codings.length === 1 && codings[0]?.toLowerCase() === 'chunked';
    return isChunked && lengths.length === 0 ? { kind: 'chunked' } : undefined;
  }
  const [length = '0'] = lengths;
  if (lengths.length > 1 || !/^\d+$/.test(length) || length.length > LONGEST_BODY_DIGITS) return undefined;
  return { kind: 'length', bytes: Number(length) };
}
