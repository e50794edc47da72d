import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SkillCatalogError, skillEntry } from '@modelcontextprotocol/server/ext/skills';
import { AppError } from '../protocol/errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { contentsOf, placeOf, readablePaths, SKILL_FILE } from '../protocol/package-files.ts';
import { type AgentSkill, SKILL_LIMITS } from '../protocol/skills-extension.ts';
import type { GatewayRequest } from './mcp/gateway.ts';
import { type FileDigests, packageChanged, sha256Hex } from './packages.ts';

/** Each file has to fit into one result, also as base64 and with its characters escaped. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;
/** Front matter is shown in lists. */
const MAX_FRONT_MATTER_BYTES = 64 * 1024;

/** A package that was verified and unpacked. */
interface UnpackedPackage {
  name: string;
  digest: string;
  manifest: Manifest;
  files: FileDigests;
  packageDir: string;
}

/** What the installed packages hold for reading, by digest of the package; each is read from disk once. */
export function agentSkills() {
  const known = new Map<string, AgentSkill | undefined>();
  return {
    /** Undefined for a package that is no Agent Skill, and for one that `load` has not read yet. */
    of: (digest: string): AgentSkill | undefined => known.get(digest),
    /** Reads what is new and forgets what is not there any more. */
    async load(packages: readonly UnpackedPackage[]): Promise<void> {
      const present = new Set(packages.map(({ digest }) => digest));
      for (const digest of known.keys()) if (!present.has(digest)) known.delete(digest);
      for (const found of packages) {
        if (known.has(found.digest)) continue;
        try {
          known.set(found.digest, await readAgentSkill(found));
        } catch (error) {
          // What cannot be read is not shown either; it may have been put right by the next time.
          if (!(error instanceof AppError)) throw error;
        }
      }
    },
  };
}

/**
 * Reads what a package has to be read, if it has a SKILL.md named as the skill and keeps the bounds of the Skills
 * extension.
 * @throws AppError `files-changed`.
 */
export async function readAgentSkill({
  name,
  manifest,
  files,
  packageDir,
}: UnpackedPackage): Promise<AgentSkill | undefined> {
  const paths = readablePaths(manifest, Object.keys(files));
  if (!paths.includes(SKILL_FILE) || paths.length > SKILL_LIMITS.files) return undefined;
  const sizes: Record<string, number> = {};
  let left: number = SKILL_LIMITS.bytes;
  let instructions: Uint8Array | undefined;
  try {
    for (const path of paths) {
      const bytes = await readSigned(packageDir, path, files, Math.min(left, MAX_FILE_BYTES));
      if (bytes === undefined) return undefined;
      if (path === SKILL_FILE) instructions = bytes;
      sizes[path] = bytes.length;
      left -= bytes.length;
    }
    // The SDK reads front matter exactly as its clients will, so both see the same fields.
    const { frontmatter } = await skillEntry(name, { [SKILL_FILE]: instructions ?? '' });
    return JSON.stringify(frontmatter).length > MAX_FRONT_MATTER_BYTES ? undefined : { frontmatter, sizes };
  } catch (error) {
    if (error instanceof SkillCatalogError) return undefined;
    throw error;
  }
}

/** Which file of the package a request is about; undefined for everything that only the skill itself can answer. */
export function fileAsked(
  skill: { name: string; agentSkill: AgentSkill | undefined },
  { method, params }: Pick<GatewayRequest, 'method' | 'params'>,
): string | undefined {
  if (method !== 'resources/read' || skill.agentSkill === undefined) return undefined;
  const place = placeOf(String(params['uri']));
  if (place?.path === undefined || place.skill !== skill.name) return undefined;
  return Object.hasOwn(skill.agentSkill.sizes, place.path) ? place.path : undefined;
}

/**
 * Answers a read from the package, without starting anything.
 * @throws AppError `files-changed` when the file is not the one that was signed any more.
 */
export async function readSkillFile(
  { packageDir, files }: Pick<UnpackedPackage, 'packageDir' | 'files'>,
  path: string,
  uri: string,
): Promise<Record<string, unknown>> {
  const bytes = await readSigned(packageDir, path, files, MAX_FILE_BYTES);
  // It was within the bound when the package was loaded.
  if (bytes === undefined) throw packageChanged(`${path} has grown`);
  return contentsOf(uri, path, bytes);
}

/** A file with the bytes that were signed; undefined when it is larger than `most`. @throws AppError `files-changed`. */
async function readSigned(
  packageDir: string,
  path: string,
  files: FileDigests,
  most: number,
): Promise<Uint8Array | undefined> {
  const host = join(packageDir, path);
  const found = await lstat(host).catch(() => undefined);
  if (found === undefined) throw packageChanged(`${path} is missing`);
  if (!found.isFile()) throw packageChanged(`${path} does not belong to it`);
  if (found.size > most) return undefined;
  const bytes = await readFile(host);
  if (sha256Hex(bytes) !== files[path]) throw packageChanged(`${path} has other bytes`);
  return bytes;
}
