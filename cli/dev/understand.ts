import { posix } from 'node:path';
import type { PathAct, Seen } from '../../hub/sandbox/trace-call.ts';
import { plainAddress } from '../../hub/egress/addresses.ts';
import { auditEventOf } from '../../hub/egress/audit.ts';
import type { EgressEvent } from '../../hub/egress/egress.ts';
import { describeRecord } from '../../protocol/audit.ts';
import { hostCovers, type NetworkPermission } from '../../protocol/permissions.ts';
import { type Ground, inManifestWords, liesIn, onHost, VARIABLE_MARK } from './ground.ts';
import { type LearnEvent, usualProtocol } from './learn-event.ts';

/** What one thing that was seen means: something wanted, an access to a granted folder, or a word for the author. */
export type Meaning =
  | { is: 'event'; event: LearnEvent }
  | { is: 'access'; path: string; act: PathAct }
  | { is: 'note'; text: string };

/** The sandbox's own places: nothing in them is anybody else's. */
const OWN_PLACES = ['/run', '/proc', '/dev', '/sys'];
/** Where the system keeps itself: looked into by loaders and runtimes at all times. */
const SYSTEM_PLACES = ['/usr', '/lib', '/lib64', '/bin', '/sbin', '/etc'];
const PROGRAM_FOLDERS = ['/usr/bin', '/bin', '/usr/local/bin', '/sbin', '/usr/sbin'];
/** Where granted programs stand inside, which is the whole PATH there. */
const INSIDE_PATH = '/usr/bin';
const ABSENT = new Set(['ENOENT', 'ENOTDIR']);
const REFUSED = new Set(['EROFS', 'EACCES', 'EPERM']);
const DNS_PORT = 53;

/** What was seen, in a manifest's terms. Undefined for whatever a manifest has no word for, or needs none. */
export function understand(ground: Ground, seen: Seen, byOther: boolean): Meaning | undefined {
  switch (seen.kind) {
    case 'path':
      return seen.path.startsWith(VARIABLE_MARK)
        ? variable(ground, seen.path.slice(VARIABLE_MARK.length))
        : path(ground, seen, byOther);
    case 'program':
      return program(ground, seen.path, seen.errno);
    case 'connect':
      return connection(ground, seen.address, seen.port);
    case 'name':
      return nameAsked(ground, seen.name);
  }
}

function event(event: LearnEvent): Meaning {
  return { is: 'event', event };
}

function variable({ granted, hasVariable }: Ground, name: string): Meaning | undefined {
  if (granted.env.includes(name)) return event({ kind: 'variable', name, outcome: 'used' });
  const known = granted.secrets.some((secret) => secret.name === name) || !hasVariable(name);
  return known ? undefined : event({ kind: 'variable', name, outcome: 'refused' });
}

function program(ground: Ground, file: string, errno: string | undefined): Meaning | undefined {
  const name = posix.basename(file);
  const stands = posix.dirname(file) === INSIDE_PATH;
  if (errno === undefined) {
    return stands && ground.granted.subprocess.includes(name)
      ? event({ kind: 'program', name, outcome: 'used' })
      : undefined;
  }
  if (!ABSENT.has(errno) || !ground.hasProgram(name)) return undefined;
  if (stands && !ground.granted.subprocess.includes(name))
    return event({ kind: 'program', name, outcome: 'refused' });
  return {
    is: 'note',
    text: `It starts ${file} by its path. A granted program stands at ${INSIDE_PATH}/${name}: start it by its bare name, without a shell.`,
  };
}

function connection(ground: Ground, address: string, port: number): Meaning | undefined {
  // A resolver that sorts addresses tries each of them, at no port.
  if (port === DNS_PORT || port === 0) return undefined;
  const plain = plainAddress(address) ?? address;
  const host = ground.hosts.get(plain) ?? plain;
  const held = heldFor(ground, host, port);
  if (held === undefined)
    return event({ kind: 'host', host, port, protocol: usualProtocol(port), outcome: 'refused' });
  return ground.hasBorder ? undefined : usedHost(ground, held);
}

function heldFor({ granted }: Ground, host: string, port: number): NetworkPermission | undefined {
  return granted.network.find((grant) => grant.port === port && hostCovers(grant.host, host));
}

function usedHost(ground: Ground, held: NetworkPermission): Meaning {
  const { host, port, protocol } = ground.named(held);
  return event({ kind: 'host', host, port, protocol, outcome: 'used' });
}

/**
 * What happened at the border, in a manifest's terms: what was reached, and why a granted host was not. What is not granted
 * is seen by the tracer, at whatever port.
 */
export function understandBorder(ground: Ground, happened: EgressEvent): Meaning | undefined {
  if (happened.count !== undefined) return undefined;
  const { host, port } = happened;
  const held = port === undefined ? undefined : heldFor(ground, host, port);
  if (happened.kind === 'reached') return held === undefined ? undefined : usedHost(ground, held);
  const isWish = happened.reason === 'host-not-granted' || happened.reason === 'port-not-granted';
  if (isWish || (port !== undefined && held === undefined)) return undefined;
  return { is: 'note', text: `${describeRecord(auditEventOf(happened))}.` };
}

