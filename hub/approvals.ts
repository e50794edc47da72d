import { randomInt } from 'node:crypto';
import type { Kysely, Transaction } from 'kysely';
import type { ApprovalState } from '../protocol/approval.ts';
import { AppError } from '../protocol/errors.ts';
import { type Manifest, splitName } from '../protocol/manifest.ts';
import { canonicalJson } from '../protocol/canonical.ts';
import type { Permissions } from '../protocol/permissions.ts';
import type { Answer } from '../protocol/policy.ts';
import type { Acceptance } from './admin-api.ts';
import {
  checkedConfig,
  checkedFolder,
  configOfHosts,
  grantedPrograms,
  programsOf,
  refuseUnusableSecrets,
} from './bindings.ts';
import { aliasFor } from './exposed-names.ts';
import { LOCAL_USER } from './clients.ts';
import { timestamp } from './clock.ts';
import type { VerifiedVersion } from './fetch.ts';
import { type GrantedFolders, grantedFolders } from './folders.ts';
import { narrowedTo, regrant } from './grants.ts';
import type { InstallParts } from './install.ts';
import type { InstalledSkill } from './installed.ts';
import { configOf, goesBack, grantedBy, needsOf, proposedTools, type Terms, widenings } from './proposal.ts';
import { notAllowed } from './sandbox/unsandboxed.ts';
import type { HubTables } from './store/schema.ts';

/** Something that waits for, or had, an admin's decision. */
export interface Proposal {
  id: string;
  kind: 'install' | 'upgrade';
  state: ApprovalState;
  createdAt: string;
  settledAt: string | undefined;
  offered: VerifiedVersion;
  /** What serves meanwhile. */
  current: InstalledSkill | undefined;
  /** What is wider than what serves today. */
  widened: readonly string[];
}

/** @throws AppError `approval-not-found`. */
export async function proposalOf(parts: InstallParts, id: string): Promise<Proposal> {
  const row = await parts.db
    .selectFrom('approval')
    .innerJoin('version', (on) =>
      on
        .onRef('version.name', '=', 'approval.skill')
        .onRef('version.version', '=', 'approval.version')
        .onRef('version.digest', '=', 'approval.digest'),
    )
    .selectAll('version')
    .select(['approval.id', 'approval.kind', 'approval.state', 'approval.created_at', 'approval.settled_at'])
    .where('approval.id', '=', id)
    .executeTakeFirst();
  if (row === undefined) {
    throw new AppError('approval-not-found', {
      detail: `Nothing waits under ${id.slice(0, 80)}.`,
      hint: 'berth inbox shows what waits.',
    });
  }
  const offered: VerifiedVersion = {
    name: row.name,
    version: row.version,
    digest: row.digest,
    signer: row.signer,
    manifest: JSON.parse(row.manifest_json) as Manifest,
    surface: JSON.parse(row.surface_json) as VerifiedVersion['surface'],
    files: JSON.parse(row.files_json) as VerifiedVersion['files'],
    bundle: JSON.parse(row.bundle_json) as unknown,
    receipt: JSON.parse(row.receipt_json) as VerifiedVersion['receipt'],
    verified: JSON.parse(row.verified_json) as string[],
  };
  const current = parts.installed.get(row.name);
  return {
    id: row.id,
    kind: row.kind as Proposal['kind'],
    state: row.state as Proposal['state'],
    createdAt: row.created_at,
    settledAt: row.settled_at ?? undefined,
    offered,
    current,
    widened: [
      ...goesBack(offered, current),
      ...widenings(offered, current, await pinnedSigner(parts.db, row.name)),
    ],
  };
}

/** What waits, oldest first. */
export async function waitingProposals(parts: InstallParts): Promise<Proposal[]> {
  const rows = await parts.db
    .selectFrom('approval')
    .select('id')
    .where('state', '=', 'waiting')
    .orderBy('created_at')
    .execute();
  return Promise.all(rows.map((row) => proposalOf(parts, row.id)));
}

/**
 * Grants what the proposal asks, less what the acceptance leaves out, and lets the version serve.
 * @throws AppError `approval-settled`, `binding-missing` (all that is missing, in `data.needs`),
 *   `binding-refused`, `grant-not-found`, `program-missing`; nothing is changed then.
 */
export async function approve(
  parts: InstallParts,
  id: string,
  accepted: Acceptance,
): Promise<InstalledSkill> {
  return decide(parts, await proposalOf(parts, id), accepted);
}

