import type { Kysely } from 'kysely';
import { publicKeyRecordSchema } from '../../protocol/provenance.ts';
import { coveringPatterns } from '../names.ts';
import type { Tables } from './schema.ts';
import type { Change, Questions } from './store.ts';

/** What can be asked about keys. */
export function keyQuestions(query: Kysely<Tables>): Pick<Questions, 'keysOf'> {
  return {
    async keysOf(namespace) {
      const rows = await query
        .selectFrom('namespace_key')
        .selectAll()
        .where('namespace', 'in', coveringPatterns(namespace))
        .orderBy('added_at')
        .orderBy('key_id')
        .execute();
      return rows.map((row) => ({
        namespace: row.namespace,
        record: publicKeyRecordSchema.parse({
          keyId: row.key_id,
          algorithm: row.algorithm,
          publicKey: row.public_key,
          ...(row.retired_at === null ? {} : { retiredAt: row.retired_at }),
        }),
      }));
    },
  };
}

/** What a change may do to namespaces and their keys. */
export function keyChanges(query: Kysely<Tables>): Pick<Change, 'claimNamespace' | 'addKey' | 'retireKey'> {
  return {
    async claimNamespace(namespace, claimedAt, byToken) {
      const claimed = await query
        .insertInto('namespace')
        .values({ name: namespace, claimed_at: claimedAt, claimed_by: byToken })
        .onConflict((conflict) => conflict.doNothing())
        .returning('name')
        .executeTakeFirst();
      return claimed !== undefined;
    },
    async addKey({ namespace, record }, addedAt, byToken) {
      await query
        .insertInto('namespace_key')
        .values({
          namespace,
          key_id: record.keyId,
          algorithm: record.algorithm,
          public_key: record.publicKey,
          added_at: addedAt,
          added_by: byToken,
          retired_at: null,
        })
        .execute();
    },
    async retireKey(namespace, keyId, retiredAt) {
      await query
        .updateTable('namespace_key')
        .set({ retired_at: retiredAt })
        .where('namespace', '=', namespace)
        .where('key_id', '=', keyId)
        .where('retired_at', 'is', null)
        .execute();
    },
  };
}
