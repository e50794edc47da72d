import type { Kysely } from 'kysely';
import type { Effect, Manifest } from '../protocol/manifest.ts';
import { ofAtoms, type Permissions } from '../protocol/permissions.ts';
import type { Answer } from '../protocol/policy.ts';
import type { AgentSkill } from '../protocol/skills-extension.ts';
import { boundEffects, isEnforced, type Surface, toolEffects } from '../protocol/surface.ts';
import type { GrantedFolders } from './folders.ts';
import { packageDirOf } from './paths.ts';
import { ungranted } from './remote/plan.ts';
import { gapIn, needsOf } from './sandbox/needs.ts';
import type { Capability, SandboxReport } from './sandbox/sandbox.ts';
import { UNSANDBOXED } from './sandbox/unsandboxed.ts';
import { agentSkills } from './skill-files.ts';
import type { HubTables } from './store/schema.ts';

/** A skill as it serves now: what was verified, what was granted, and what follows from both. */
export interface InstalledSkill {
  name: string;
  /** Short name, unique in this hub; prefix of its tools at `/mcp`. */
  alias: string;
  version: string;
  digest: string;
  signer: string;
  manifest: Manifest;
  surface: Surface;
  /** The sum of the grants that stand. */
  permissions: Permissions;
  grants: readonly Grant[];
  workspace: string | undefined;
  config: Readonly<Record<string, string | number | boolean>>;
  folders: GrantedFolders;
  tools: ReadonlyMap<string, InstalledTool>;
  /** Path in the package → sha256 hex. */
  files: Readonly<Record<string, string>>;
  packageDir: string;
  /** Set when the package holds a SKILL.md: what may be read of it without starting the skill. */
  agentSkill: AgentSkill | undefined;
  epoch: number;
  quarantine: readonly SurfaceDifference[] | undefined;
  /** Whether an admin approved that it runs without a sandbox. */
  unsandboxed: boolean;
  /** What the sandbox of this machine cannot hold the skill to, in a sentence: it will not start. */
  blocked: string | undefined;
  /** The capabilities that are missing, where it is blocked for want of some. */
  lacks: readonly Capability[];
  installedAt: string;
}

export interface InstalledTool {
  name: string;
  /** The tool as the skill describes it, in wire form. */
  definition: Record<string, unknown>;
  /** Bounded by what the grants make possible. */
  effects: readonly Effect[];
  /** Whether the sandbox holds it to reading, or it is its author's word. */
  enforced: boolean;
  reversible: boolean;
  answer: Answer;
}

export interface Grant {
  id: string;
  /** Stable id of the permission, such as `filesystem:${workspace}`. */
  permissionId: string;
  permission: Permissions;
  sentence: string;
  grantedBy: string;
  grantedAt: string;
}

export interface SurfaceDifference {
  path: string;
  before?: unknown;
  after?: unknown;
}

/** What serves now, in memory: the call path reads this and never the database. */
export interface InstalledSkills {
  get(name: string): InstalledSkill | undefined;
  /** By full name or alias. */
  find(nameOrAlias: string): InstalledSkill | undefined;
  /** In order of name. */
  list(): readonly InstalledSkill[];
  /** Reads the database again after a change and tells listeners. */
  reload(): Promise<void>;
  onChange(listener: () => void): () => void;
}

/** What of a driver's report says whether a skill may run. */
export type Holding = Pick<SandboxReport, 'usable' | 'enforces' | 'requires'>;

interface InstalledSkillsParts {
  db: Kysely<HubTables>;
  /** Where versions lie unpacked. */
  packagesDir: string;
  /** What the sandbox of this machine can hold a skill to, and what it has to. */
  sandbox: Holding;
  /** Whether this hub runs what was approved to run without a sandbox. */
  allowUnsandboxed: boolean;
}

