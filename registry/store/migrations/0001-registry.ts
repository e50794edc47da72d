import { sql } from 'kysely';
import type { Migration } from '../../../protocol/node/database.ts';

const TABLES = [
  sql`create table identity (one integer primary key check (one = 1), key_id text not null) strict`,
  sql`create table namespace (name text primary key, claimed_at text not null, claimed_by text not null) strict`,
  sql`create table namespace_key (
    namespace text not null,
    key_id text not null,
    algorithm text not null check (algorithm in ('ed25519', 'p256')),
    public_key text not null,
    added_at text not null,
    added_by text not null,
    retired_at text,
    primary key (namespace, key_id)
  ) strict`,
  sql`create table skill (
    id integer primary key,
    name text not null unique,
    latest_id integer references version (id),
    downloads integer not null default 0,
    updated_at text not null
  ) strict`,
  sql`create table version (
    id integer primary key,
    skill_id integer not null references skill (id),
    version text not null,
    digest text not null unique,
    size integer not null,
    kind text not null,
    manifest text not null,
    tools text not null,
    surface_digest text not null,
    permissions text not null,
    permissions_digest text not null,
    signer text not null,
    bundle text not null,
    receipt text not null,
    published_at text not null,
    published_by text not null,
    unique (skill_id, version)
  ) strict`,
  sql`create table version_standing (
    version_id integer primary key references version (id),
    yanked integer not null check (yanked in (0, 1)),
    yank_reason text,
    deprecated text,
    changed_at text not null
  ) strict`,
  sql`create index version_standing_changed on version_standing (changed_at)`,
  sql`create table version_permission (
    version_id integer not null references version (id),
    permission text not null,
    primary key (permission, version_id)
  ) strict, without rowid`,
  sql`create table version_download (
    version_id integer not null references version (id),
    day text not null,
    count integer not null,
    primary key (version_id, day)
  ) strict, without rowid`,
  sql`create table token (
    id text primary key,
    name text not null,
    hash blob not null unique,
    admin integer not null check (admin in (0, 1)),
    namespaces text not null,
    created_at text not null,
    expires_at text,
    last_used_at text
  ) strict`,
  sql`create table log_leaf (
    leaf_index integer primary key check (leaf_index >= 0),
    kind text not null,
    entry blob not null,
    leaf_hash blob not null
  ) strict`,
  sql`create table log_head (
    tree_size integer primary key check (tree_size > 0),
    root_hash blob not null,
    frontier text not null,
    time text not null,
    signature text not null
  ) strict`,
  sql`create table audit (
    id integer primary key,
    time text not null,
    by_token text not null,
    action text not null,
    subject text not null
  ) strict`,
];

/** Rows that are history: written once, then neither changed nor removed, whoever asks. */
const IMMUTABLE = ['version', 'version_permission', 'log_leaf', 'log_head', 'audit', 'identity', 'namespace'];

/** The first schema: skills, versions, keys, tokens, the log, and what protects history. */
export const registryMigration: Migration = {
  name: '0001-registry',
  async up(query) {
    for (const table of TABLES) await table.execute(query);
    for (const table of IMMUTABLE) {
      for (const event of ['update', 'delete']) {
        await sql`create trigger ${sql.ref(`${table}_no_${event}`)} before ${sql.raw(event)} on ${sql.ref(table)}
          begin select raise(abort, ${sql.lit(`${table} is immutable`)}); end`.execute(query);
      }
    }
    // Keys are retired, never removed or replaced; retiring is not undone.
    await sql`create trigger namespace_key_no_delete before delete on namespace_key
      begin select raise(abort, 'namespace_key is immutable'); end`.execute(query);
    await sql`create trigger namespace_key_only_retires before update on namespace_key
      when old.retired_at is not null or new.namespace <> old.namespace or new.key_id <> old.key_id
        or new.algorithm <> old.algorithm or new.public_key <> old.public_key
      begin select raise(abort, 'namespace_key is immutable'); end`.execute(query);
    // The log has no gaps, so its order is its history.
    await sql`create trigger log_leaf_in_order before insert on log_leaf
      when new.leaf_index <> coalesce((select max(leaf_index) + 1 from log_leaf), 0)
      begin select raise(abort, 'log_leaf is append-only'); end`.execute(query);
  },
};
