import { sql, type Kysely } from 'kysely';
import { canonicalJson } from '../../protocol/canonical.ts';
import type { Database } from '../../protocol/node/database.ts';
import { keyChanges, keyQuestions } from './keys.ts';
import { headRow } from './rows.ts';
import type { Tables } from './schema.ts';
import type { TextIndex } from './sqlite.ts';
import type { Change, Questions, Store } from './store.ts';
import { tokenChanges, tokenQuestions } from './tokens.ts';
import { listings, versionChanges, versionQuestions } from './versions.ts';

const LOG_BATCH = 1_000;

/** The store in SQL, the same for every engine; the engine's own text search comes from outside. */
export function sqlStore({ query, close }: Database<Tables>, text: TextIndex): Store {
  return {
    ...questions(query),
    ...listings(query),
    ...tokenQuestions(query),
    search: (words, limit) => text.search(query, words, limit),
    change: (work) => query.transaction().execute((tx) => work(changes(tx, text))),
    recordUse: (use) => query.transaction().execute((tx) => recordUse(tx, use)),
    async *logLeaves() {
      for (let from = 0; ; from += LOG_BATCH) {
        const rows = await query
          .selectFrom('log_leaf')
          .select(['kind', 'entry', 'leaf_hash as leafHash'])
          .where('leaf_index', '>=', from)
          .orderBy('leaf_index')
          .limit(LOG_BATCH)
          .execute();
        yield* rows;
        if (rows.length < LOG_BATCH) return;
      }
    },
    async bindIdentity(keyId) {
      await query
        .insertInto('identity')
        .values({ one: 1, key_id: keyId })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return (await query.selectFrom('identity').select('key_id').executeTakeFirstOrThrow()).key_id;
    },
    check: async () => void (await sql`select 1 from skill limit 1`.execute(query)),
    close,
  };
}

function questions(query: Kysely<Tables>): Questions {
  return {
    ...versionQuestions(query),
    ...keyQuestions(query),
    async treeHead() {
      const row = await query
        .selectFrom('log_head')
        .select(['frontier', 'root_hash as rootHash', 'time', 'signature'])
        .orderBy('tree_size', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && headRow.parse(row);
    },
  };
}

function changes(query: Kysely<Tables>, text: TextIndex): Change {
  return {
    ...questions(query),
    ...versionChanges(query, text),
    ...keyChanges(query),
    ...tokenChanges(query),
    async appendToLog({ kind, entry, leafHash }, { frontier, rootHash, time, signature }) {
      await query
        .insertInto('log_leaf')
        .values({ leaf_index: frontier.size - 1, kind, entry, leaf_hash: leafHash })
        .execute();
      await query
        .insertInto('log_head')
        .values({
          tree_size: frontier.size,
          root_hash: rootHash,
          frontier: canonicalJson(frontier),
          time,
          signature,
        })
        .execute();
    },
    async audit({ time, byToken, action, subject }) {
      await query.insertInto('audit').values({ time, by_token: byToken, action, subject }).execute();
    },
  };
}

async function recordUse(
  query: Kysely<Tables>,
  { day, downloads, tokens }: Parameters<Store['recordUse']>[0],
): Promise<void> {
  for (const [digest, count] of downloads) {
    const version = await query
      .selectFrom('version')
      .select(['id', 'skill_id'])
      .where('digest', '=', digest)
      .executeTakeFirst();
    if (version === undefined) continue;
    await query
      .insertInto('version_download')
      .values({ version_id: version.id, day, count })
      .onConflict((conflict) =>
        conflict
          .columns(['version_id', 'day'])
          .doUpdateSet({ count: sql<number>`version_download.count + excluded.count` }),
      )
      .execute();
    await query
      .updateTable('skill')
      .set({ downloads: sql<number>`downloads + ${count}` })
      .where('id', '=', version.skill_id)
      .execute();
  }
  for (const [id, time] of tokens) {
    await query.updateTable('token').set({ last_used_at: time }).where('id', '=', id).execute();
  }
}