/** The same for a proposal that was looked at: what it is compared with must serve still. */
export async function decide(
  parts: InstallParts,
  proposal: Proposal,
  accepted: Acceptance,
): Promise<InstalledSkill> {
  refuseSettled(proposal);
  const { id, offered, current } = proposal;
  const unsandboxed = accepted.unsandboxed === true;
  if (unsandboxed) refuseUnsandboxed(parts, offered);
  const terms = termsOf(offered, current, accepted);
  const { config } = terms;
  const granted = grantedBy(offered, current, terms);
  const manifest = narrowedTo(offered.manifest, granted, accepted.without);
  const workspace =
    accepted.workspace === undefined
      ? current?.workspace
      : await checkedFolder('--workspace', accepted.workspace);
  const secretNames = new Set([
    ...parts.secrets.of(offered.name).keys(),
    ...Object.keys(accepted.secrets ?? {}),
  ]);
  refuseUnusableSecrets(offered, accepted);
  const needs = needsOf(manifest, { workspace: workspace !== undefined, config, secrets: secretNames });
  if (needs.length > 0) {
    throw new AppError('binding-missing', {
      detail: `${offered.name} lacks a value: ${needs.map((need) => need.title ?? need.name).join('; ')}.`,
      hint: `Give ${needs.map((need) => need.flag).join(' ')}`,
      data: { needs },
    });
  }
  const fullConfig = configOf(offered.manifest.config, config);
  const held = { paths: parts.paths, driver: unsandboxed ? parts.unsandboxed : parts.driver };
  const folders = await grantedFolders(
    held,
    { name: offered.name, version: offered.version, permissions: granted, workspace, config: fullConfig },
    accepted,
    current?.folders ?? {},
  );
  const programs = grantedPrograms(await programsOf(held, offered, granted));
  const answers = answersFor(proposal, granted, accepted);

  if (accepted.secrets !== undefined) await parts.secrets.keep(offered.name, accepted.secrets);
  const now = timestamp(parts.clock);
  await parts.audit.transaction(async (trx, record) => {
    const row = await trx.selectFrom('approval').select('state').where('id', '=', id).executeTakeFirst();
    if (row?.state !== 'waiting') throw settledError(id, row?.state ?? 'gone');
    await refuseIfChanged(trx, proposal);
    await serve(trx, { offered, current, workspace, config: fullConfig, folders, now });
    const grants = await regrant(trx, record, offered.name, granted, { now, unsandboxed });
    for (const [tool, answer] of answers) {
      const before = current?.tools.get(tool)?.answer;
      if (before === undefined || before === answer) continue;
      record({ event: 'tool.answer-changed', skill: offered.name, tool, before, answer, by: LOCAL_USER });
    }
    await trx.deleteFrom('tool_answer').where('skill', '=', offered.name).execute();
    if (answers.size > 0) {
      await trx
        .insertInto('tool_answer')
        .values([...answers].map(([tool, answer]) => ({ skill: offered.name, tool, answer })))
        .execute();
    }
    await trx
      .insertInto('namespace_signer')
      .values({ namespace: splitName(offered.name).namespace, signer: offered.signer, pinned_at: now })
      .onConflict((conflict) =>
        conflict.column('namespace').doUpdateSet({ signer: offered.signer, pinned_at: now }),
      )
      .execute();
    await settle(trx, id, 'approved', now, undefined);
    record({
      event: 'install.approved',
      approval: id,
      skill: offered.name,
      version: offered.version,
      digest: offered.digest,
      signer: offered.signer,
      grants,
      ...(programs.length === 0 ? {} : { programs }),
      tools: [...answers].map(([name, answer]) => ({ name, answer })),
      by: LOCAL_USER,
    });
  });
  await parts.installed.reload();
  await parts.runner.stop(offered.name, 'another version or other grants serve now');
  const installed = parts.installed.get(offered.name);
  if (installed === undefined) throw new Error(`${offered.name} is not there after its own approval`);
  return installed;
}

/**
 * What an acceptance says beside yes, with the config values that serve today and fit the new version still.
 * @throws AppError `binding-refused` for a value that does not fit.
 */
export function termsOf(
  { manifest }: VerifiedVersion,
  current: InstalledSkill | undefined,
  { without, config = {}, hosts = [] }: Acceptance,
): Required<Pick<Terms, 'config' | 'chosen'>> & Terms {
  const named = configOfHosts(manifest, hosts);
  const twice = Object.keys(named).find((key) => Object.hasOwn(config, key));
  if (twice !== undefined) {
    throw new AppError('binding-refused', {
      detail: `${twice} is given twice, with --set and with --allow-host.`,
      hint: 'Leave one of them out.',
    });
  }
  const kept = Object.entries(current?.config ?? {}).filter(([key]) => Object.hasOwn(manifest.config, key));
  const chosen = { ...config, ...named };
  return {
    without,
    config: checkedConfig(manifest, { ...Object.fromEntries(kept), ...chosen }),
    chosen: Object.keys(chosen),
  };
}

