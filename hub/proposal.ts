import { sayable } from '../protocol/canonical.ts';
import { type ConfigField, type Manifest, splitName } from '../protocol/manifest.ts';
import {
  atoms,
  diff,
  fillHosts,
  hostKeysOf,
  networkId,
  normalise,
  withoutAtoms,
  type Permissions,
} from '../protocol/permissions.ts';
import type { Answer } from '../protocol/policy.ts';
import { boundEffects, diffSurface, isEnforced, suggestAnswer, toolEffects } from '../protocol/surface.ts';
import { compareVersions } from '../protocol/version.ts';
import type { VerifiedVersion } from './fetch.ts';
import { effectsWithin, type InstalledSkill } from './installed.ts';

/** Of a place in a surface, whose names are the author's. */
const MAX_PATH_CHARS = 200;

/** What an admin has to bring before a version can serve. */
export interface Need {
  kind: 'workspace' | 'config' | 'host' | 'secret';
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
  /** Whether the sandbox holds it to reading, or it is its author's word. */
  enforced: boolean;
  reversible: boolean;
  answer: Answer;
}

/** Config values by key. */
export type Config = Readonly<Record<string, string | number | boolean>>;

/** What a manifest asks, with the hosts that config values and defaults stand for. */
export function askedWith(manifest: Pick<Manifest, 'config' | 'permissions'>, config: Config): Permissions {
  return fillHosts(normalise(manifest.permissions), configOf(manifest.config, config));
}

/** What an acceptance says beside yes: what it leaves out, and the config values with which it is granted. */
export interface Terms {
  without?: readonly string[] | undefined;
  /** Absent: those of what serves. */
  config?: Config;
  /** Keys of which the value was given anew: a host in it is granted, also where it was taken back before. */
  chosen?: readonly string[];
}

/**
 * What an acceptance would grant: what is asked, less what it refuses and what was refused earlier. An upgrade must
 * not bring back what was left out; a refusal is undone by accepting the version that serves once more.
 * @throws AppError `grant-not-found` for a permission that is not asked.
 */
export function grantedBy(
  { manifest, digest }: VerifiedVersion,
  current: InstalledSkill | undefined,
  { without = [], config = current?.config ?? {}, chosen = [] }: Terms = {},
): Permissions {
  const plain = normalise(manifest.permissions);
  // A reference may be refused by its own name, and each host that stands for it by that of the host.
  const references = atoms(plain).map((atom) => atom.id);
  const asked = fillHosts(
    withoutAtoms(
      plain,
      without.filter((id) => references.includes(id)),
    ),
    configOf(manifest.config, config),
  );
  const filled = new Set(atoms(asked).map((atom) => atom.id));
  const left = without.filter((id) => filled.has(id) || !references.includes(id));
  if (current === undefined || current.digest === digest) return withoutAtoms(asked, left);
  const askedBefore = new Set(atoms(askedWith(current.manifest, current.config)).map((atom) => atom.id));
  const standing = new Set(current.grants.map((grant) => grant.permissionId));
  const anew = new Set(hostsOf(plain, chosen, config).map(networkId));
  const refused = [...filled].filter((id) => askedBefore.has(id) && !standing.has(id) && !anew.has(id));
  return withoutAtoms(asked, [...new Set([...refused, ...left])]);
}

/** The hosts that these keys stand for. */
function hostsOf(permissions: Permissions, keys: readonly string[], config: Config): Permissions['network'] {
  const references = new Set(keys.map((key) => `\${config.${key}}`));
  const network = permissions.network.filter(({ host }) => references.has(host));
  return fillHosts({ ...permissions, network }, config).network;
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
  if (current.manifest.stateless === true && offered.manifest.stateless !== true)
    sentences.push('Its tools that only read are not held to it any more: it is not stateless now.');
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
      enforced: bounds !== undefined && isEnforced(effects, bounds, offered.manifest.stateless),
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
  const hosts = hostKeysOf(manifest.permissions);
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
    if (hosts.includes(key)) {
      const flag = `--allow-host ${hosts.length === 1 ? '' : `${key}@`}HOST`;
      needs.push({ kind: 'host', name: key, flag, title: field.title });
      continue;
    }
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

/** What a manifest asks with these config values, whole and in single permissions with the author's reasons. */
export function askedFor(
  manifest: Manifest,
  config: Config = {},
): {
  permissions: Permissions;
  atoms: { id: string; sentence: string; reason?: string }[];
} {
  const permissions = askedWith(manifest, config);
  const reasons = reasonsOf(manifest, config);
  return {
    permissions,
    atoms: atoms(permissions).map(({ id, sentence }) => {
      const reason = reasons.get(id);
      return { id, sentence, ...(reason === undefined ? {} : { reason }) };
    }),
  };
}

function reasonsOf(
  { permissions, config: fields }: Manifest,
  config: Config,
): Map<string, string | undefined> {
  return new Map<string, string | undefined>([
    ...permissions.network.flatMap((entry) =>
      askedWith({ config: fields, permissions: { ...permissions, network: [entry] } }, config).network.map(
        (single) => [networkId(single), entry.reason] as const,
      ),
    ),
    ...permissions.filesystem.map(({ path, reason }) => [`filesystem:${path}`, reason] as const),
    ...permissions.secrets.map(({ name, reason }) => [`secrets:${name}`, reason] as const),
    ...permissions.subprocess.map(({ exec, reason }) => [`subprocess:${exec}`, reason] as const),
  ]);
}