/** Who asks for the address of a name that no grant has; what it wants there, a connection will say. */
function nameAsked({ hosts, granted, hasBorder }: Ground, host: string): Meaning | undefined {
  // It gets an address, and shows at once what it wants there.
  if (hasBorder) return undefined;
  const known =
    [...hosts.values()].includes(host) || granted.network.some((grant) => hostCovers(grant.host, host));
  return known ? undefined : event({ kind: 'host', host, outcome: 'refused' });
}

function path(ground: Ground, seen: Seen & { kind: 'path' }, byOther: boolean): Meaning | undefined {
  const { path, act, errno } = seen;
  if (inManifestWords(path, ground.roots) !== undefined) return inRoot(ground, seen);
  if (errno === undefined) return undefined;
  if (liesIn(path, '/skill')) {
    return REFUSED.has(errno) && changes(act)
      ? {
          is: 'note',
          text: `It writes to its own package (${path}), which never changes. Write to \${data} instead.`,
        }
      : undefined;
  }
  if (OWN_PLACES.some((place) => liesIn(path, place)) || ground.isUsual(path)) return undefined;
  const name = posix.basename(path);
  if (act === 'look' && posix.dirname(path) === INSIDE_PATH && ground.hasProgram(name))
    return program(ground, path, errno);
  return elsewhere(ground, seen, byOther);
}

/** A path of the host that does not exist inside, or may not be written there. */
function elsewhere(
  ground: Ground,
  { path, act, errno = '' }: Seen & { kind: 'path' },
  byOther: boolean,
): Meaning | undefined {
  if (!ABSENT.has(errno) && !REFUSED.has(errno)) return undefined;
  const ofSystem = SYSTEM_PLACES.some((place) => liesIn(path, place));
  if (ofSystem && (byOther || act === 'look' || PROGRAM_FOLDERS.includes(posix.dirname(path))))
    return undefined;
  const kind = ground.kindOf(path);
  const folder = kind === 'folder' && !changes(act) ? path : posix.dirname(path);
  const isThere = kind !== undefined || (changes(act) && ground.kindOf(folder) === 'folder');
  // Who walks down a path looks at its first folder, and wants something far below.
  if (!isThere || (act === 'look' && posix.dirname(path) === '/')) return undefined;
  if (
    ['/', '/tmp'].includes(folder) ||
    liesIn(folder, '/etc') ||
    ground.forbidden.some((one) => liesIn(folder, one) || liesIn(one, folder))
  )
    return {
      is: 'note',
      text: `It ${changes(act) ? 'writes' : 'reads'} ${path}, which can never be granted.`,
    };
  const mode = changes(act) ? 'rw' : 'r';
  const root = ground.roots.find((one) => one.folder !== undefined && liesIn(folder, one.folder));
  if (root?.folder !== undefined) {
    return {
      is: 'note',
      text: `It opens ${path} by its path on this machine. Inside it is ${root.inside}${path.slice(root.folder.length)}.`,
    };
  }
  return event({ kind: 'path', path: `\${config.${keyFor(folder)}}`, mode, folder, outcome: 'refused' });
}

/** A path in a folder that a manifest can name: there, or wished for. */
function inRoot(ground: Ground, { path, act, errno }: Seen & { kind: 'path' }): Meaning | undefined {
  const words = inManifestWords(path, ground.roots) ?? path;
  const held = ground.granted.filesystem.filter((grant) => liesIn(words, grant.path));
  if (errno === undefined) return held.length === 0 ? undefined : { is: 'access', path, act };
  if (held.length > 0) {
    const isReadOnly = held.every(({ mode }) => mode === 'r');
    if (!REFUSED.has(errno) || !changes(act)) return undefined;
    if (isReadOnly)
      return event({ kind: 'path', path: folderOf(ground, path, act), mode: 'rw', outcome: 'refused' });
    return {
      is: 'note',
      text: `${words} may be written by its grant, but not by the rights of the files on this machine.`,
    };
  }
  if (!ABSENT.has(errno) && !REFUSED.has(errno)) return undefined;
  // The folders above a granted one exist inside, and hold nothing else.
  return event({
    kind: 'path',
    path: folderOf(ground, path, act),
    mode: changes(act) ? 'rw' : 'r',
    outcome: 'refused',
  });
}

/** Whether it takes the right to write. */
export function changes(act: PathAct): boolean {
  return act === 'write' || act === 'name';
}

/** The least folder whose grant allows the act, in the words of a manifest: a grant is always one of a folder. */
export function folderOf(ground: Pick<Ground, 'roots' | 'kindOf'>, path: string, act: PathAct): string {
  const host = onHost(path, ground.roots);
  const isFolder =
    act === 'list' || (act !== 'name' && host !== undefined && ground.kindOf(host) === 'folder');
  const root = ground.roots.find(({ inside }) => liesIn(path, inside));
  const folder = isFolder || path === root?.inside ? path : posix.dirname(path);
  return inManifestWords(folder, ground.roots) ?? folder;
}

/** A name for a config value that stands for a folder: its last part, as a key. */
function keyFor(folder: string): string {
  const words = posix
    .basename(folder)
    .replaceAll(/[^A-Za-z0-9]+/g, '_')
    .replaceAll(/^[^A-Za-z]+|_+$/g, '');
  return (words === '' ? 'folder' : words).slice(0, 40);
}
