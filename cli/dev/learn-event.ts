import type { NetworkPermission } from '../../protocol/permissions.ts';

/** Something outside of the sandbox that a skill wanted, in the words of a manifest, and whether it got it. */
export type LearnEvent = Wish & { outcome: 'used' | 'refused' };

export type Wish =
  /** A folder as a manifest names it; `folder` is where it lies, for a config value that is yet to be made. */
  | { kind: 'path'; path: string; mode: 'r' | 'rw'; folder?: string }
  /** `port` is absent while only the name was asked for. */
  | { kind: 'host'; host: string; port?: number; protocol?: NetworkPermission['protocol'] }
  | { kind: 'program'; name: string }
  | { kind: 'variable'; name: string };

/** Which wish it is: wishes of one id are one. */
export function wishId(wish: Wish): string {
  switch (wish.kind) {
    case 'path':
      return `path ${wish.path} ${wish.mode} ${wish.folder ?? ''}`;
    case 'host':
      return `host ${wish.host} ${wish.port ?? ''} ${wish.protocol ?? ''}`;
    case 'program':
    case 'variable':
      return `${wish.kind} ${wish.name}`;
  }
}

/** A wish in words: what the skill tried to do. */
export function wishInWords(wish: Wish): string {
  switch (wish.kind) {
    case 'path':
      return `${wish.mode === 'rw' ? 'read and write' : 'read'} ${wish.path}${wish.folder === undefined ? '' : ` (${wish.folder})`}`;
    case 'host':
      return wish.port === undefined
        ? `reach ${wish.host} (at no port yet)`
        : `reach ${wish.host} at port ${wish.port} (${wish.protocol})`;
    case 'program':
      return `run ${wish.name}`;
    case 'variable':
      return `read the variable ${wish.name}`;
  }
}

/** What is spoken at a port by custom; anything else is `tcp`, which an author narrows to `tls` where it is that. */
export function usualProtocol(port: number): NetworkPermission['protocol'] {
  if (port === 443 || port === 8443) return 'tls';
  return port === 80 || port === 8080 ? 'http' : 'tcp';
}
