import { mkdir, rm } from 'node:fs/promises';
import type { Kysely } from 'kysely';
import type { AuditLog } from './audit/audit-log.ts';
import { recordsInOrder } from './audit/stored-audit.ts';
import { sweepPackages } from './packages.ts';
import type { HubPaths } from './paths.ts';
import type { HubTables } from './store/schema.ts';

/** Removes what a killed hub may have left: half-unpacked packages and versions that nothing needs. */
export async function sweepLeftovers(paths: HubPaths, db: Kysely<HubTables>): Promise<void> {
  await rm(paths.staging, { recursive: true, force: true });
  await mkdir(paths.staging, { recursive: true, mode: 0o700 });
  const serving = await db.selectFrom('skill').select('digest').execute();
  const waiting = await db.selectFrom('approval').select('digest').where('state', '=', 'waiting').execute();
  await sweepPackages(paths, new Set([...serving, ...waiting].map((row) => row.digest)));
}

/**
 * Writes down that the hub runs again. Calls that were let through and whose end was never recorded are closed as
 * unknown: they may or may not have had their effect, and nobody may claim either.
 */
export async function recordStart(db: Kysely<HubTables>, audit: AuditLog): Promise<void> {
  const unfinished = await unfinishedCalls(db);
  await audit.append(
    ...unfinished.map(
      (call) =>
        ({
          event: 'call.finished',
          call: call.call,
          skill: call.skill,
          name: call.name,
          outcome: 'unknown',
          durationMs: 0,
          detail: 'The hub stopped before this call ended.',
        }) as const,
    ),
    { event: 'hub.started', unfinished: unfinished.map((call) => call.call) },
  );
  // A hub that was killed left a tail that no signed head covers.
  await audit.sign();
}

interface DecidedCall {
  call: string;
  skill: string;
  name: string;
}

/** Calls since the last start that were allowed and have no end. */
async function unfinishedCalls(db: Kysely<HubTables>): Promise<DecidedCall[]> {
  const open = new Map<string, DecidedCall>();
  for await (const row of recordsInOrder(db, { from: await lastStart(db) })) {
    const record = JSON.parse(row.record) as DecidedCall & { event: string; answer?: string };
    if (record.event === 'call.decided' && record.answer === 'allow') open.set(record.call, record);
    if (record.event === 'call.finished') open.delete(record.call);
  }
  return [...open.values()];
}

async function lastStart(db: Kysely<HubTables>): Promise<number> {
  const row = await db
    .selectFrom('audit')
    .select('seq')
    .where('record', 'like', '%"event":"hub.started"%')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.seq ?? 0;
}
