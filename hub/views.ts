import { type Manifest, unverifiable } from '../protocol/manifest.ts';
import { bindPaths, describe } from '../protocol/permissions.ts';
import type { ApprovalView, ClientView, GrantView, InstalledSkillView } from './admin-api.ts';
import { type Client, LOCAL_USER } from './clients.ts';
import type { Proposal } from './approvals.ts';
import { type Grant, gapOf, type InstalledSkill } from './installed.ts';
import type { HubPaths } from './paths.ts';
import { askedFor, needsOf, proposedTools } from './proposal.ts';
import type { SandboxDriver } from './sandbox/sandbox.ts';
import { UNSANDBOXED_SENTENCE, UNSANDBOXED_WARNING } from './sandbox/unsandboxed.ts';
import type { Secrets } from './secrets/secrets.ts';

/** What the views need to look things up. */
export interface ViewParts {
  driver: SandboxDriver;
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
    notes: await mountNotes(parts, skill),
    tools: tools.map((tool) => ({
      name: tool.name,
      ...textField('title', tool.definition),
      ...textField('description', tool.definition),
      effects: [...tool.effects],
      reversible: tool.reversible,
      answer: tool.answer,
    })),
    grants: skill.grants.map((grant) => grantOf(skill.name, grant)),
    ...(skill.workspace === undefined ? {} : { workspace: skill.workspace }),
    config: skill.config,
    installedAt: skill.installedAt,
    ...(waiting === undefined ? {} : { waiting }),
  };
}

/** A proposal as the admin API shows it. */
export async function approvalView(parts: ViewParts, proposal: Proposal): Promise<ApprovalView> {
  const { offered, current } = proposal;
  const { manifest } = offered;
  const asked = askedFor(manifest);
  const tools = proposedTools(offered, asked.permissions, current);
  const sentences = describe(asked.permissions, tools);
  const gap = gapOf(manifest, asked.permissions, await parts.driver.report());
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
    ...(gap === undefined ? {} : { problem: gap.sentence }),
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
  if (skill.unsandboxed) return [];
  const data = parts.paths.dataOf(LOCAL_USER, skill.name);
  const mounts = bindPaths(skill.permissions, { workspace: skill.workspace, data, config: skill.config });
  return Promise.all(
    mounts
      .filter((mount) => mount.root !== data)
      .map((mount) =>
        parts.driver.describeMount(mount).then(
          (held) => `${mount.source}: ${held}`,
          (error: Error) => `${mount.source}: ${error.message}`,
        ),
      ),
  );
}

function textField<Key extends 'title' | 'description'>(
  key: Key,
  definition: Record<string, unknown>,
): { [K in Key]?: string } {
  const value = definition[key];
  return typeof value === 'string' ? ({ [key]: value } as { [K in Key]?: string }) : {};
}
