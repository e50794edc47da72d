import semver from 'semver';
import { z } from 'zod';
import { AppError } from './errors.ts';
import { teach } from './faults.ts';

const MAX_VERSION = 64;
const MAX_RANGE = 256;

/**
 * One version, as semver 2.0.0 writes it: no leading `v`, and no build metadata, which semver does
 * not order: two uploads that differ in nothing else would be the same version to every range.
 */
export const versionSchema = z
  .string()
  .max(MAX_VERSION)
  .refine(
    (version) => semver.valid(version) === version,
    teach(
      'is not a version',
      'Write three numbers, such as "1.0.0", or a pre-release, such as "1.1.0-beta.1".',
    ),
  );

/** Orders versions by semver precedence, for `sort`. */
export function compareVersions(a: string, b: string): number {
  return semver.compare(a, b);
}

/**
 * The highest version that satisfies a range, or undefined. An empty range, `*` and `latest` mean
 * any release. A pre-release is chosen only where the range names one of the same three numbers
 * (`^1.2.0-beta.1`). A yanked version is never resolved, not even by its exact number: whoever runs
 * it already keeps it by digest, and nobody else should start to.
 * @throws AppError `range-invalid`.
 */
export function resolveVersion(
  versions: readonly { version: string; yanked: boolean }[],
  range: string,
): string | undefined {
  const parsed = range.length > MAX_RANGE ? null : semver.validRange(range === 'latest' ? '*' : range);
  if (parsed === null) {
    throw new AppError('range-invalid', {
      detail: `${JSON.stringify(range.slice(0, MAX_VERSION))} is neither a version nor a range of versions.`,
      hint: 'Write a version such as 1.2.0, or a range such as ^1.2.0 or ">=1.0.0 <2.0.0".',
    });
  }
  const candidates = versions.filter(({ yanked }) => !yanked).map(({ version }) => version);
  return semver.maxSatisfying(candidates, parsed) ?? undefined;
}
