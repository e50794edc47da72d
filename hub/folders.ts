import { AppError } from '../protocol/errors.ts';
import { bindPaths, type Permissions } from '../protocol/permissions.ts';
import type { Acceptance } from './admin-api.ts';
import { LOCAL_USER } from './clients.ts';
import type { InstalledSkill } from './installed.ts';
import type { HubPaths } from './paths.ts';
import { folderAt, type FolderIdentity } from './sandbox/folder-identity.ts';
import type { SandboxDriver, SandboxMount } from './sandbox/sandbox.ts';

/** Which folder was granted at each path. A path without one is a single file, or was nothing yet. */
export type GrantedFolders = Readonly<Record<string, FolderIdentity>>;

/** What granted folders stand for. */
interface Granted {
  name: string;
  version: string;
  permissions: Permissions;
  workspace: string | undefined;
  config: Readonly<Record<string, string | number | boolean>>;
}

/**
 * Which folders an acceptance grants: those that lie there now where an admin named them in it, else those that
 * were granted before.
 * @throws AppError `binding-refused` for a folder that the sandbox cannot grant, or that is not the one that was
 *   granted, with the remedy.
 */
export async function grantedFolders(
  parts: { paths: HubPaths; driver: SandboxDriver },
  granted: Granted,
  accepted: Pick<Acceptance, 'workspace' | 'config'>,
  before: GrantedFolders,
): Promise<GrantedFolders> {
  const data = parts.paths.dataOf(LOCAL_USER, granted.name);
  const { workspace, config, permissions } = granted;
  const named = new Set([
    ...(accepted.workspace === undefined ? [] : [workspace]),
    ...Object.keys(accepted.config ?? {}).map((key) => config[key]),
  ]);
  const folders: Record<string, FolderIdentity> = {};
  const mounts = bindPaths(permissions, { workspace, data, config }).filter(({ root }) => root !== data);
  for (const { source, root } of mounts) {
    const known = Object.hasOwn(before, source) && !named.has(root) ? before[source] : undefined;
    const identity = known ?? (await folderAt(source));
    if (identity !== undefined) folders[source] = identity;
  }
  const recorded = mounts.map((mount): SandboxMount => ({
    ...mount,
    identity: folders[mount.source] ?? 'no folder',
  }));
  for (const mount of recorded) await describeMount(parts.driver, granted, recorded, mount);
  return folders;
}

/**
 * How a folder is held, in a sentence.
 * @throws AppError `binding-refused`, with the command that grants what lies there now.
 */
export async function describeMount(
  driver: SandboxDriver,
  granted: Granted,
  mounts: readonly SandboxMount[],
  mount: SandboxMount,
): Promise<string | undefined> {
  try {
    return await driver.describeMount(mount, mounts);
  } catch (error) {
    throw withRemedy(error, granted);
  }
}

/** The mounts of an installed skill beside its own data, each with the folder that was granted. */
export function mountsOf(skill: InstalledSkill, data: string): SandboxMount[] {
  const { permissions, workspace, config, folders } = skill;
  return bindPaths(permissions, { workspace, data, config })
    .filter(({ root }) => root !== data)
    .map((mount) => ({ ...mount, identity: folders[mount.source] ?? 'no folder' }));
}

/** A folder that was replaced is granted anew by naming it again. */
export function withRemedy(error: unknown, { name, version, workspace, config }: Granted): unknown {
  if (!(error instanceof AppError) || error.data?.['replaced'] === undefined) return error;
  const root = String(error.data['root']);
  const key = Object.keys(config).find((one) => config[one] === root);
  const flag =
    root === workspace || key === undefined
      ? `--workspace ${quoted(root)}`
      : `--set ${quoted(`${key}=${root}`)}`;
  return new AppError('binding-refused', {
    detail: error.message,
    hint: `Put the folder back, or grant what lies there now: berth install ${name}@${version} --yes ${flag}`,
    cause: error,
    data: error.data,
  });
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
