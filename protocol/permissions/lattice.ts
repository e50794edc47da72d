import { digestOf, canonicalJson, type Digest } from '../canonical.ts';
import { AppError } from '../errors.ts';
import { declaredPermissionsSchema, headerOf, portsOf, type PermissionsInput } from './declared.ts';
import { hostCovers, readHost } from './hosts.ts';
import { pathCovers, writingCovers } from './paths.ts';
import {
  RESOURCE_NAMES,
  shapeSchema,
  type FilePermission,
  type NetworkPermission,
  type Permissions,
  type Resources,
  type SecretPermission,
} from './shape.ts';

/**
 * How one kind of permission is ordered. Within each kind two entries either exclude each other or
 * have one greatest entry below both, so a meet of sets is the meets of their pairs.
 */
export interface Order<T> {
  /** Whether holding `grant` means holding `asked`. */
  covers(grant: T, asked: T): boolean;
  /** The greatest entry that both cover. */
  meet(a: T, b: T): T | undefined;
  /** The place in a sorted list. */
  key(entry: T): string;
}

/** `tcp` is any conversation on the port, so it covers the two that are looked into. */
const protocolCovers = (grant: string, asked: string) => grant === asked || grant === 'tcp';

export const NETWORK_ORDER: Order<NetworkPermission> = {
  covers: (grant, asked) =>
    grant.port === asked.port &&
    protocolCovers(grant.protocol, asked.protocol) &&
    hostCovers(grant.host, asked.host) &&
    // A named address is neither part of what a name leads to in public, nor all of it.
    grant.address === asked.address,
  meet(a, b) {
    const host = lower(a.host, b.host, hostCovers);
    const protocol = lower(a.protocol, b.protocol, protocolCovers);
    if (a.port !== b.port || a.address !== b.address || host === undefined || protocol === undefined)
      return undefined;
    return { ...a, host, protocol };
  },
  key: ({ host, port, protocol, address }) =>
    [host, String(port).padStart(5, '0'), protocol, ...(address === undefined ? [] : [address])].join('\0'),
};

const modeCovers = (grant: string, asked: string) => grant === asked || grant === 'rw';

export const FILE_ORDER: Order<FilePermission> = {
  covers: (grant, asked) =>
    modeCovers(grant.mode, asked.mode) &&
    pathCovers(grant.path, asked.path) &&
    (asked.mode === 'r' || writingCovers(grant.path, asked.path)),
  meet(a, b) {
    const path = lower(a.path, b.path, pathCovers);
    const mode = lower(a.mode, b.mode, modeCovers);
    if (path === undefined || mode === undefined) return undefined;
    const written = mode === 'rw' && writingCovers(path === b.path ? a.path : b.path, path);
    return { path, mode: written ? 'rw' : 'r' };
  },
  key: ({ path, mode }) => `${path}\0${mode}`,
};

/**
 * A secret is known by its name and by the way it is injected. Whether the skill insists on it
 * (`required`) is kept, and where two differ the stricter word stays, but it is no permission.
 */
export const SECRET_ORDER: Order<SecretPermission> = {
  covers: (grant, asked) => grant.name === asked.name && grant.inject === asked.inject,
  meet(a, b) {
    if (a.name !== b.name || a.inject !== b.inject) return undefined;
    return { name: a.name, required: a.required || b.required, inject: a.inject };
  },
  key: ({ name, inject, required }) => `${name}\0${inject}\0${required ? '0' : '1'}`,
};

export const WORD_ORDER: Order<string> = {
  covers: (grant, asked) => grant === asked,
  meet: (a, b) => (a === b ? a : undefined),
  key: (word) => word,
};

function lower<T>(a: T, b: T, covers: (grant: T, asked: T) => boolean): T | undefined {
  if (covers(a, b)) return b;
  return covers(b, a) ? a : undefined;
}

