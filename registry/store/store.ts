import type { Digest, Json } from '../../protocol/canonical.ts';
import type { Effect } from '../../protocol/manifest.ts';
import type { Frontier } from '../../protocol/log.ts';
import type { Permissions } from '../../protocol/permissions.ts';
import type { PublicKeyRecord, Receipt } from '../../protocol/provenance.ts';

export type JsonObject = { [key: string]: Json };

/** What may change about a published version. */
export interface Standing {
  yanked: boolean;
  yankReason: string | null;
  /** The advice of a deprecation; `null` when it isn't deprecated. */
  deprecated: string | null;
}

/** A tool as lists show it. */
export interface ToolSummary {
  name: string;
  title?: string | undefined;
  description?: string | undefined;
  effects: Effect[];
}

/** A version without its large parts, for lists. */
export interface VersionSummary extends Standing {
  version: string;
  digest: Digest;
  size: number;
  signer: string;
  permissionsDigest: Digest;
  publishedAt: string;
  /** When its standing changed last; the time of publication at first. */
  changedAt: string;
}

/** A version as people look at it: all but its proofs, which may be large. */
export interface ShownVersion extends VersionSummary {
  name: string;
  kind: string;
  manifest: JsonObject;
  tools: ToolSummary[];
  surfaceDigest: Digest;
  permissions: Permissions;
}

/** All that is kept of a version. */
export interface VersionRecord extends ShownVersion {
  bundle: JsonObject;
  receipt: Receipt;
}

/** What a publication adds. */
export type NewVersion = Omit<VersionRecord, keyof Standing | 'changedAt'> & { publishedBy: string };

/** A skill, with the version that stands for it: the latest, or the newest when all are yanked. */
export interface SkillRecord {
  name: string;
  shown: ShownVersion;
  latest: string | null;
  downloads: number;
  updatedAt: string;
}

/** A skill that text search or a name found, with what ranking needs. */
export interface Candidate {
  name: string;
  /** Higher fits better; 0 when only the name was alike. */
  textScore: number;
  downloads: number;
  updatedAt: string;
}

/** A key and where it counts. */
export interface NamespaceKey {
  /** A namespace or a pattern. */
  namespace: string;
  record: PublicKeyRecord;
}

/** A token as it is kept: never its text. */
export interface TokenRow {
  id: string;
  name: string;
  hash: Buffer;
  admin: boolean;
  namespaces: string[];
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
}

/** A position in the listing of servers: after this name, and after this row among its versions. */
export interface ServerCursor {
  name: string;
  row: number;
}

export interface ServerQuery {
  after?: ServerCursor | undefined;
  limit: number;
  /** The whole name, or part of it. */
  name?: string | undefined;
  search?: string | undefined;
  /** `latest`, or an exact version. */
  version?: string | undefined;
  /** Published or changed at or after. */
  updatedSince?: string | undefined;
}

/** A server as the listing needs it. */
export interface ServerRow {
  row: number;
  isLatest: boolean;
  record: ShownVersion;
}

/** A signed state of the log. */
export interface TreeHead {
  frontier: Frontier;
  rootHash: Buffer;
  time: string;
  signature: string;
}

export interface LogLeaf {
  kind: string;
  entry: Buffer;
  leafHash: Buffer;
}

/** Who did what, for the registry's own records; the log says the public part of it. */
interface AuditEntry {
  time: string;
  byToken: string;
  action: string;
  subject: string;
}

/** Questions about skills and keys; inside a change they see what it has done so far. */
export interface Questions {
  version(name: string, version: string): Promise<VersionRecord | undefined>;
  /** Newest version number first; empty when there is no such skill. */
  versionsOf(name: string): Promise<VersionSummary[]>;
  skill(name: string): Promise<SkillRecord | undefined>;
  /** The keys of a namespace and of the patterns that cover it, oldest first, retired ones included. */
  keysOf(namespace: string): Promise<NamespaceKey[]>;
  /** `undefined` before the first entry. */
  treeHead(): Promise<TreeHead | undefined>;
}

/** One change of the registry: all of it happens, with its log entries and tree head, or nothing. */
export interface Change extends Questions {
  /** `version-exists` when a concurrent change was first. */
  addVersion(version: NewVersion): Promise<void>;
  setStanding(name: string, version: string, standing: Standing, changedAt: string): Promise<void>;
  /** Makes a version the one that the skill is shown and found by; `null` when all are yanked. */
  setLatest(name: string, latest: ShownVersion | null, updatedAt: string): Promise<void>;
  /** False when it had been claimed before. */
  claimNamespace(namespace: string, claimedAt: string, byToken: string): Promise<boolean>;
  addKey(key: NamespaceKey, addedAt: string, byToken: string): Promise<void>;
  retireKey(namespace: string, keyId: string, retiredAt: string): Promise<void>;
  appendToLog(leaf: LogLeaf, head: TreeHead): Promise<void>;
  addToken(token: TokenRow): Promise<void>;
  /** `undefined` when there is no such token. */
  removeToken(id: string): Promise<TokenRow | undefined>;
  audit(entry: AuditEntry): Promise<void>;
}

/** What a registry remembers. Every function is named for its question. */
export interface Store extends Questions {
  change<T>(work: (change: Change) => Promise<T>): Promise<T>;
  /** Skills whose text has all the words, or else any; at most `limit` of them. */
  search(words: readonly string[], limit: number): Promise<Candidate[]>;
  /** Skills whose last name part or whole name starts so. */
  named(prefix: string, limit: number): Promise<Candidate[]>;
  /** The most recently updated skills, for a search without words. */
  recent(limit: number): Promise<Candidate[]>;
  /** MCP servers by name and publication; `limit + 1` rows mean that there are more. */
  servers(query: ServerQuery): Promise<ServerRow[]>;
  /** True when a published version has this archive. */
  isPublished(digest: Digest): Promise<boolean>;
  tokenByHash(hash: Buffer): Promise<TokenRow | undefined>;
  tokens(): Promise<TokenRow[]>;
  /** Adds downloads of a day (`2026-11-23`) and notes when tokens were used last. */
  recordUse(use: {
    day: string;
    downloads: ReadonlyMap<Digest, number>;
    tokens: ReadonlyMap<string, string>;
  }): Promise<void>;
  /** All entries in order, for checking the log as a whole. */
  logLeaves(): AsyncIterable<LogLeaf>;
  /** Binds this data to the registry's key at the first start; answers the key it is bound to. */
  bindIdentity(keyId: string): Promise<string>;
  /** Fails when the database cannot be read. */
  check(): Promise<void>;
  close(): Promise<void>;
}
