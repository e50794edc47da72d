import { canonicalJson, sayable } from '../protocol/canonical.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { InstalledSkills, SurfaceDifference } from './installed.ts';
import { plain } from './store/plain.ts';

/** Stops a skill whose live surface is not the approved one, with the difference as evidence. */
export async function quarantine(
  parts: { audit: AuditLog; installed: InstalledSkills },
  name: string,
  version: string,
  differences: readonly SurfaceDifference[],
): Promise<void> {
  await parts.audit.transaction(async (trx, record) => {
    await trx
      .updateTable('skill')
      .set((eb) => ({ quarantine_json: canonicalJson(plain(differences)), epoch: eb('epoch', '+', 1) }))
      .where('name', '=', name)
      .where('version', '=', version)
      .execute();
    record({
      event: 'skill.quarantined',
      skill: name,
      version,
      reason: 'it says something else than what was approved',
      differences: differences.slice(0, 20).map(({ path }) => sayable(path, 500)),
    });
  });
  await parts.installed.reload();
}