/** @throws AppError `unsandboxed-not-allowed` where the hub does not allow it, `skill-not-runnable` where nothing runs here. */
function refuseUnsandboxed({ allowUnsandboxed }: InstallParts, { name, manifest }: VerifiedVersion): void {
  if (!allowUnsandboxed) throw notAllowed(name);
  if (manifest.runtime.kind === 'remote' || manifest.runtime.kind === 'prompt-only') {
    throw new AppError('skill-not-runnable', {
      detail: `${name} is a ${manifest.runtime.kind} skill: nothing of it runs here, in a sandbox or without one.`,
      hint: 'Leave --unsandboxed out.',
    });
  }
}

/** Refuses a proposal; what served before goes on serving. */
export async function deny(parts: InstallParts, id: string, reason: string | undefined): Promise<Proposal> {
  const proposal = await proposalOf(parts, id);
  refuseSettled(proposal);
  const now = timestamp(parts.clock);
  await parts.audit.transaction(async (trx, record) => {
    const row = await trx.selectFrom('approval').select('state').where('id', '=', id).executeTakeFirst();
    if (row?.state !== 'waiting') throw settledError(id, row?.state ?? 'gone');
    await settle(trx, id, 'denied', now, reason);
    record({
      event: 'install.denied',
      approval: id,
      skill: proposal.offered.name,
      version: proposal.offered.version,
      by: LOCAL_USER,
      ...(reason === undefined ? {} : { reason }),
    });
  });
  return proposalOf(parts, id);
}

function answersFor(proposal: Proposal, granted: Permissions, accepted: Acceptance): Map<string, Answer> {
  const chosen = accepted.tools ?? {};
  const bounds = accepted.unsandboxed === true ? undefined : granted;
  const tools = proposedTools(proposal.offered, bounds, proposal.current);
  const unknown = Object.keys(chosen).find(
    (name) => name !== '*' && !tools.some((tool) => tool.name === name),
  );
  if (unknown !== undefined) {
    throw new AppError('tool-not-found', {
      detail: `${proposal.offered.name} has no tool ${unknown}.`,
      hint: `Its tools: ${tools.map((tool) => tool.name).join(', ')}`,
    });
  }
  return new Map(tools.map((tool) => [tool.name, chosen[tool.name] ?? chosen['*'] ?? tool.answer]));
}

async function serve(
  trx: Transaction<HubTables>,
  row: {
    offered: VerifiedVersion;
    current: InstalledSkill | undefined;
    workspace: string | undefined;
    config: Readonly<Record<string, unknown>>;
    folders: GrantedFolders;
    now: string;
  },
): Promise<void> {
  const bindings = {
    version: row.offered.version,
    digest: row.offered.digest,
    workspace: row.workspace ?? null,
    config_json: canonicalJson(row.config),
    folders_json: canonicalJson(row.folders),
    quarantine_json: null,
  };
  const others = await trx.selectFrom('skill').select('alias').execute();
  await trx
    .insertInto('skill')
    .values({
      name: row.offered.name,
      alias: row.current?.alias ?? aliasFor(row.offered.name, new Set(others.map(({ alias }) => alias))),
      ...bindings,
      // Anywhere: a skill that was removed and installed again must not be taken for the one before.
      epoch: randomInt(2 ** 40),
      installed_at: row.now,
    })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet((eb) => ({ ...bindings, epoch: eb('skill.epoch', '+', 1) })),
    )
    .execute();
}

/** Notes the decision on a proposal. */
export async function settle(
  trx: Transaction<HubTables>,
  id: string,
  state: 'approved' | 'denied' | 'replaced',
  now: string,
  reason: string | undefined,
): Promise<void> {
  await trx
    .updateTable('approval')
    .set({ state, settled_at: now, settled_by: LOCAL_USER, reason: reason ?? null })
    .where('id', '=', id)
    .execute();
}

/** The signer that a skill's namespace was approved with. */
export async function pinnedSigner(db: Kysely<HubTables>, name: string): Promise<string | undefined> {
  const { namespace } = splitName(name);
  const row = await db
    .selectFrom('namespace_signer')
    .select('signer')
    .where('namespace', '=', namespace)
    .executeTakeFirst();
  return row?.signer;
}

/** What was refused or taken back while this was being decided must not come back with it. */
async function refuseIfChanged(
  trx: Transaction<HubTables>,
  { id, offered, current }: Proposal,
): Promise<void> {
  const serving = await trx
    .selectFrom('skill')
    .select('epoch')
    .where('name', '=', offered.name)
    .executeTakeFirst();
  if (serving?.epoch === current?.epoch) return;
  throw new AppError('approval-required', {
    detail: `What ${offered.name} is or may do changed while ${id} was being decided; nothing was done.`,
    hint: `Look at it again and decide: berth approve ${id}`,
  });
}

function refuseSettled(proposal: Proposal): void {
  if (proposal.state !== 'waiting') throw settledError(proposal.id, proposal.state);
}

function settledError(id: string, state: string): AppError {
  return new AppError('approval-settled', {
    detail: `${id} does not wait any more: it was ${state}.`,
    hint: 'berth inbox shows what waits.',
  });
}
