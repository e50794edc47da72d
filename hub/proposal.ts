import { sayable } from '../protocol/canonical.ts';
import { type ConfigField, type Manifest, splitName } from '../protocol/manifest.ts';
import {
  atoms,
  diff,
  networkId,
  normalise,
  withoutAtoms,
  type Permissions,
} from '../protocol/permissions.ts';
import type { Answer } from '../protocol/policy.ts';
import { boundEffects, diffSurface, suggestAnswer, toolEffects } from '../protocol/surface.ts';
import { compareVersions } from '../protocol/version.ts';
import type { VerifiedVersion } from './fetch.ts';
import { effectsWithin, type InstalledSkill } from './installed.ts';

/** Of a place in a surface, whose names are the author's. */
const MAX_PATH_CHARS = 200;

/** What an admin has to bring before a version can serve. */
export interface Need {
  kind: 'workspace' | 'config' | 'secret';
  name: string;
  /** How the CLI takes it. */
  flag: string;
  title?: string | undefined;
}

/** A tool as proposed: what it may do and which answer is suggested. */
export interface ProposedTool {
  name: string;
  title?: string;
  description?: string;
  effects: string[];
  reversible: boolean;
  answer: Answer;
}

/**
 * What an acceptance would grant: what is asked, less what it refuses and what was refused earlier. An upgrade must
 * not bring back what was left out; a refusal is undone by accepting the version that serves once more.
 * @throws AppError `grant-not-found` for a permission that is not asked.
 */
export function grantedBy(
  offered: VerifiedVersion,
  current: InstalledSkill | undefined,
  without: readonly string[] = [],
): Permissions {
  const asked = normalise(offered.manifest.permissions);
  if (current === undefined || current.digest === offered.digest) return withoutAtoms(asked, without);
  const askedBefore = new Set(atoms(normalise(current.manifest.permissions)).map((atom) => atom.id));
  const standing = new Set(current.grants.map((grant) => grant.permissionId));
  const refused = atoms(asked)
    .map((atom) => atom.id)
    .filter((id) => askedBefore.has(id) && !standing.has(id));
  return withoutAtoms(asked, [...new Set([...refused, ...without])]);
}

/** What is wider than what serves today, one sentence each; empty for a version that only narrows or repairs. */
export function widenings(
  offered: VerifiedVersion,
  current: InstalledSkill | undefined,
  pinnedSigner: string | undefined,
  granted: Permissions = grantedBy(offered, current),
): string[] {
  const sentences: string[] = [];
  if (pinnedSigner !== undefined && pinnedSigner !== offered.signer) {
    sentences.push(
      `It is signed by ${offered.signer}; skills of ${splitName(offered.name).namespace} were approved with ${pinnedSigner}.`,
    );
  }
  if (current === undefined) return sentences;
  if (current.quarantine !== undefined)
    sentences.push('It is in quarantine, for it said something else than what was approved.');
  // What was granted counts, not what was asked: a refused folder makes no room for one that lies in it.
  const change = diff(current.permissions, granted);
  sentences.push(...[...change.added, ...change.widened].map((item) => item.sentence));
  sentences.push(...raisedEffects(offered, current, granted));
  const said = [
    ...diffSurface(current.surface, offered.surface).map((difference) => difference.path),
    ...changedTexts(offered, current),
  ].map((path) => sayable(path, MAX_PATH_CHARS));
  if (said.length > 0) sentences.push(`It says something else to the model: ${said.slice(0, 8).join(', ')}.`);
  return sentences;
}

/** That a version is older than the one that serves, in a sentence: a registry may hold back what is newer. */
export function goesBack(offered: VerifiedVersion, current: InstalledSkill | undefined): string[] {
  if (current === undefined || compareVersions(offered.version, current.version) >= 0) return [];
  return [`It is older than ${current.version}, which serves now.`];
}

/** The texts of a skill of instructions are what it says to a model; its surface only lists them. */
function changedTexts(offered: VerifiedVersion, current: InstalledSkill): string[] {
  if (offered.manifest.runtime.kind !== 'prompt-only') return [];
  return offered.surface.resources
    .map(({ name }) => name)
    .filter((path) => offered.files[path] !== current.files[path]);
}

