/**
 * Permissions: what a manifest asks, what an admin grants, and how the two are compared.
 *
 * They form a lattice. `covers(grant, asked)` is its order, `intersect` and `union` its meet and
 * join, and normal form its equality: two sets that cover each other are the same value (except for
 * `required` of a secret, which is kept but grants nothing).
 *
 * - A host covers itself; `*.x.org` covers `a.x.org` and `a.b.x.org`, not `x.org`. `tcp` on a port
 *   covers `tls` and `http` on it; one port never covers another.
 * - A folder covers what lies below it; `rw` covers `r`.
 * - `${config.x}`, as a host or as a root, is known only to itself: what an admin puts there later
 *   is no reason to take one permission for another.
 * - A secret is known by name and injection; variables and programs by name.
 * - `true` covers `false`; more of a resource covers less.
 *
 * Paths are compared by name. Symbolic links are resolved by the hub when it grants and mounts; see
 * `bindPaths`.
 */
export {
  DEFAULT_RESOURCES,
  NO_PERMISSIONS,
  RESOURCE_BOUNDS,
  type NetworkPermission,
  type Permissions,
} from './permissions/shape.ts';
export {
  covers,
  intersect,
  normalise,
  permissionsDigest,
  permissionsSchema,
  union,
} from './permissions/lattice.ts';
export { diff, isWider } from './permissions/diff.ts';
export { type PermissionAtom, atoms, networkId, ofAtoms, withoutAtoms } from './permissions/atoms.ts';
export { headerOf } from './permissions/declared.ts';
export { hostCovers } from './permissions/hosts.ts';
export { describe } from './permissions/sentences.ts';
export { type Bindings, bindPaths, insideValues, substitute } from './permissions/paths.ts';
