import { sql } from 'kysely';
import type { Migration } from '../../../protocol/node/database.ts';

/** What people search in, one row a skill, of its latest version. SQLite's own full-text index. */
export const textSearchMigration: Migration = {
  name: '0002-text-search',
  up: async (query) =>
    void (await sql`create virtual table skill_text using fts5(
      name, title, description, keywords, tools,
      tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )`.execute(query)),
};
