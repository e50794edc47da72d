import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { openDatabase } from '../../protocol/node/database.ts';
import { readKey } from '../../protocol/node/keys.ts';
import { hubPaths } from '../paths.ts';
import { hubMigrations } from '../store/migrations/migrations.ts';
import type { HubTables } from '../store/schema.ts';
import { verifyStoredAudit } from './stored-audit.ts';

/**
 * Verifies the audit log of a hub that is not running, from its folder. Records behind the last signed head that were
 * removed after a kill cannot be noticed here; a running hub remembers them.
 * @throws AppError `audit-broken` with `record` and `reason`; `not-running` where no hub has ever run.
 */
export async function verifyAuditOf(hubDir: string): Promise<{ records: number; head: string }> {
  const paths = hubPaths(hubDir);
  if (!existsSync(paths.database)) {
    throw new AppError('not-running', { detail: `No hub has run in ${hubDir} yet.`, hint: 'berth up' });
  }
  const key = await readKey(join(paths.keys, 'audit.pem'));
  const database = await openDatabase<HubTables>(paths.database, { migrations: hubMigrations });
  try {
    return await verifyStoredAudit(database.query, [key.record]);
  } finally {
    await database.close();
  }
}
