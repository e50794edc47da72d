import type { Kysely } from 'kysely';
import type { HubTables } from './store/schema.ts';

/** How far back the audit log is read: a few days of a busy person, a few minutes of a busy hub. */
const RECORDS = 5_000;
const PAGE = 500;

/** A skill that somebody has used. */
export interface RecentUse {
  skill: string;
  user: string;
  /** Milliseconds since 1970. */
  usedAt: number;
}

/**
 * Which skills were let through a call last and for whom, the latest first. The audit log says it all, and has it on
 * disk whatever becomes of the hub; a record that cannot be read says nothing here.
 */
export async function recentlyUsed(db: Kysely<HubTables>, most: number): Promise<readonly RecentUse[]> {
  const found = new Map<string, RecentUse>();
  let before = Number.MAX_SAFE_INTEGER;
  for (let read = 0; read < RECORDS && found.size < most; read += PAGE) {
    const rows = await db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '<', before)
      .orderBy('seq', 'desc')
      .limit(PAGE)
      .execute();
    for (const { record } of rows) {
      const use = useIn(record);
      if (use === undefined || found.size >= most) continue;
      const key = JSON.stringify([use.skill, use.user]);
      if (!found.has(key)) found.set(key, use);
    }
    const last = rows.at(-1);
    if (last === undefined) break;
    before = last.seq;
  }
  return [...found.values()];
}

function useIn(text: string): RecentUse | undefined {
  if (!text.includes('"event":"call.decided"')) return undefined;
  try {
    const { event, answer, skill, principal, time } = JSON.parse(text) as {
      event: string;
      answer: string;
      skill: string;
      principal: { user: string };
      time: string;
    };
    const usedAt = Date.parse(time);
    if (event !== 'call.decided' || answer !== 'allow' || Number.isNaN(usedAt)) return undefined;
    return { skill, user: principal.user, usedAt };
  } catch {
    return undefined;
  }
}
