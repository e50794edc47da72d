import { AppError } from '../errors.ts';
import { hostAndPort } from './hosts.ts';
import { intersect, union } from './lattice.ts';
import { words } from './sentences.ts';
import { LEAST_PERMISSIONS, NO_PERMISSIONS, type NetworkPermission, type Permissions } from './shape.ts';

/** One permission that can be given, left out or taken back by itself. */
export interface PermissionAtom {
  /** Stable: `filesystem:${workspace}`, `network:api.x.org:443`, `secrets:KEY`, `env:TZ`, `mcp:roots`, `resources`. */
  id: string;
  /** "It can …", one or more of them joined where one id stands for several entries. */
  sentence: string;
  /** Only this; its resources are the least there are, unless it is the atom `resources`. */
  permission: Permissions;
}

export const networkId = ({ host, port }: NetworkPermission) => `network:${hostAndPort(host, port)}`;

/** An entry of a set of permissions with the id that it goes by. */
interface Entry {
  id: string;
  words: string;
  permission: Partial<Permissions>;
}

function entriesOf(permissions: Permissions): Entry[] {
  const { network, filesystem, secrets, env, subprocess, background, mcp, resources } = permissions;
  const mcpEntry = (name: keyof Permissions['mcp']): Entry => ({
    id: `mcp:${name}`,
    words: words[name](),
    permission: { mcp: { ...NO_PERMISSIONS.mcp, [name]: true } },
  });
  return [
    ...filesystem.map((entry) => ({
      id: `filesystem:${entry.path}`,
      words: words.filesystem(entry),
      permission: { filesystem: [entry] },
    })),
    ...network.map((entry) => ({
      id: networkId(entry),
      words: words.network(entry),
      permission: { network: [entry] },
    })),
    ...secrets.map((entry) => ({
      id: `secrets:${entry.name}`,
      words: words.secret(entry),
      permission: { secrets: [entry] },
    })),
    ...env.map((name) => ({ id: `env:${name}`, words: words.env(name), permission: { env: [name] } })),
    ...subprocess.map((program) => ({
      id: `subprocess:${program}`,
      words: words.subprocess(program),
      permission: { subprocess: [program] },
    })),
    ...(background ? [{ id: 'background', words: words.background(), permission: { background } }] : []),
    ...(mcp.sampling ? [mcpEntry('sampling')] : []),
    ...(mcp.elicitation ? [mcpEntry('elicitation')] : []),
    ...(mcp.roots ? [mcpEntry('roots')] : []),
    { id: 'resources', words: words.resources(resources), permission: { resources } },
  ];
}

/**
 * Each single permission with an id that stays the same from version to version. Entries that
 * differ only in what the id leaves out (two protocols on one port, a secret injected twice) are
 * one atom, so that leaving it out leaves nothing of it behind. `ofAtoms(atoms(p))` is `p`.
 */
export function atoms(permissions: Permissions): PermissionAtom[] {
  const byId = new Map<string, Entry[]>();
  for (const entry of entriesOf(permissions)) byId.set(entry.id, [...(byId.get(entry.id) ?? []), entry]);
  return [...byId].map(([id, entries]) => ({
    id,
    sentence: `It can ${entries.map((entry) => entry.words).join('; ')}`,
    permission: entries.map((entry) => ({ ...LEAST_PERMISSIONS, ...entry.permission })).reduce(union),
  }));
}

/** The permissions that atoms add up to; without the atom `resources`, those that every skill gets. */
export function ofAtoms(parts: readonly PermissionAtom[]): Permissions {
  const start = parts.some(({ id }) => id === 'resources') ? LEAST_PERMISSIONS : NO_PERMISSIONS;
  return parts.map(({ permission }) => permission).reduce(union, start);
}

/**
 * What is left without the named atoms; never more than before. Without `resources`, what exceeds
 * the resources that every skill gets is taken off.
 * @throws AppError `grant-not-found` naming the ids that are not there, with those that are.
 */
export function withoutAtoms(permissions: Permissions, ids: readonly string[]): Permissions {
  const all = atoms(permissions);
  const unknown = ids.filter((id) => !all.some((atom) => atom.id === id));
  if (unknown.length > 0) {
    throw new AppError('grant-not-found', {
      detail: `There is no permission ${unknown.join(', ')} here.`,
      hint: `The permissions are ${all.map(({ id }) => id).join(', ')}.`,
    });
  }
  const left = ofAtoms(all.filter(({ id }) => !ids.includes(id)));
  return intersect(permissions, left);
}
