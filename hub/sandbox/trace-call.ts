import { posix } from 'node:path';

/** What one system call of a watched process said about the world it wants. */
export type Seen =
  | { kind: 'path'; path: string; act: PathAct; errno: string | undefined }
  | { kind: 'program'; path: string; errno: string | undefined }
  | { kind: 'connect'; address: string; port: number; errno: string | undefined }
  /** A name that the resolver was asked for. */
  | { kind: 'name'; name: string };

/**
 * What is done with a path: looked at (`stat`), read, listed as a folder, written (an open file), or its name made,
 * moved or removed, which is a change of the folder that it stands in.
 */
export type PathAct = 'look' | 'read' | 'list' | 'write' | 'name';

/** One whole line of `strace`, taken apart but not yet understood. */
interface Call {
  pid: number;
  name: string;
  args: string;
  errno: string | undefined;
}

const LINE =
  /^(\d+) +([a-z0-9_]+)\((.*)\) += (-?\d+|\?)(?:<[^>]*>(?:\(deleted\))?)?(?: ([A-Z][A-Z0-9]*) .*)?$/s;
/** With `-xx` every string is written in hexadecimal, so nothing that a program names can end its own quotes. */
const HEX = String.raw`(?:\\x[0-9a-f]{2})*`;
const PATH = new RegExp(
  String.raw`(?:(AT_FDCWD|-?\d+)(?:<(${HEX})>(?:\(deleted\))?)?, )?"(${HEX})"(\.\.\.)?`,
  'g',
);
const CONNECT_IPV4 = new RegExp(String.raw`sin_port=htons\((\d+)\), sin_addr=inet_addr\("(${HEX})"\)`);
const CONNECT_IPV6 = new RegExp(String.raw`sin6_port=htons\((\d+)\),.*inet_pton\(AF_INET6, "(${HEX})"`);
const PAYLOAD = new RegExp(String.raw`(?:^-?\d+(?:<[^>]*>)?, |iov_base=)"(${HEX})"`, 'g');

/** Calls that ask about a path and change nothing. */
const LOOKS = new Set([
  ...['stat', 'lstat', 'newfstatat', 'statx', 'access', 'faccessat', 'faccessat2', 'readlink', 'readlinkat'],
  ...['statfs', 'getxattr', 'lgetxattr', 'listxattr', 'llistxattr', 'inotify_add_watch'],
]);
/** Calls that change what stands under a name, and how many of their paths they change. */
const NAMES: Readonly<Record<string, number>> = {
  mkdir: 1,
  mkdirat: 1,
  rmdir: 1,
  unlink: 1,
  unlinkat: 1,
  mknod: 1,
  mknodat: 1,
  rename: 2,
  renameat: 2,
  renameat2: 2,
};
/** Calls that change what is at a path. */
const WRITES = new Set([
  ...[
    'creat',
    'truncate',
    'chmod',
    'fchmodat',
    'fchmodat2',
    'chown',
    'lchown',
    'fchownat',
    'utime',
    'utimes',
  ],
  ...['utimensat', 'futimesat', 'setxattr', 'lsetxattr', 'removexattr', 'lremovexattr'],
]);
const SENDS = new Set(['sendto', 'sendmsg', 'sendmmsg']);
const WRITING = /\bO_(?:WRONLY|RDWR|CREAT|TRUNC|TMPFILE)\b/;

/** Reads one line; undefined for anything that is no whole call. */
export function readCall(line: string): Call | undefined {
  const [, pid, name, args, , errno] = LINE.exec(line) ?? [];
  if (pid === undefined || name === undefined || args === undefined) return undefined;
  return { pid: Number(pid), name, args, errno };
}

