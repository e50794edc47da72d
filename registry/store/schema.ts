import type { Generated } from 'kysely';

/** The tables as TypeScript sees them; `migrations/` makes them. JSON is text in canonical form. */
export interface Tables {
  /** One row: whose data this is. */
  identity: { one: number; key_id: string };
  namespace: { name: string; claimed_at: string; claimed_by: string };
  namespace_key: {
    /** A namespace or a pattern such as `local.*`. */
    namespace: string;
    key_id: string;
    algorithm: 'ed25519' | 'p256';
    public_key: string;
    added_at: string;
    added_by: string;
    retired_at: string | null;
  };
  skill: {
    id: Generated<number>;
    name: string;
    /** Row of the version that `*` resolves to; null when every version is yanked. */
    latest_id: number | null;
    downloads: Generated<number>;
    updated_at: string;
  };
  version: {
    id: Generated<number>;
    skill_id: number;
    version: string;
    digest: string;
    size: number;
    kind: string;
    manifest: string;
    tools: string;
    surface_digest: string;
    permissions: string;
    permissions_digest: string;
    signer: string;
    bundle: string;
    receipt: string;
    published_at: string;
    published_by: string;
  };
  /** What may change about a version, apart from it, so that the version itself can be immutable. */
  version_standing: {
    version_id: number;
    yanked: number;
    yank_reason: string | null;
    deprecated: string | null;
    changed_at: string;
  };
  /** Who asks for what: one row for each permission atom. */
  version_permission: { version_id: number; permission: string };
  version_download: { version_id: number; day: string; count: number };
  token: {
    id: string;
    name: string;
    hash: Buffer;
    admin: number;
    namespaces: string;
    created_at: string;
    expires_at: string | null;
    last_used_at: string | null;
  };
  log_leaf: { leaf_index: number; kind: string; entry: Buffer; leaf_hash: Buffer };
  log_head: {
    tree_size: number;
    root_hash: Buffer;
    frontier: string;
    time: string;
    signature: string;
  };
  audit: {
    id: Generated<number>;
    time: string;
    by_token: string;
    action: string;
    subject: string;
  };
}
