import type { Generated } from 'kysely';

/** The hub's tables. Columns named `*_json` hold canonical JSON that this hub wrote itself. */
export interface HubTables {
  /** Verified versions, content addressed; a row is never changed. */
  version: {
    name: string;
    version: string;
    digest: string;
    signer: string;
    manifest_json: string;
    surface_json: string;
    /** Path in the package → sha256 hex; re-checked at every start of the skill. */
    files_json: string;
    /** Sentences about what was verified at fetch. */
    verified_json: string;
    /** What stands behind them: the author's bundle and the registry's receipt. */
    bundle_json: string;
    receipt_json: string;
    fetched_at: string;
  };
  /** One row an installed skill: which version serves and with which bindings. */
  skill: {
    name: string;
    alias: string;
    version: string;
    digest: string;
    workspace: string | null;
    config_json: string;
    /** Host path of each granted folder → which one it is. */
    folders_json: Generated<string>;
    /** Another with every change of version, grants or bindings; never one that the skill had before. */
    epoch: number;
    /** Evidence that quarantined the skill, or null. */
    quarantine_json: string | null;
    installed_at: string;
  };
  /** One row a granted permission; revoked ones stay as history. */
  grant: {
    id: string;
    skill: string;
    permission_id: string;
    permission_json: string;
    sentence: string;
    granted_by: string;
    granted_at: string;
    revoked_at: string | null;
    revoked_by: string | null;
  };
  tool_answer: { skill: string; tool: string; answer: string };
  approval: {
    id: string;
    kind: string;
    skill: string;
    version: string;
    digest: string;
    state: string;
    created_at: string;
    settled_at: string | null;
    settled_by: string | null;
    reason: string | null;
  };
  client: {
    name: string;
    user: string;
    token_hash: string;
    created_at: string;
    expires_at: string | null;
    last_seen_at: string | null;
    removed_at: string | null;
    /** `all`, `profile` or `search`. */
    mode: Generated<string>;
    profile: string | null;
  };
  /** Named selections of skills and tools. */
  profile: { name: string; entries_json: string; changed_at: string };
  /** The signer a namespace was first approved with. */
  namespace_signer: { namespace: string; signer: string; pinned_at: string };
  /** The key a registry was first seen with. */
  registry_pin: { url: string; key_json: string; pinned_at: string };
  /** Calls that their clients come back for; times in milliseconds since 1970. */
  task: {
    id: string;
    user: string;
    client: string;
    tool: string;
    created_at: number;
    updated_at: number;
    ttl_ms: number;
    expires_at: number;
    /** Null while the call is being carried out. */
    ending_json: string | null;
    message: string | null;
    /** Of the ending. */
    bytes: number;
  };
  audit: { seq: Generated<number>; record: string };
  audit_head: { seq: number; head: string };
}
