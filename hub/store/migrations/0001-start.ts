import { type Kysely, sql } from 'kysely';

/** The first shape of the hub's database. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('version')
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('version', 'text', (c) => c.notNull())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('signer', 'text', (c) => c.notNull())
    .addColumn('manifest_json', 'text', (c) => c.notNull())
    .addColumn('surface_json', 'text', (c) => c.notNull())
    .addColumn('files_json', 'text', (c) => c.notNull())
    .addColumn('verified_json', 'text', (c) => c.notNull())
    .addColumn('bundle_json', 'text', (c) => c.notNull())
    .addColumn('receipt_json', 'text', (c) => c.notNull())
    .addColumn('fetched_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('version_pk', ['name', 'version', 'digest'])
    .execute();
  await db.schema
    .createTable('skill')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('alias', 'text', (c) => c.notNull().unique())
    .addColumn('version', 'text', (c) => c.notNull())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('workspace', 'text')
    .addColumn('config_json', 'text', (c) => c.notNull())
    .addColumn('epoch', 'integer', (c) => c.notNull())
    .addColumn('quarantine_json', 'text')
    .addColumn('installed_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('grant')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('skill', 'text', (c) => c.notNull())
    .addColumn('permission_id', 'text', (c) => c.notNull())
    .addColumn('permission_json', 'text', (c) => c.notNull())
    .addColumn('sentence', 'text', (c) => c.notNull())
    .addColumn('granted_by', 'text', (c) => c.notNull())
    .addColumn('granted_at', 'text', (c) => c.notNull())
    .addColumn('revoked_at', 'text')
    .addColumn('revoked_by', 'text')
    .execute();
  await db.schema.createIndex('grant_by_skill').on('grant').columns(['skill', 'revoked_at']).execute();
  await db.schema
    .createTable('tool_answer')
    .addColumn('skill', 'text', (c) => c.notNull())
    .addColumn('tool', 'text', (c) => c.notNull())
    .addColumn('answer', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('tool_answer_pk', ['skill', 'tool'])
    .execute();
  await db.schema
    .createTable('approval')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('skill', 'text', (c) => c.notNull())
    .addColumn('version', 'text', (c) => c.notNull())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('settled_at', 'text')
    .addColumn('settled_by', 'text')
    .addColumn('reason', 'text')
    .execute();
  await db.schema.createIndex('approval_by_state').on('approval').columns(['state', 'created_at']).execute();
  await db.schema
    .createTable('client')
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('user', 'text', (c) => c.notNull())
    .addColumn('token_hash', 'text', (c) => c.primaryKey())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'text')
    .addColumn('last_seen_at', 'text')
    .addColumn('removed_at', 'text')
    .execute();
  await sql`create unique index client_by_name on client (name) where removed_at is null`.execute(db);
  await db.schema
    .createTable('namespace_signer')
    .addColumn('namespace', 'text', (c) => c.primaryKey())
    .addColumn('signer', 'text', (c) => c.notNull())
    .addColumn('pinned_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('registry_pin')
    .addColumn('url', 'text', (c) => c.primaryKey())
    .addColumn('key_json', 'text', (c) => c.notNull())
    .addColumn('pinned_at', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('audit')
    .addColumn('seq', 'integer', (c) => c.primaryKey())
    .addColumn('record', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('audit_head')
    .addColumn('seq', 'integer', (c) => c.primaryKey())
    .addColumn('head', 'text', (c) => c.notNull())
    .execute();
}
