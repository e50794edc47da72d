import { describe, type Permissions } from '../protocol/permissions.ts';
import type { SearchHit, SkillReply, VersionReply } from '../protocol/registry-api.ts';
import type { ShownVersion, SkillRecord, VersionRecord, VersionSummary } from './store/store.ts';

/** A version as the registry answers it. */
export function versionReply(record: VersionRecord): VersionReply {
  return { ...record, sentences: sentencesOf(record.permissions) };
}

/** A skill with all its versions. */
export function skillReply(
  { shown, latest, downloads, updatedAt }: SkillRecord,
  versions: VersionSummary[],
): SkillReply {
  const repository = shown.manifest['repository'];
  return {
    ...headOf(shown),
    license: textOf(shown, 'license'),
    repository: isObject(repository) && typeof repository['url'] === 'string' ? repository['url'] : null,
    categories: wordsOf(shown, 'categories'),
    latest,
    versions,
    downloads,
    updatedAt,
  };
}

/** A skill as search shows it. */
export function searchHit({ shown, downloads, updatedAt }: SkillRecord): SearchHit {
  return { ...headOf(shown), version: shown.version, deprecated: shown.deprecated, downloads, updatedAt };
}

function headOf(shown: ShownVersion) {
  return {
    name: shown.name,
    title: textOf(shown, 'title'),
    description: textOf(shown, 'description'),
    keywords: wordsOf(shown, 'keywords'),
    kind: shown.kind,
    permissions: sentencesOf(shown.permissions),
    tools: shown.tools,
  };
}

function sentencesOf(permissions: Permissions) {
  return describe(permissions);
}

// The manifest was parsed when it was published; what is read here is known to be there, or optional.
function textOf({ manifest }: ShownVersion, key: string): string {
  const value = manifest[key];
  return typeof value === 'string' ? value : '';
}

function wordsOf({ manifest }: ShownVersion, key: string): string[] {
  const value = manifest[key];
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string') : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
