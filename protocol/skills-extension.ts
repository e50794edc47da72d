import { fileUri, mimeTypeOf, placeOf, SKILL_FILE } from './package-files.ts';
import type { Description } from './permissions/sentences.ts';

/** MCP's Skills extension (SEP-2640), by the name that is declared for it. */
export const SKILLS_EXTENSION = 'io.modelcontextprotocol/skills';

/** What a host must take of one skill; a skill beyond it is not offered as one. */
export const SKILL_LIMITS = { files: 512, bytes: 16 * 1024 * 1024 } as const;

/** What a package with a SKILL.md holds for reading, as it was when its bytes were those that were signed. */
export interface AgentSkill {
  /** The front matter of SKILL.md, whole. */
  frontmatter: Readonly<Record<string, unknown>> & { name: string; description: string };
  /** Path of each file → bytes of it. */
  sizes: Readonly<Record<string, number>>;
}

/** What Berth knows of a skill beyond its files. */
export interface Provenance {
  signer: string;
  version: string;
  /** Of the package. */
  digest: string;
  permissions: Pick<Description, 'can' | 'cannot'>;
}

/** A skill as `skills/list` shows it. */
export interface SkillEntry extends Record<string, unknown> {
  uri: string;
  frontmatter: AgentSkill['frontmatter'];
  resources: readonly { uri: string; digest: string; size: number }[];
  _meta: Readonly<Record<string, unknown>>;
}

/**
 * The entry of a skill. Its digests are those of the signed statement, so whoever checks them checks the
 * signature's word; signer, version, package and permissions stand in `_meta` under Berth's own prefix.
 */
export function skillEntry(
  skill: { name: string; files: Readonly<Record<string, string>> } & Provenance,
  { frontmatter, sizes }: AgentSkill,
): SkillEntry {
  return {
    uri: fileUri(skill.name, SKILL_FILE),
    frontmatter,
    resources: Object.entries(sizes)
      .map(([path, size]) => ({
        uri: fileUri(skill.name, path),
        digest: `sha256:${skill.files[path]}`,
        size,
      }))
      .toSorted(byUri),
    _meta: {
      'dev.berth/signer': skill.signer,
      'dev.berth/version': skill.version,
      'dev.berth/package': skill.digest,
      'dev.berth/permissions': skill.permissions,
    },
  };
}

/** SKILL.md as `resources/list` shows it: named and described by its front matter. */
export function instructionsResource({ uri, frontmatter, resources }: SkillEntry): {
  uri: string;
  name: string;
  [field: string]: unknown;
} {
  return {
    uri,
    name: frontmatter.name,
    description: frontmatter.description,
    mimeType: mimeTypeOf(SKILL_FILE),
    size: resources.find((file) => file.uri === uri)?.size ?? 0,
  };
}

/** The entry whose SKILL.md a URI names, however it is spelled. */
export function entryAt(entries: readonly SkillEntry[], uri: string): SkillEntry | undefined {
  const place = placeOf(uri);
  if (place?.path !== SKILL_FILE) return undefined;
  return entries.find((entry) => entry.uri === fileUri(place.skill, SKILL_FILE));
}

/** What lies directly in a folder of a skill; undefined when the URI names none. */
export function childrenAt(
  entries: readonly SkillEntry[],
  uri: string,
): readonly Record<string, unknown>[] | undefined {
  const { skill, path: folder } = placeOf(uri) ?? {};
  if (skill === undefined || folder === undefined) return undefined;
  const entry = entries.find((shown) => shown.uri === fileUri(skill, SKILL_FILE));
  const inside = folder === '' ? '' : `${folder}/`;
  const children = new Map<string, Record<string, unknown> & { uri: string }>();
  for (const { uri: file, size } of entry?.resources ?? []) {
    const path = placeOf(file)?.path ?? '';
    if (!path.startsWith(inside)) continue;
    const [name = '', ...deeper] = path.slice(inside.length).split('/');
    const child = fileUri(skill, inside + name);
    children.set(
      name,
      deeper.length > 0
        ? { uri: child, name, mimeType: 'inode/directory' }
        : { uri: child, name, mimeType: mimeTypeOf(name), size },
    );
  }
  return children.size === 0 ? undefined : [...children.values()].toSorted(byUri);
}

/** In the order of code units, the same everywhere. */
function byUri(a: { uri: string }, b: { uri: string }): number {
  if (a.uri === b.uri) return 0;
  return a.uri < b.uri ? -1 : 1;
}
