import type { Kysely } from 'kysely';

/** Which folders were granted, beside the paths at which they lay. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('skill')
    .addColumn('folders_json', 'text', (c) => c.notNull().defaultTo('{}'))
    .execute();
}
