import type { Kysely } from 'kysely';

/** What each client sees: everything, a profile, or three tools that find the others. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('client')
    .addColumn('mode', 'text', (c) => c.notNull().defaultTo('all'))
    .execute();
  await db.schema.alterTable('client').addColumn('profile', 'text').execute();
  await db.schema
    .createTable('profile')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('entries_json', 'text', (c) => c.notNull())
    .addColumn('changed_at', 'text', (c) => c.notNull())
    .execute();
}
