import { type Manifest, unverifiable } from '../protocol/manifest.ts';
import { describe, type Permissions } from '../protocol/permissions.ts';
import { AppError } from '../protocol/errors.ts';
import type { ApprovalView, ClientView, GrantView, InstalledSkillView } from './admin-api.ts';
import { type Client, LOCAL_USER } from './clients.ts';
import type { Proposal } from './approvals.ts';
import { describeMount, mountsOf } from './folders.ts';
import { type Grant, gapOf, type InstalledSkill } from './installed.ts';
import type { HubPaths } from './paths.ts';
import { askedFor, needsOf, proposedTools } from './proposal.ts';
import { programsOf } from './bindings.ts';
import type { HostFile, SandboxDriver } from './sandbox/sandbox.ts';
import { UNSANDBOXED_SENTENCE, UNSANDBOXED_WARNING } from './sandbox/unsandboxed.ts';
import type { Secrets } from './secrets/secrets.ts';

/** What the views need to look things up. */
export interface ViewParts {
  driver: SandboxDriver;
  /** For skills that were approved to run without a sandbox. */
  unsandboxed: SandboxDriver;
  secrets: Secrets;
  paths: HubPaths;
}

/** An installed skill as the admin API shows it. */
export async function skillView(
  parts: ViewParts,
  skill: InstalledSkill,
  waiting: string | undefined,
): Promise<InstalledSkillView> {
  const tools = [...skill.tools.values()];
  const sentences = sentencesOf(skill);
  return {
    name: skill.name,
    alias: skill.alias,
    version: skill.version,
    digest: skill.digest,
    signer: skill.signer,
    title: skill.manifest.title,
    description: skill.manifest.description,
    kind: skill.manifest.runtime.kind,
    state: skill.quarantine !== undefined ? 'quarantined' : skill.blocked !== undefined ? 'blocked' : 'ready',
    ...problemOf(skill),
    can: inPlace(sentences.can, skill.workspace),
    cannot: inPlace(sentences.cannot, skill.workspace),
    asksFirst: sentences.asksFirst,
    unsandboxed: skill.unsandboxed,
    unverified: [...(skill.unsandboxed ? [UNSANDBOXED_WARNING] : []), ...unverified(skill.manifest)],
    notes: [...(await mountNotes(parts, skill)), ...(await machineNotes(parts, skill))],
    tools: tools.map((tool) => ({
      name: tool.name,
      ...textField('title', tool.definition),
      ...textField('description', tool.definition),
      effects: [...tool.effects],
      enforced: tool.enforced,
      reversible: tool.reversible,
      answer: tool.answer,
    })),
    grants: skill.grants.map((grant) => grantOf(skill.name, grant)),
    ...(skill.workspace === undefined ? {} : { workspace: skill.workspace }),
    config: skill.config,
    folders: Object.fromEntries(
      Object.entries(skill.folders).map(([path, { device, inode }]) => [path, `${device}:${inode}`]),
    ),
    installedAt: skill.installedAt,
    ...(waiting === undefined ? {} : { waiting }),
  };
}

/** A proposal as the admin API shows it. */
export async function approvalView(parts: ViewParts, proposal: Proposal): Promise<ApprovalView> {
  const { offered, current } = proposal;
  const { manifest } = offered;
  const asked = askedFor(manifest, current?.config);
  const tools = proposedTools(offered, asked.permissions, current);
  const sentences = describe(asked.permissions, tools);
  const gap =
    gapOf(manifest, asked.permissions, await parts.driver.report())?.sentence ??
    (await missingProgram(parts, offered, asked.permissions));
  return {
    id: proposal.id,
    kind: proposal.kind,
    state: proposal.state,
    createdAt: proposal.createdAt,
    ...(proposal.settledAt === undefined ? {} : { settledAt: proposal.settledAt }),
    skill: offered.name,
    version: offered.version,
    ...(current === undefined ? {} : { from: current.version }),
    title: manifest.title,
    description: manifest.description,
    digest: offered.digest,
    signer: offered.signer,
    verified: [...offered.verified],
    unverified: unverified(manifest),
    can: sentences.can,
    cannot: sentences.cannot,
    widened: [...proposal.widened],
    permissions: asked.atoms,
    tools,
    needs: needsOf(manifest, {
      workspace: current?.workspace !== undefined,
      config: current?.config ?? {},
      secrets: new Set(parts.secrets.of(offered.name).keys()),
    }),
    ...(gap === undefined ? {} : { problem: gap }),
  };
}

