import { AppError } from '../protocol/errors.ts';
import { resolveVersion } from '../protocol/version.ts';
import type { Store, VersionRecord, VersionSummary } from './store/store.ts';

type ResolveDeps = { store: Pick<Store, 'version' | 'versionsOf'> };

/**
 * The version that a semver range chooses: the highest that satisfies it and isn't yanked.
 * `skill-not-found`, `version-not-found`, `range-invalid`.
 */
export async function resolve(deps: ResolveDeps, name: string, range: string): Promise<VersionRecord> {
  const versions = await versionsOf(deps, name);
  const chosen = resolveVersion(versions, range);
  if (chosen !== undefined) return versionOf(deps, name, chosen);
  const known = versions.slice(0, 5).map(({ version, yanked }) => (yanked ? `${version} (yanked)` : version));
  throw new AppError('version-not-found', {
    detail: `No version of ${name} satisfies ${JSON.stringify(range)}; the newest are ${known.join(', ')}.`,
    hint: versions.every(({ yanked }) => yanked)
      ? 'Its author has withdrawn all of them: a yanked version is never installed anew.'
      : `berth info ${name}`,
  });
}

/** One version by its exact number, yanked or not. */
export async function versionOf(
  { store }: ResolveDeps,
  name: string,
  version: string,
): Promise<VersionRecord> {
  const record = await store.version(name, version);
  if (record !== undefined) return record;
  throw versionNotFound(name, version);
}

/** All versions, newest version number first; `skill-not-found` when there are none. */
export async function versionsOf(
  { store }: { store: Pick<Store, 'versionsOf'> },
  name: string,
): Promise<VersionSummary[]> {
  const versions = await store.versionsOf(name);
  if (versions.length > 0) return versions;
  throw skillNotFound(name);
}

/** The one way to say that a skill has no such version, or that there is no such skill. */
export function versionNotFound(name: string, version: string): AppError {
  return new AppError('version-not-found', { detail: `There is no ${name}@${version}.` });
}

/** The one way to say that nobody has published such a skill. */
export function skillNotFound(name: string): AppError {
  return new AppError('skill-not-found', {
    detail: `There is no skill ${name}.`,
    hint: `berth search ${name.split('/')[1] ?? name}`,
  });
}
