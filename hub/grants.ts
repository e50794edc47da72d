import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { AuditEvent } from '../protocol/audit.ts';
import { canonicalJson } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import {
  atoms,
  hostKeysOf,
  networkId,
  normalise,
  ofAtoms,
  type PermissionAtom,
  type Permissions,
} from '../protocol/permissions.ts';
import type { GrantView } from './admin-api.ts';
import { LOCAL_USER } from './clients.ts';
import { timestamp } from './clock.ts';
import type { InstallParts } from './install.ts';
import { UNSANDBOXED, UNSANDBOXED_SENTENCE } from './sandbox/unsandboxed.ts';
import type { HubTables } from './store/schema.ts';

/** Takes one permission back; the next call already runs without it. @throws AppError `grant-not-found`. */
export async function revoke(parts: InstallParts, id: string): Promise<GrantView> {
  const now = timestamp(parts.clock);
  const grant = await parts.audit.transaction(async (trx, record) => {
    const row = await trx
      .selectFrom('grant')
      .selectAll()
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (row === undefined) {
      throw new AppError('grant-not-found', {
        detail: `No standing grant has the id ${id.slice(0, 80)}.`,
        hint: 'berth grants shows them.',
      });
    }
    await trx
      .updateTable('grant')
      .set({ revoked_at: now, revoked_by: LOCAL_USER })
      .where('id', '=', id)
      .execute();
    await trx
      .updateTable('skill')
      .set((eb) => ({ epoch: eb('epoch', '+', 1) }))
      .where('name', '=', row.skill)
      .execute();
    record({ event: 'grant.revoked', grant: id, skill: row.skill, sentence: row.sentence, by: LOCAL_USER });
    return row;
  });
  await parts.installed.reload();
  await parts.runner.stop(grant.skill, 'a permission was taken back');
  return {
    id,
    skill: grant.skill,
    permission: grant.permission_id,
    sentence: grant.sentence,
    grantedBy: grant.granted_by,
    grantedAt: grant.granted_at,
    revokedAt: now,
  };
}

/** The manifest's needs as far as they were granted: a refused folder needs no binding, and a refused host no name. */
export function narrowedTo(
  manifest: Manifest,
  granted: Permissions,
  without: readonly string[] = [],
): Manifest {
  const asked = normalise(manifest.permissions).network;
  const refusedKeys = hostKeysOf({ network: asked }).filter((key) =>
    asked.every((entry) => entry.host !== `\${config.${key}}` || without.includes(networkId(entry))),
  );
  const paths = new Set(granted.filesystem.map((folder) => folder.path));
  const secrets = new Set(granted.secrets.map((secret) => secret.name));
  return {
    ...manifest,
    config: Object.fromEntries(Object.entries(manifest.config).filter(([key]) => !refusedKeys.includes(key))),
    permissions: {
      ...manifest.permissions,
      filesystem: manifest.permissions.filesystem.filter((folder) => paths.has(folder.path)),
      secrets: manifest.permissions.secrets.filter((secret) => secrets.has(secret.name)),
    },
  };
}

/** A grant like the others: listed, on record, taken back by its id. It permits nothing a sandbox would look at. */
const WITHOUT_SANDBOX: PermissionAtom = {
  id: UNSANDBOXED,
  sentence: UNSANDBOXED_SENTENCE,
  permission: ofAtoms([]),
};

/** Makes the standing grants exactly these, keeping those that stay as they are; answers with their sentences. */
export async function regrant(
  trx: Transaction<HubTables>,
  record: (event: AuditEvent) => void,
  skill: string,
  granted: Permissions,
  { now, unsandboxed }: { now: string; unsandboxed: boolean },
): Promise<string[]> {
  const all = [...atoms(granted), ...(unsandboxed ? [WITHOUT_SANDBOX] : [])];
  const wanted = new Map<string, PermissionAtom>(
    all.map((atom) => [`${atom.id} ${canonicalJson(atom.permission)}`, atom] as const),
  );
  const standing = await trx
    .selectFrom('grant')
    .selectAll()
    .where('skill', '=', skill)
    .where('revoked_at', 'is', null)
    .execute();
  for (const grant of standing) {
    const key = `${grant.permission_id} ${grant.permission_json}`;
    if (wanted.delete(key)) continue;
    await trx
      .updateTable('grant')
      .set({ revoked_at: now, revoked_by: LOCAL_USER })
      .where('id', '=', grant.id)
      .execute();
    record({ event: 'grant.revoked', grant: grant.id, skill, sentence: grant.sentence, by: LOCAL_USER });
  }
  for (const atom of wanted.values()) {
    await trx
      .insertInto('grant')
      .values({
        id: `grant_${randomBytes(8).toString('hex')}`,
        skill,
        permission_id: atom.id,
        permission_json: canonicalJson(atom.permission),
        sentence: atom.sentence,
        granted_by: LOCAL_USER,
        granted_at: now,
        revoked_at: null,
        revoked_by: null,
      })
      .execute();
  }
  return all.map((atom) => atom.sentence);
}
