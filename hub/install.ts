import { randomBytes } from 'node:crypto';
import type { Kysely, Transaction } from 'kysely';
import { newApprovalId } from '../protocol/approval.ts';
import { canonicalJson } from '../protocol/canonical.ts';
import { atoms, covers } from '../protocol/permissions.ts';
import type { Acceptance } from './admin-api.ts';
import { decide, pinnedSigner, type Proposal, proposalOf, settle, termsOf } from './approvals.ts';
import type { AuditLog } from './audit/audit-log.ts';
import { type Clock, timestamp } from './clock.ts';
import { type FetchParts, fetchVersion, type VerifiedVersion } from './fetch.ts';
import type { InstalledSkill, InstalledSkills } from './installed.ts';
import type { HubPaths } from './paths.ts';
import { askedWith, goesBack, grantedBy, widenings } from './proposal.ts';
import type { Runner } from './runner/runner.ts';
import type { SandboxDriver } from './sandbox/sandbox.ts';
import type { Secrets } from './secrets/secrets.ts';
import { plain } from './store/plain.ts';
import type { HubTables } from './store/schema.ts';

/** What installing, approving and taking back need. */
export interface InstallParts {
  db: Kysely<HubTables>;
  audit: AuditLog;
  installed: InstalledSkills;
  fetch: FetchParts;
  driver: SandboxDriver;
  /** For skills that were approved to run without one; it refuses unless `allowUnsandboxed`. */
  unsandboxed: SandboxDriver;
  allowUnsandboxed: boolean;
  runner: Runner;
  secrets: Secrets;
  paths: HubPaths;
  clock: Clock;
}

/**
 * Fetches and verifies a version and proposes it. With `accept`, approves it in the same step, unless it widens
 * what was approved: that waits for a decision of its own while the old version keeps serving.
 */
export async function install(
  parts: InstallParts,
  request: { name: string; range: string; accept: Acceptance | undefined },
): Promise<{ proposal: Proposal | undefined; installed: InstalledSkill | undefined }> {
  const offered = await fetchVersion(parts.fetch, request.name, request.range, {
    captured: await isCaptured(parts, request.accept),
  });
  const current = parts.installed.get(offered.name);
  if (current !== undefined && isSatisfied(current, offered, request.accept))
    return { proposal: undefined, installed: current };
  const proposal = await propose(parts, offered);
  const { accept } = request;
  if (accept === undefined || (await asksFirst(parts, proposal, request.range, accept))) {
    return { proposal, installed: undefined };
  }
  const installed = await decide(parts, proposal, accept);
  return { proposal: { ...proposal, state: 'approved' }, installed };
}

/**
 * Whether the package is started once to hear what it says. Where there is no sandbox and none is wanted, nothing of it
 * runs before it is approved: its first start compares.
 */
async function isCaptured(parts: InstallParts, accept: Acceptance | undefined): Promise<boolean> {
  if (accept?.unsandboxed !== true || !parts.allowUnsandboxed) return true;
  return (await parts.driver.report()).usable;
}

/** Whether an acceptance given beforehand is not enough. Going back counts unless the version was named. */
async function asksFirst(
  parts: InstallParts,
  { offered, current }: Proposal,
  range: string,
  accept: Acceptance,
): Promise<boolean> {
  if (range !== offered.version && goesBack(offered, current).length > 0) return true;
  const signer = await pinnedSigner(parts.db, offered.name);
  return (
    widenings(offered, current, signer, grantedBy(offered, current, termsOf(offered, current, accept)))
      .length > 0
  );
}

/** Whether nothing is left to decide: these bytes serve already, with all they ask, and nothing else is wanted. */
function isSatisfied(
  current: InstalledSkill,
  offered: VerifiedVersion,
  accept: Acceptance | undefined,
): boolean {
  return (
    current.digest === offered.digest &&
    current.quarantine === undefined &&
    Object.keys(accept ?? {}).length === 0 &&
    atoms(askedWith(offered.manifest, current.config)).every((asked) =>
      current.grants.some(
        (grant) => grant.permissionId === asked.id && covers(grant.permission, asked.permission),
      ),
    )
  );
}

/** Puts a verified version before the admin; the same version again is the same proposal. */
async function propose(parts: InstallParts, offered: VerifiedVersion): Promise<Proposal> {
  const now = timestamp(parts.clock);
  const current = parts.installed.get(offered.name);
  const kind = current === undefined ? 'install' : 'upgrade';
  const id = await parts.audit.transaction(async (trx, record) => {
    await keepVersion(trx, offered, now);
    const waiting = await trx
      .selectFrom('approval')
      .select(['id', 'kind', 'version', 'digest'])
      .where('skill', '=', offered.name)
      .where('state', '=', 'waiting')
      .execute();
    const same = waiting.find((row) => row.digest === offered.digest && row.kind === kind);
    for (const row of waiting) {
      if (row.id === same?.id) continue;
      await settle(trx, row.id, 'replaced', now, undefined);
    }
    if (same !== undefined) return same.id;
    const fresh = newApprovalId(kind, randomBytes);
    await trx
      .insertInto('approval')
      .values({
        id: fresh,
        kind,
        skill: offered.name,
        version: offered.version,
        digest: offered.digest,
        state: 'waiting',
        created_at: now,
        settled_at: null,
        settled_by: null,
        reason: null,
      })
      .execute();
    record({
      event: 'install.proposed',
      approval: fresh,
      skill: offered.name,
      version: offered.version,
      digest: offered.digest,
      signer: offered.signer,
    });
    const wants = [
      ...goesBack(offered, current),
      ...widenings(offered, current, await pinnedSigner(trx, offered.name)),
    ];
    if (current !== undefined && wants.length > 0) {
      record({
        event: 'upgrade.waiting',
        approval: fresh,
        skill: offered.name,
        version: offered.version,
        serving: current.version,
        wants,
      });
    }
    return fresh;
  });
  return proposalOf(parts, id);
}

async function keepVersion(
  trx: Transaction<HubTables>,
  offered: VerifiedVersion,
  now: string,
): Promise<void> {
  await trx
    .insertInto('version')
    .values({
      name: offered.name,
      version: offered.version,
      digest: offered.digest,
      signer: offered.signer,
      manifest_json: canonicalJson(plain(offered.manifest)),
      surface_json: canonicalJson(plain(offered.surface)),
      files_json: canonicalJson(plain(offered.files)),
      verified_json: canonicalJson(plain(offered.verified)),
      bundle_json: canonicalJson(plain(offered.bundle)),
      receipt_json: canonicalJson(plain(offered.receipt)),
      fetched_at: now,
    })
    .onConflict((conflict) => conflict.columns(['name', 'version', 'digest']).doNothing())
    .execute();
}