/** What a skill can and cannot do. Without a sandbox it can do anything, whatever was granted. */
function sentencesOf({ permissions, tools, unsandboxed }: InstalledSkill): ReturnType<typeof describe> {
  const sentences = describe(permissions, [...tools.values()]);
  return unsandboxed ? { ...sentences, can: [UNSANDBOXED_SENTENCE], cannot: [] } : sentences;
}

/** What nobody can check, in sentences. */
function unverified({ runtime }: Manifest): string[] {
  const sentence = unverifiable(runtime.kind);
  return sentence === undefined ? [] : [sentence];
}

/** Sentences with the folder that was granted in the place of its name. */
function inPlace(sentences: readonly string[], workspace: string | undefined): string[] {
  return sentences.map((line) =>
    workspace === undefined ? line : line.replaceAll('${workspace}', workspace),
  );
}

/** A standing grant as the admin API shows it. */
export function grantOf(skill: string, grant: Grant): GrantView {
  return {
    id: grant.id,
    skill,
    permission: grant.permissionId,
    sentence: grant.sentence,
    grantedBy: grant.grantedBy,
    grantedAt: grant.grantedAt,
  };
}

export function clientView(client: Client): ClientView {
  return {
    name: client.name,
    user: client.user,
    shown: client.exposure,
    createdAt: client.createdAt,
    ...(client.expiresAt === undefined ? {} : { expiresAt: client.expiresAt }),
    ...(client.lastSeenAt === undefined ? {} : { lastSeenAt: client.lastSeenAt }),
  };
}

function problemOf(skill: InstalledSkill): { problem?: string } {
  if (skill.quarantine !== undefined) {
    const paths = skill.quarantine.slice(0, 5).map((difference) => difference.path);
    return { problem: `It says something else than what was approved: ${paths.join(', ')}.` };
  }
  return skill.blocked === undefined ? {} : { problem: skill.blocked };
}

/** How each granted folder is held; a folder that is gone or refused by now says so itself. */
async function mountNotes(parts: ViewParts, skill: InstalledSkill): Promise<string[]> {
  // Nothing is held there: the warning says so.
  if (skill.unsandboxed) return [];
  const mounts = mountsOf(skill, parts.paths.dataOf(LOCAL_USER, skill.name));
  const notes = await Promise.all(
    mounts.map((mount) =>
      describeMount(parts.driver, skill, mounts, mount).then(
        (held) => (held === undefined ? [] : [`${mount.source}: ${held}`]),
        ({ message, hint }: AppError) => [
          `${mount.source}: ${message}`,
          ...(hint === undefined ? [] : [`  ${hint}`]),
        ],
      ),
    ),
  );
  return notes.flat();
}

/** A program that it asks for and this machine lacks, in a sentence. */
async function missingProgram(
  parts: ViewParts,
  offered: Proposal['offered'],
  permissions: Permissions,
): Promise<string | undefined> {
  return programsOf(parts, offered, permissions).then(
    () => undefined,
    (error: unknown) =>
      error instanceof AppError && error.code === 'program-missing' ? error.message : undefined,
  );
}

/** What of this machine it runs with, beside the hub's own Node. */
async function machineNotes(parts: ViewParts, skill: InstalledSkill): Promise<string[]> {
  const { kind } = skill.manifest.runtime;
  if (kind === 'node' && skill.permissions.subprocess.length === 0) return [];
  const driver = skill.unsandboxed ? parts.unsandboxed : parts.driver;
  return programsOf({ paths: parts.paths, driver }, skill, skill.permissions).then(
    (files) => notesOn(kind, files),
    (error: Error) => [error.message],
  );
}

function notesOn(kind: Manifest['runtime']['kind'], files: readonly HostFile[]): string[] {
  const libraries = files.filter(({ role }) => role === 'library').map(({ name }) => name);
  return [
    ...files
      .filter(({ role }) => role === 'program' || (role === 'runtime' && kind !== 'node'))
      .map(
        ({ name, version, path }) =>
          `Runs ${[name, version].filter(Boolean).join(' ')} of this machine, ${path}.`,
      ),
    ...(kind === 'binary'
      ? [
          libraries.length === 0
            ? 'Needs no library of this machine.'
            : `Loads libraries of this machine: ${libraries.join(', ')}.`,
        ]
      : []),
  ];
}

function textField<Key extends 'title' | 'description'>(
  key: Key,
  definition: Record<string, unknown>,
): { [K in Key]?: string } {
  const value = definition[key];
  return typeof value === 'string' ? ({ [key]: value } as { [K in Key]?: string }) : {};
}
