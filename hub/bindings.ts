import { realpath, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import type { ConfigField, Manifest } from '../protocol/manifest.ts';
import {
  allowedHostNames,
  allowedHostsText,
  hostKeysOf,
  readAllowedHosts,
  type Permissions,
} from '../protocol/permissions.ts';
import type { Acceptance } from './admin-api.ts';
import type { VerifiedVersion } from './fetch.ts';
import { type HubPaths, packageDirOf } from './paths.ts';
import type { HostFile, SandboxDriver } from './sandbox/sandbox.ts';

/**
 * Config values as their fields want them; one that stands for hosts in its canonical spelling.
 * @throws AppError `binding-refused`.
 */
export function checkedConfig(
  { config: fields, permissions }: Pick<Manifest, 'config' | 'permissions'>,
  given: Readonly<Record<string, string | number | boolean>>,
): Record<string, string | number | boolean> {
  const hosts = new Set(hostKeysOf(permissions));
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (field === undefined) {
        throw new AppError('binding-refused', {
          detail: `There is no setting ${key}.`,
          hint: `Its settings: ${Object.keys(fields).join(', ') || 'none'}`,
        });
      }
      return [key, hosts.has(key) ? hostsValue(key, field, value) : typedValue(key, field, value)];
    }),
  );
}

function hostsValue(key: string, field: ConfigField, value: string | number | boolean): string {
  const reading = readAllowedHosts(String(value));
  if (!reading.ok) {
    throw new AppError('binding-refused', {
      detail: `${key} stands for hosts, but ${reading.problem}.`,
      hint: reading.remedy,
    });
  }
  typedValue(key, field, allowedHostNames(reading.value));
  return allowedHostsText(reading.value);
}

/**
 * The config values that the hosts of an acceptance stand for: `name[:port][=address]`, with `key@` before it where the
 * manifest asks for hosts under more than one key.
 * @throws AppError `binding-refused`.
 */
export function configOfHosts(
  { permissions }: Pick<Manifest, 'permissions'>,
  given: readonly string[],
): Record<string, string> {
  const keys = hostKeysOf(permissions);
  const byKey = new Map<string, string[]>();
  for (const text of given) {
    const [, named, host = text] = /^([A-Za-z][A-Za-z0-9_]{0,63})@(.*)$/s.exec(text) ?? [];
    const key = named ?? (keys.length === 1 ? keys[0] : undefined);
    if (key === undefined || !keys.includes(key)) throw unplaced(text, keys);
    byKey.set(key, [...(byKey.get(key) ?? []), host]);
  }
  return Object.fromEntries([...byKey].map(([key, hosts]) => [key, hosts.join(',')]));
}

function unplaced(text: string, keys: readonly string[]): AppError {
  if (keys.length === 0) {
    return new AppError('binding-refused', {
      detail: `It leaves no hosts to be named, so ${text} cannot be allowed.`,
      hint: 'Leave --allow-host out.',
    });
  }
  return new AppError('binding-refused', {
    detail: `It is not clear what ${text} is allowed as.`,
    hint: `Give ${keys.map((key) => `--allow-host ${key}@HOST`).join(' or ')}`,
  });
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