/** What a call says; `cwd` is where relative paths begin. Empty for calls that say nothing of this kind. */
export function seenIn({ name, args, errno }: Call, cwd: string): Seen[] {
  if (name === 'connect') return connection(args, errno);
  if (SENDS.has(name)) return namesAsked(args);
  const paths = pathsIn(args, cwd);
  const [first, second] = paths;
  if (first === undefined) return [];
  if (name === 'execve' || name === 'execveat') return [{ kind: 'program', path: first, errno }];
  const at = (path: string, act: PathAct): Seen => ({ kind: 'path', path, act, errno });
  if (name === 'open' || name === 'openat') return [at(first, openedFor(args))];
  if (name === 'chdir') return [at(first, 'list')];
  if (LOOKS.has(name)) return [at(first, 'look')];
  if (WRITES.has(name)) return [at(first, 'write')];
  if (name === 'link' || name === 'linkat')
    return [at(first, 'name'), ...(second === undefined ? [] : [at(second, 'name')])];
  // The first path of a link is what it says, not something that is opened.
  if (name === 'symlink' || name === 'symlinkat') return second === undefined ? [] : [at(second, 'name')];
  return paths.slice(0, NAMES[name] ?? 0).map((path) => at(path, 'name'));
}

function openedFor(args: string): PathAct {
  const flags = args.slice(args.lastIndexOf('"'));
  if (WRITING.test(flags)) return 'write';
  return flags.includes('O_DIRECTORY') ? 'list' : 'read';
}

/** The paths of a call, absolute. One that was cut short, or is empty (the file is an open one), is none. */
function pathsIn(args: string, cwd: string): string[] {
  return [...args.matchAll(PATH)].flatMap(([, at, folder, text = '', cut]) => {
    const path = decoded(text);
    if (path === undefined || path === '' || cut !== undefined) return [];
    if (path.startsWith('/')) return [posix.normalize(path)];
    const base =
      folder === undefined ? (at === undefined || at === 'AT_FDCWD' ? cwd : undefined) : decoded(folder);
    return base?.startsWith('/') === true ? [posix.join(base, path)] : [];
  });
}

/** The folder that a call shows its process to work in. */
export function workingFolderIn({ name, args, errno }: Call, cwd: string): string | undefined {
  const [, shown] = new RegExp(`^AT_FDCWD<(${HEX})>`).exec(args) ?? [];
  if (shown !== undefined) return decoded(shown);
  return name === 'chdir' && errno === undefined ? pathsIn(args, cwd)[0] : undefined;
}

function connection(args: string, errno: string | undefined): Seen[] {
  const [, port, address] = CONNECT_IPV4.exec(args) ?? CONNECT_IPV6.exec(args) ?? [];
  if (port === undefined || address === undefined) return [];
  return [{ kind: 'connect', address: decoded(address) ?? '', port: Number(port), errno }];
}

function namesAsked(args: string): Seen[] {
  return [...args.matchAll(PAYLOAD)].flatMap(([, payload = '']): Seen[] => {
    const name = nameInQuery(bytesOf(payload));
    return name === undefined ? [] : [{ kind: 'name', name }];
  });
}

const DNS_HEADER_BYTES = 12;
const MAX_NAME = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** RFC 1035 §3.2.2, RFC 3596 §2.1: A and AAAA. */
const ADDRESS_TYPES = new Set([1, 28]);

/** The host whose address a DNS query asks for (RFC 1035 §4.1); undefined for every other message. */
function nameInQuery(bytes: Buffer): string | undefined {
  if (bytes.length < DNS_HEADER_BYTES + 5) return undefined;
  const isStandardQuery = (bytes.readUInt16BE(2) & 0xf800) === 0;
  if (!isStandardQuery || bytes.readUInt16BE(4) !== 1 || bytes.readUInt16BE(6) !== 0) return undefined;
  const labels: string[] = [];
  let at = DNS_HEADER_BYTES;
  for (let length = bytes[at]; length !== undefined && length !== 0; length = bytes[at]) {
    if (length > 63) return undefined;
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  if (at + 5 > bytes.length || bytes.readUInt16BE(at + 3) !== 1) return undefined;
  const name = labels.join('.');
  const isHost = labels.length > 0 && name.length <= MAX_NAME && labels.every((label) => LABEL.test(label));
  return isHost && ADDRESS_TYPES.has(bytes.readUInt16BE(at + 1)) ? name : undefined;
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

/** As text; undefined for bytes that are none, which no manifest could name either. */
function decoded(hex: string): string | undefined {
  const bytes = bytesOf(hex);
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined;
}