/** Loads the installed skills of a hub. */
export async function openInstalledSkills(parts: InstalledSkillsParts): Promise<InstalledSkills> {
  // In one transaction: grants of one state with the tools of the next are no state that anybody approved.
  const read = () => parts.db.transaction().execute((db) => readSkills({ ...parts, db }));
  const reading = agentSkills();
  let skills: readonly InstalledSkill[] = [];
  let byName: ReadonlyMap<string, InstalledSkill> = new Map();
  const keep = (found: readonly Omit<InstalledSkill, 'agentSkill'>[]): void => {
    skills = found.map((skill) => ({ ...skill, agentSkill: reading.of(skill.digest) }));
    byName = new Map(skills.map((skill) => [skill.name, skill]));
  };
  /** What was granted or taken back counts at once; what there is to read may follow. */
  async function refresh(): Promise<void> {
    const found = await read();
    keep(found);
    await reading.load(found);
    // Of the newest state: another refresh may have overtaken this one while it read files.
    keep(skills);
  }
  await refresh();
  const listeners = new Set<() => void>();
  return {
    get: (name) => byName.get(name),
    find: (name) => skills.find((skill) => skill.name === name || skill.alias === name),
    list: () => skills,
    async reload() {
      await refresh();
      for (const listener of listeners) listener();
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

async function readSkills({
  db,
  packagesDir,
  sandbox,
  allowUnsandboxed,
}: InstalledSkillsParts): Promise<Omit<InstalledSkill, 'agentSkill'>[]> {
  const rows = await db
    .selectFrom('skill')
    .innerJoin('version', (on) =>
      on
        .onRef('version.name', '=', 'skill.name')
        .onRef('version.version', '=', 'skill.version')
        .onRef('version.digest', '=', 'skill.digest'),
    )
    .selectAll('version')
    .select(['alias', 'workspace', 'config_json', 'folders_json', 'epoch', 'quarantine_json', 'installed_at'])
    .orderBy('skill.name')
    .execute();
  const grants = await db
    .selectFrom('grant')
    .selectAll()
    .where('revoked_at', 'is', null)
    .orderBy('granted_at')
    .execute();
  const answers = await db.selectFrom('tool_answer').selectAll().execute();

  return rows.map((row) => {
    const manifest = JSON.parse(row.manifest_json) as Manifest;
    const surface = JSON.parse(row.surface_json) as Surface;
    const own: Grant[] = grants
      .filter((grant) => grant.skill === row.name)
      .map((grant) => ({
        id: grant.id,
        permissionId: grant.permission_id,
        permission: JSON.parse(grant.permission_json) as Permissions,
        sentence: grant.sentence,
        grantedBy: grant.granted_by,
        grantedAt: grant.granted_at,
      }));
    const unsandboxed = own.some(({ permissionId }) => permissionId === UNSANDBOXED);
    const permissions = ofAtoms(
      own
        .filter(({ permissionId }) => permissionId !== UNSANDBOXED)
        .map(({ permissionId: id, sentence, permission }) => ({ id, sentence, permission })),
    );
    const gap = unsandboxed
      ? allowUnsandboxed
        ? undefined
        : { sentence: FORBIDDEN, lacks: [] }
      : gapOf(manifest, permissions, sandbox);
    const answerOf = new Map(
      answers.filter((a) => a.skill === row.name).map((a) => [a.tool, a.answer as Answer]),
    );
    return {
      name: row.name,
      alias: row.alias,
      version: row.version,
      digest: row.digest,
      signer: row.signer,
      manifest,
      surface,
      permissions,
      grants: own,
      workspace: row.workspace ?? undefined,
      config: JSON.parse(row.config_json) as InstalledSkill['config'],
      folders: JSON.parse(row.folders_json) as GrantedFolders,
      tools: toolsOf(manifest, surface, unsandboxed ? undefined : permissions, answerOf),
      files: JSON.parse(row.files_json) as Record<string, string>,
      packageDir: packageDirOf(packagesDir, row.digest),
      epoch: row.epoch,
      quarantine:
        row.quarantine_json === null ? undefined : (JSON.parse(row.quarantine_json) as SurfaceDifference[]),
      unsandboxed,
      blocked: gap?.sentence,
      lacks: gap?.lacks ?? [],
      installedAt: row.installed_at,
    };
  });
}

/** Why a skill cannot run, in a sentence, and what the sandbox lacks for it. */
export interface Gap {
  sentence: string;
  lacks: readonly Capability[];
}

/**
 * What these permissions need and the sandbox lacks; undefined when all can be enforced. To a remote server the hub
 * itself sends the requests, and needs a grant for it.
 */
export function gapOf(
  { runtime }: Manifest,
  permissions: Permissions,
  { usable, enforces, requires }: Holding,
): Gap | undefined {
  if (runtime.kind === 'remote') {
    const sentence = ungranted(runtime, permissions);
    return sentence === undefined ? undefined : { sentence, lacks: [] };
  }
  if (runtime.kind === 'prompt-only') return undefined;
  // Where there is none at all, the hub says so once and not of every skill.
  const gap = usable ? gapIn(needsOf(permissions, requires), enforces) : undefined;
  return gap && { sentence: `It cannot run here: ${gap.clause}.`, lacks: [gap.capability] };
}

const FORBIDDEN =
  'It was approved to run without a sandbox, and this hub does not allow that (allowUnsandboxed).';

/**
 * Tools with their effects, bounded by what was granted where something holds the skill to it. A tool nobody answered
 * for asks: silence never allows.
 */
export function toolsOf(
  manifest: Manifest,
  surface: Surface,
  bounds: Permissions | undefined,
  answers: ReadonlyMap<string, Answer>,
): Map<string, InstalledTool> {
  return new Map(
    surface.tools.map((tool) => {
      const effects = effectsWithin(toolEffects(tool, manifest), bounds);
      return [
        tool.name,
        {
          name: tool.name,
          definition: tool,
          effects,
          enforced: bounds !== undefined && isEnforced(effects, bounds, manifest.stateless),
          reversible: manifest.tools[tool.name]?.reversible ?? false,
          answer: answers.get(tool.name) ?? 'ask',
        },
      ];
    }),
  );
}

/** Nothing bounds what runs without a sandbox. */
export function effectsWithin(
  effects: readonly Effect[],
  bounds: Permissions | undefined,
): readonly Effect[] {
  return bounds === undefined ? effects : boundEffects(effects, bounds);
}