/** Sorted, and without entries that another entry covers: the one spelling of a set. */
function greatest<T>(order: Order<T>, entries: readonly T[]): T[] {
  const keyed = new Map(entries.map((entry) => [order.key(entry), entry]));
  const sorted = [...keyed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  return sorted.filter(
    (entry, index) =>
      !sorted.some(
        (other, at) =>
          at !== index && order.covers(other, entry) && (at < index || !order.covers(entry, other)),
      ),
  );
}

function setCovers<T>(order: Order<T>, grant: readonly T[], asked: readonly T[]): boolean {
  return asked.every((entry) => grant.some((held) => order.covers(held, entry)));
}

function setMeet<T>(order: Order<T>, a: readonly T[], b: readonly T[]): T[] {
  const meets = a.flatMap((left) => b.map((right) => order.meet(left, right)));
  return greatest(
    order,
    meets.filter((meet) => meet !== undefined),
  );
}

/** Puts a value of the right shape in normal form. Doing it twice changes nothing. */
export function normalForm(permissions: Permissions): Permissions {
  return {
    network: greatest(NETWORK_ORDER, permissions.network),
    filesystem: greatest(FILE_ORDER, permissions.filesystem),
    secrets: greatest(SECRET_ORDER, permissions.secrets),
    env: greatest(WORD_ORDER, permissions.env),
    subprocess: greatest(WORD_ORDER, permissions.subprocess),
    background: permissions.background,
    mcp: permissions.mcp,
    resources: permissions.resources,
  };
}

/** Permissions as they are stored and sent; what is read is in normal form. */
export const permissionsSchema = shapeSchema.overwrite(normalForm);

/**
 * What a manifest asks, in normal form: one entry per host and port, hosts in lower-case ASCII,
 * lists sorted, and nothing named that a wider entry covers already. Reasons are left behind.
 * @throws AppError `manifest-invalid` for permissions that no manifest could declare.
 */
export function normalise(input: PermissionsInput): Permissions {
  const parsed = declaredPermissionsSchema.safeParse(input);
  if (!parsed.success) {
    throw new AppError('manifest-invalid', { detail: `These are not permissions: ${parsed.error.message}` });
  }
  const { network, filesystem, secrets, env, subprocess, background, mcp, resources } = parsed.data;
  return normalForm({
    network: network.flatMap((entry) =>
      (portsOf(entry) ?? []).map((port) => ({
        host: canonicalHost(entry.host),
        port,
        protocol: entry.protocol,
      })),
    ),
    filesystem: filesystem.map(({ path, mode }) => ({ path, mode })),
    secrets: secrets.map(({ name, required, inject }) => ({
      name,
      required,
      inject: canonicalInjection(inject),
    })),
    env,
    subprocess: subprocess.map(({ exec }) => exec),
    background,
    mcp,
    resources,
  });
}

function canonicalHost(host: string): string {
  const reading = readHost(host);
  return reading.ok ? reading.value : host;
}

function canonicalInjection(inject: string): string {
  const header = headerOf(inject);
  return header === undefined
    ? inject
    : `header:${canonicalHost(header.host)}:${header.header.toLowerCase()}`;
}

/** Whether everything that is asked is granted. */
export function covers(grant: Permissions, asked: Permissions): boolean {
  return (
    setCovers(NETWORK_ORDER, grant.network, asked.network) &&
    setCovers(FILE_ORDER, grant.filesystem, asked.filesystem) &&
    setCovers(SECRET_ORDER, grant.secrets, asked.secrets) &&
    setCovers(WORD_ORDER, grant.env, asked.env) &&
    setCovers(WORD_ORDER, grant.subprocess, asked.subprocess) &&
    (grant.background || !asked.background) &&
    (grant.mcp.sampling || !asked.mcp.sampling) &&
    (grant.mcp.elicitation || !asked.mcp.elicitation) &&
    (grant.mcp.roots || !asked.mcp.roots) &&
    RESOURCE_NAMES.every((name) => grant.resources[name] >= asked.resources[name])
  );
}

/** The most that both allow. */
export function intersect(a: Permissions, b: Permissions): Permissions {
  return {
    network: setMeet(NETWORK_ORDER, a.network, b.network),
    filesystem: setMeet(FILE_ORDER, a.filesystem, b.filesystem),
    secrets: setMeet(SECRET_ORDER, a.secrets, b.secrets),
    env: setMeet(WORD_ORDER, a.env, b.env),
    subprocess: setMeet(WORD_ORDER, a.subprocess, b.subprocess),
    background: a.background && b.background,
    mcp: {
      sampling: a.mcp.sampling && b.mcp.sampling,
      elicitation: a.mcp.elicitation && b.mcp.elicitation,
      roots: a.mcp.roots && b.mcp.roots,
    },
    resources: eachResource((name) => Math.min(a.resources[name], b.resources[name])),
  };
}

/** The least that allows what either allows. */
export function union(a: Permissions, b: Permissions): Permissions {
  return {
    network: greatest(NETWORK_ORDER, [...a.network, ...b.network]),
    filesystem: greatest(FILE_ORDER, [...a.filesystem, ...b.filesystem]),
    secrets: greatest(SECRET_ORDER, [...a.secrets, ...b.secrets]),
    env: greatest(WORD_ORDER, [...a.env, ...b.env]),
    subprocess: greatest(WORD_ORDER, [...a.subprocess, ...b.subprocess]),
    background: a.background || b.background,
    mcp: {
      sampling: a.mcp.sampling || b.mcp.sampling,
      elicitation: a.mcp.elicitation || b.mcp.elicitation,
      roots: a.mcp.roots || b.mcp.roots,
    },
    resources: eachResource((name) => Math.max(a.resources[name], b.resources[name])),
  };
}

function eachResource(valueOf: (name: keyof Resources) => number): Resources {
  return {
    memoryMb: valueOf('memoryMb'),
    cpus: valueOf('cpus'),
    pids: valueOf('pids'),
    timeoutMs: valueOf('timeoutMs'),
    diskMb: valueOf('diskMb'),
  };
}

/** The digest that a signed statement carries: sha256 over the canonical JSON of the normal form. */
export function permissionsDigest(permissions: Permissions): Digest {
  return digestOf(canonicalJson(normalForm(permissions)));
}
