import type { Kysely } from 'kysely';
import { z } from 'zod';
import { canonicalJson } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import type { AuditLog } from './audit/audit-log.ts';
import { LOCAL_USER, noSuchProfile } from './clients.ts';
import { type Clock, timestamp } from './clock.ts';
import type { HubTables } from './store/schema.ts';

/** A skill of a profile: all of it, or only the tools that are named, by their names in the skill. */
export interface ProfileEntry {
  skill: string;
  tools?: string[] | undefined;
}

/** A named selection of skills and tools. A changed profile is another object, never the same one altered. */
export interface Profile {
  name: string;
  entries: readonly ProfileEntry[];
}

/** The profiles of this hub. */
export interface Profiles {
  list(): readonly Profile[];
  /** @throws AppError `profile-not-found`. */
  get(name: string): Profile;
  /** Creates it or replaces all of it; answers with what it was before. */
  set(name: string, entries: readonly ProfileEntry[]): Promise<Profile | undefined>;
  /** @throws AppError `profile-not-found`, or `profile-in-use` while a client sees by it. */
  remove(name: string): Promise<Profile>;
  onChange(listener: () => void): () => void;
}

interface ProfilesParts {
  db: Kysely<HubTables>;
  audit: AuditLog;
  clock: Clock;
}

const storedEntries = z.array(z.strictObject({ skill: z.string(), tools: z.array(z.string()).optional() }));

/** Loads the profiles; what a client sees is then known without the database. */
export async function openProfiles({ db, audit, clock }: ProfilesParts): Promise<Profiles> {
  const profiles = new Map<string, Profile>();
  const listeners = new Set<() => void>();
  for (const { name, entries_json } of await db.selectFrom('profile').selectAll().execute())
    profiles.set(name, { name, entries: storedEntries.parse(JSON.parse(entries_json)) });

  function get(name: string): Profile {
    const profile = profiles.get(name);
    if (profile === undefined) throw noSuchProfile(name);
    return profile;
  }
  const changed = (): void => {
    for (const listener of listeners) listener();
  };

  return {
    list: () => [...profiles.values()].toSorted((a, b) => a.name.localeCompare(b.name)),
    get,

    async set(name, given) {
      const profile: Profile = { name, entries: joined(given) };
      const row = { entries_json: canonicalJson(profile.entries), changed_at: timestamp(clock) };
      await audit.transaction(async (trx, record) => {
        await trx
          .insertInto('profile')
          .values({ name, ...row })
          .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
          .execute();
        record({ event: 'profile.set', profile: name, entries: [...profile.entries], by: LOCAL_USER });
      });
      const before = profiles.get(name);
      profiles.set(name, profile);
      changed();
      return before;
    },

    async remove(name) {
      const profile = get(name);
      await audit.transaction(async (trx, record) => {
        const users = await trx
          .selectFrom('client')
          .select('name')
          .where('profile', '=', name)
          .where('removed_at', 'is', null)
          .orderBy('name')
          .execute();
        if (users.length > 0)
          throw inUse(
            name,
            users.map((client) => client.name),
          );
        const { numDeletedRows } = await trx
          .deleteFrom('profile')
          .where('name', '=', name)
          .executeTakeFirstOrThrow();
        if (numDeletedRows === 0n) throw noSuchProfile(name);
        record({ event: 'profile.removed', profile: name, by: LOCAL_USER });
      });
      profiles.delete(name);
      changed();
      return profile;
    },

    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** Whether a profile has a skill, and with a tool's name, that tool. */
export function profileHas({ entries }: Profile, skill: string, tool?: string): boolean {
  const entry = entries.find((one) => one.skill === skill);
  return entry !== undefined && (tool === undefined || (entry.tools?.includes(tool) ?? true));
}

function inUse(name: string, clients: readonly string[]): AppError {
  return new AppError('profile-in-use', {
    detail: `${clients.slice(0, 10).join(', ')} ${clients.length === 1 ? 'sees' : 'see'} by the profile ${name}.`,
    hint: `berth clients set ${clients[0]} --mode all`,
  });
}

/** One entry a skill: named once as a whole it is there as a whole. */
function joined(entries: readonly ProfileEntry[]): ProfileEntry[] {
  const bySkill = new Map<string, Set<string> | undefined>();
  for (const { skill, tools } of entries) {
    const known = bySkill.has(skill) ? bySkill.get(skill) : new Set<string>();
    bySkill.set(
      skill,
      known === undefined || tools === undefined ? undefined : new Set([...known, ...tools]),
    );
  }
  return [...bySkill]
    .map(([skill, tools]) => (tools === undefined ? { skill } : { skill, tools: [...tools].toSorted() }))
    .toSorted((a, b) => (a.skill < b.skill ? -1 : 1));
}
