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
import type { VerifiedVersion } from './fetch.ts';
import type { InstalledSkill } from './installed.ts';

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
 * What is wider than what serves today, one sentence each; empty for a version that only narrows or repairs.
 * `without` names permissions that will not be granted anyway.
 */
export function widenings(
  offered: VerifiedVersion,
  current: InstalledSkill | undefined,
  pinnedSigner: string | undefined,
  without: readonly string[] = [],
): string[] {
  const sentences: string[] = [];
  if (pinnedSigner !== undefined && pinnedSigner !== offered.signer) {
    sentences.push(
      `It is signed by ${offered.signer}; skills of ${splitName(offered.name).namespace} were approved with ${pinnedSigner}.`,
    );
  }
  if (current === undefined) return sentences;
  const asked = withoutAtoms(normalise(offered.manifest.permissions), without);
  // A permission that was refused before is not news when it is merely asked again.
  const before =
    current.digest === offered.digest ? current.permissions : normalise(current.manifest.permissions);
  const change = diff(before, asked);
  sentences.push(...[...change.added, ...change.widened].map((item) => item.sentence));
  sentences.push(...raisedEffects(offered, current));
  const said = diffSurface(current.surface, offered.surface).map((difference) => difference.path);
  if (said.length > 0) sentences.push(`It says something else to the model: ${said.slice(0, 8).join(', ')}.`);
  return sentences;
}

function raisedEffects(offered: VerifiedVersion, current: InstalledSkill): string[] {
  const asked = normalise(offered.manifest.permissions);
  return offered.surface.tools.flatMap((tool) => {
    const before = current.tools.get(tool.name);
    const effects = boundEffects(toolEffects(tool, offered.manifest), asked);
    if (before === undefined) return [`It has a new tool, ${tool.name}, which may ${effects.join(', ')}.`];
    const more = effects.filter((effect) => !before.effects.includes(effect));
    return more.length === 0 ? [] : [`Its tool ${tool.name} may now ${more.join(', ')}, too.`];
  });
}

/** Each tool with the answer that stands, or a suggestion where it is new or does more than before. */
export function proposedTools(
  offered: VerifiedVersion,
  granted: Permissions,
  current: InstalledSkill | undefined,
): ProposedTool[] {
  return offered.surface.tools.map((tool) => {
    const effects = boundEffects(toolEffects(tool, offered.manifest), granted);
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
        before !== undefined && (!grew || before.answer === 'deny') ? before.answer : suggestAnswer(effects),
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
