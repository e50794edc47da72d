import type { NetworkPermission, Permissions } from '../../protocol/permissions.ts';

/** What a run has to be known of to understand what is seen in it. Asks the host only through its functions. */
export interface Ground {
  /** What the manifest and the author's choices for this run grant. */
  granted: Permissions;
  /** Folders that a root of a manifest can stand for: where it appears inside, and where it lies if it lies anywhere. */
  roots: readonly { reference: string; inside: string; folder?: string | undefined }[];
  /** Addresses that stand for names inside. */
  hosts: ReadonlyMap<string, string>;
  /** Whether granted hosts are reached: then it is the border that says which were, and here is only seen what is wanted. */
  hasBorder: boolean;
  /** A granted host as the manifest names it, which may be by a config value. */
  named(entry: NetworkPermission): NetworkPermission;
  /** Folders that can never be granted: real paths. */
  forbidden: readonly string[];
  /** Whether a bare program of this runtime does the same. */
  isUsual(path: string): boolean;
  kindOf(path: string): 'file' | 'folder' | undefined;
  /** Whether the host has a program of this name for a grant. */
  hasProgram(name: string): boolean;
  /** Whether the author's own environment has it, and a manifest may name it. */
  hasVariable(name: string): boolean;
}

/** Reading of such a path is how a learn run's preloaded code says which variable was asked for. */
export const VARIABLE_MARK = '/dev/null/berth-variable/';

/** Whether a path is the folder or lies in it. */
export function liesIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** A path inside of a root in the words of a manifest; undefined outside of all roots. */
export function inManifestWords(path: string, roots: Ground['roots']): string | undefined {
  const root = roots.find(({ inside }) => liesIn(path, inside));
  return root === undefined ? undefined : `${root.reference}${path.slice(root.inside.length)}`;
}

/** Where a path inside lies on the host; undefined where that is nowhere known. */
export function onHost(path: string, roots: Ground['roots']): string | undefined {
  const root = roots.find(({ inside }) => liesIn(path, inside));
  return root?.folder === undefined ? undefined : `${root.folder}${path.slice(root.inside.length)}`;
}
