import type { Kysely } from 'kysely';
import { tokenRow } from './rows.ts';
import type { Tables } from './schema.ts';
import type { Change, Store } from './store.ts';

const COLUMNS = [
  'id',
  'name',
  'hash',
  'admin',
  'namespaces',
  'created_at as createdAt',
  'expires_at as expiresAt',
  'last_used_at as lastUsedAt',
] as const;

/** What can be asked about tokens. */
export function tokenQuestions(query: Kysely<Tables>): Pick<Store, 'tokenByHash' | 'tokens'> {
  return {
    async tokenByHash(hash) {
      const row = await query.selectFrom('token').select(COLUMNS).where('hash', '=', hash).executeTakeFirst();
      return row && tokenRow.parse(row);
    },
    async tokens() {
      const rows = await query
        .selectFrom('token')
        .select(COLUMNS)
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map((row) => tokenRow.parse(row));
    },
  };
}

/** What a change may do to tokens. */
export function tokenChanges(query: Kysely<Tables>): Pick<Change, 'addToken' | 'removeToken'> {
  return {
    async addToken(token) {
      await query
        .insertInto('token')
        .values({
          id: token.id,
          name: token.name,
          hash: token.hash,
          admin: token.admin ? 1 : 0,
          namespaces: JSON.stringify(token.namespaces),
          created_at: token.createdAt,
          expires_at: token.expiresAt,
          last_used_at: token.lastUsedAt,
        })
        .execute();
    },
    async removeToken(id) {
      const row = await query.deleteFrom('token').where('id', '=', id).returning(COLUMNS).executeTakeFirst();
      return row && tokenRow.parse(row);
    },
  };
}
