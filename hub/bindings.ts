import { realpath, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import type { ConfigField } from '../protocol/manifest.ts';
import { bindPaths, type Permissions } from '../protocol/permissions.ts';
import type { Acceptance } from './admin-api.ts';
import { LOCAL_USER } from './clients.ts';
import type { VerifiedVersion } from './fetch.ts';
import { type HubPaths, packageDirOf } from './paths.ts';
import type { HostFile, SandboxDriver } from './sandbox/sandbox.ts';

/** Config values as their fields want them. @throws AppError `binding-refused`. */
export function checkedConfig(
  fields: Readonly<Record<string, ConfigField>>,
  given: Readonly<Record<string, string | number | boolean>>,
): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (field === undefined) {
        throw new AppError('binding-refused', {
          detail: `There is no setting ${key}.`,
          hint: `Its settings: ${Object.keys(fields).join(', ') || 'none'}`,
        });
      }
      return [key, typedValue(key, field, value)];
    }),
  );
}

function typedValue(
  key: string,
  field: ConfigField,
  value: string | number | boolean,
): string | number | boolean {
  const refuse = (problem: string) =>
    new AppError('binding-refused', { detail: `${key} ${problem}.`, hint: `Give --set ${key}=VALUE` });
  const typed =
    field.type === 'number' ? numberOf(value) : field.type === 'boolean' ? booleanOf(value) : String(value);
  if (typed === undefined) throw refuse(`must be a ${field.type}, not ${JSON.stringify(value)}`);
  if (String(typed).includes('\0')) throw refuse('holds a NUL character');
  if (field.type === 'directory' && !isAbsolute(String(typed))) throw refuse('must be an absolute path');
  const allowed = (field as { enum?: readonly unknown[] }).enum;
  if (allowed !== undefined && !allowed.includes(typed)) {
    throw refuse(`must be one of ${allowed.map((item) => JSON.stringify(item)).join(', ')}`);
  }
  return typed;
}

function numberOf(value: string | number | boolean): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

function booleanOf(value: string | number | boolean): boolean | undefined {
  if (typeof value === 'boolean') return value;
  return value === 'true' ? true : value === 'false' ? false : undefined;
}

/** The real path of a folder that an admin named. @throws AppError `binding-refused`. */
export async function checkedFolder(flag: string, path: string): Promise<string> {
  const real = isAbsolute(path) ? await realpath(path).catch(() => undefined) : undefined;
  if (real !== undefined && (await stat(real)).isDirectory()) return real;
  throw new AppError('binding-refused', {
    detail: isAbsolute(path) ? `There is no folder ${path}.` : `${path} is not an absolute path.`,
    hint: `Give ${flag} an existing folder.`,
  });
}

/** @throws AppError `binding-refused` for a folder that the sandbox cannot grant, with the remedy. */
export async function refuseUngrantableFolders(
  parts: { paths: HubPaths; driver: SandboxDriver },
  offered: VerifiedVersion,
  granted: Permissions,
  workspace: string | undefined,
  config: Readonly<Record<string, string | number | boolean>>,
): Promise<void> {
  const data = parts.paths.dataOf(LOCAL_USER, offered.name);
  for (const mount of bindPaths(granted, { workspace, data, config })) {
    if (mount.root !== data) await parts.driver.describeMount(mount);
  }
}

/**
 * The programs of this machine that a version would run with these grants; none for what does not run here.
 * @throws AppError `program-missing` naming the one that is not there, with the remedy.
 */
export async function programsOf(
  parts: { paths: HubPaths; driver: SandboxDriver },
  { manifest: { runtime }, digest }: Pick<VerifiedVersion, 'manifest' | 'digest'>,
  { subprocess }: Permissions,
): Promise<readonly HostFile[]> {
  if (runtime.kind === 'remote' || runtime.kind === 'prompt-only') return [];
  const packageDir = packageDirOf(parts.paths.packages, digest);
  return parts.driver.hostFiles({ packageDir, runtime, programs: subprocess });
}

/** Those of them that were granted, as the audit log records them. */
export function grantedPrograms(
  files: readonly HostFile[],
): { program: string; path: string; digest: string }[] {
  return files.flatMap(({ name, path, digest }) =>
    digest === undefined ? [] : [{ program: name, path, digest }],
  );
}

/** @throws AppError `binding-refused` for a secret that the skill does not ask for, or that no process can be given. */
export function refuseUnusableSecrets(offered: VerifiedVersion, accepted: Acceptance): void {
  const asked = new Set(offered.manifest.permissions.secrets.map((secret) => secret.name));
  const [unusable] = Object.entries(accepted.secrets ?? {}).find(([, value]) => value.includes('\0')) ?? [];
  if (unusable !== undefined)
    throw new AppError('binding-refused', { detail: `The secret ${unusable} holds a NUL character.` });
  const unknown = Object.keys(accepted.secrets ?? {}).find((name) => !asked.has(name));
  if (unknown === undefined) return;
  throw new AppError('binding-refused', {
    detail: `${offered.name} does not ask for a secret ${unknown}.`,
    hint: `Its secrets: ${[...asked].join(', ') || 'none'}`,
  });
}
