import { sql, type Kysely } from 'kysely';
import type { Tables } from './schema.ts';
import type { Candidate, ShownVersion } from './store.ts';

/** Full-text search over skills; the part of the store that differs between database engines. */
export interface TextIndex {
  put(query: Kysely<Tables>, skillId: number, version: ShownVersion): Promise<void>;
  remove(query: Kysely<Tables>, skillId: number): Promise<void>;
  search(query: Kysely<Tables>, words: readonly string[], limit: number): Promise<Candidate[]>;
}

/** How much a hit in name, title, description, keywords, tools counts. */
const WEIGHTS = [8, 4, 2, 4, 3];

/** SQLite's FTS5. Each word also matches longer words that start with it. */
export const fts5Index: TextIndex = {
  async put(query, skillId, { name, manifest, tools }) {
    const text = (key: string) =>
      [manifest[key]]
        .flat()
        .filter((word) => typeof word === 'string')
        .join(' ');
    const ofTools = tools.map((tool) => `${tool.name} ${tool.title ?? ''}`).join(' ');
    await sql`insert into skill_text (rowid, name, title, description, keywords, tools)
      values (${skillId}, ${name}, ${text('title')}, ${text('description')},
        ${`${text('keywords')} ${text('categories')}`}, ${ofTools})`.execute(query);
  },
  async remove(query, skillId) {
    await sql`delete from skill_text where rowid = ${skillId}`.execute(query);
  },
  async search(query, words, limit) {
    // Quoted, so that nothing in a word is FTS5 syntax.
    const terms = words.map((word) => `"${word.replaceAll('"', '""')}"*`);
    if (terms.length === 0) return [];
    const all = await matching(query, terms.join(' AND '), limit);
    return all.length > 0 || terms.length === 1 ? all : matching(query, terms.join(' OR '), limit);
  },
};

async function matching(query: Kysely<Tables>, match: string, limit: number): Promise<Candidate[]> {
  const found = await sql<Candidate>`
    select skill.name, skill.downloads, skill.updated_at as "updatedAt",
      -bm25(skill_text, ${sql.join(WEIGHTS.map((weight) => sql.lit(weight)))}) as "textScore"
    from skill_text join skill on skill.id = skill_text.rowid
    where skill_text match ${match}
    order by "textScore" desc limit ${limit}`.execute(query);
  return found.rows;
}