function raisedEffects(offered: VerifiedVersion, current: InstalledSkill, granted: Permissions): string[] {
  return offered.surface.tools.flatMap((tool) => {
    const before = current.tools.get(tool.name);
    const effects = boundEffects(toolEffects(tool, offered.manifest), granted);
    if (before === undefined) return [`It has a new tool, ${tool.name}, which may ${effects.join(', ')}.`];
    const more = effects.filter((effect) => !before.effects.includes(effect));
    return more.length === 0 ? [] : [`Its tool ${tool.name} may now ${more.join(', ')}, too.`];
  });
}

/**
 * Each tool with the answer that stands, or a suggestion where it is new or does more than before.
 * Without `bounds` nothing holds the skill to what was granted.
 */
export function proposedTools(
  offered: VerifiedVersion,
  bounds: Permissions | undefined,
  current: InstalledSkill | undefined,
): ProposedTool[] {
  // Nobody holds to its word what runs elsewhere or without a sandbox.
  const unheld = offered.manifest.runtime.kind === 'remote' || bounds === undefined;
  return offered.surface.tools.map((tool) => {
    const effects = effectsWithin(toolEffects(tool, offered.manifest), bounds);
    const before = current?.tools.get(tool.name);
    const grew = before === undefined || effects.some((effect) => !before.effects.includes(effect));
    const { title, description } = tool as { title?: unknown; description?: unknown };
    return {
      name: tool.name,
      ...(typeof title === 'string' ? { title } : {}),
      ...(typeof description === 'string' ? { description } : {}),
      effects: [...effects],
      reversible: offered.manifest.tools[tool.name]?.reversible ?? false,
      answer:
        before !== undefined && (!grew || before.answer === 'deny')
          ? before.answer
          : suggestAnswer(effects, unheld),
    };
  });
}

/** What is missing of workspace, configuration and required secrets. */
export function needsOf(
  manifest: Manifest,
  have: { workspace: boolean; config: Readonly<Record<string, unknown>>; secrets: ReadonlySet<string> },
): Need[] {
  const needs: Need[] = [];
  if (!have.workspace && usesWorkspace(manifest)) {
    needs.push({
      kind: 'workspace',
      name: 'workspace',
      flag: '--workspace DIR',
      title: 'The folder it works in',
    });
  }
  for (const [key, field] of Object.entries(manifest.config)) {
    if (field.default !== undefined || have.config[key] !== undefined) continue;
    needs.push({ kind: 'config', name: key, flag: `--set ${key}=VALUE`, title: field.title });
  }
  for (const secret of manifest.permissions.secrets ?? []) {
    if (!secret.required || have.secrets.has(secret.name)) continue;
    needs.push({
      kind: 'secret',
      name: secret.name,
      flag: `--secret ${secret.name}=env:VARIABLE`,
      title: secret.reason,
    });
  }
  return needs;
}

/** Configuration with defaults filled in; what has neither value nor default is left out. */
export function configOf(
  fields: Readonly<Record<string, ConfigField>>,
  given: Readonly<Record<string, string | number | boolean>>,
): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([key, field]) => {
      const value = given[key] ?? field.default;
      return value === undefined ? [] : [[key, value] as const];
    }),
  );
}

export function usesWorkspace(manifest: Manifest): boolean {
  const args = 'args' in manifest.runtime ? manifest.runtime.args : [];
  const paths = (manifest.permissions.filesystem ?? []).map((folder) => folder.path);
  return [...args, ...paths].some((text) => text.includes('${workspace}'));
}

/** What a manifest asks, whole and in single permissions with the author's reasons. */
export function askedFor(manifest: Manifest): {
  permissions: Permissions;
  atoms: { id: string; sentence: string; reason?: string }[];
} {
  const permissions = normalise(manifest.permissions);
  const reasons = reasonsOf(manifest);
  return {
    permissions,
    atoms: atoms(permissions).map(({ id, sentence }) => {
      const reason = reasons.get(id);
      return { id, sentence, ...(reason === undefined ? {} : { reason }) };
    }),
  };
}

function reasonsOf({ permissions }: Manifest): Map<string, string | undefined> {
  return new Map<string, string | undefined>([
    ...permissions.network.flatMap((entry) =>
      normalise({ network: [entry] }).network.map((single) => [networkId(single), entry.reason] as const),
    ),
    ...permissions.filesystem.map(({ path, reason }) => [`filesystem:${path}`, reason] as const),
    ...permissions.secrets.map(({ name, reason }) => [`secrets:${name}`, reason] as const),
    ...permissions.subprocess.map(({ exec, reason }) => [`subprocess:${exec}`, reason] as const),
  ]);
}
