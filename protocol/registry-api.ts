import { z } from 'zod';
import { digestSchema } from './canonical.ts';
import { EFFECTS, nameSchema } from './manifest.ts';
import { permissionsSchema } from './permissions.ts';
import { publicKeyRecordSchema, receiptSchema } from './provenance.ts';
import { RAW_BYTES, route } from './route.ts';
import { versionSchema } from './version.ts';

/** Bytes of the `publish` body: the signed statement of 10,000 files is 4 MB in base64. */
export const PUBLISH_BODY_MAX_BYTES = 8 * 1_048_576;

/** What a search answers at most at once. */
const SEARCH_MAX_HITS = 50;
/** What a page of `/v0.1/servers` holds at most. */
const SERVERS_MAX_PAGE = 100;

const time = z.iso.datetime({ precision: 3 });
const jsonObject = z.record(z.string(), z.json());
const sentence = z.string().max(500);

const isNamespace = (text: string) => nameSchema.safeParse(`${text}/x`).success;
const namespace = z.string().refine(isNamespace, 'must be a namespace, such as com.acme');
/** A namespace, or all below one: `local.*` covers every namespace that starts with `local.`. */
const namespacePatternSchema = z
  .string()
  .refine((text) => isNamespace(text.replace(/\.\*$/, '.x')), 'must be a namespace, or one that ends in .*');

const skillParams = z.strictObject({ namespace, name: z.string().min(1).max(128) });
const versionParams = z.strictObject({ ...skillParams.shape, version: versionSchema });
const hexParams = z.strictObject({
  hex: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits'),
});

const keysReply = z.object({ namespace: namespacePatternSchema, keys: z.array(publicKeyRecordSchema) });

const toolSummary = z.object({
  name: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  /** What it does to the world, bounded by what the permissions make possible. */
  effects: z.array(z.enum(EFFECTS)),
});

/** A skill's permissions as sentences for people. */
const permissionSentencesSchema = z.object({
  can: z.array(z.string()),
  cannot: z.array(z.string()),
  asksFirst: z.array(z.string()),
});

/** What may change about a published version. */
const standing = {
  yanked: z.boolean(),
  yankReason: z.string().nullable(),
  /** The advice given with the deprecation; `null` when it isn't deprecated. */
  deprecated: z.string().nullable(),
};

const versionSummary = z.object({
  version: versionSchema,
  digest: digestSchema,
  size: z.int(),
  publishedAt: time,
  signer: z.string(),
  permissionsDigest: digestSchema,
  ...standing,
});

/** One version with all that a hub needs to verify it, but for the archive itself. */
const versionReplySchema = z.object({
  name: nameSchema,
  version: versionSchema,
  /** Of the archive; its bytes are at `/v1/blobs/sha256/<hex>`. */
  digest: digestSchema,
  size: z.int(),
  /** `skill.json` as published; `parseManifest` reads it. */
  manifest: jsonObject,
  surfaceDigest: digestSchema,
  tools: z.array(toolSummary),
  permissions: permissionsSchema,
  permissionsDigest: digestSchema,
  sentences: permissionSentencesSchema,
  /** `key:<keyId>`. */
  signer: z.string(),
  /** The Sigstore bundle; `verifyBundle` reads it. */
  bundle: jsonObject,
  receipt: receiptSchema,
  publishedAt: time,
  ...standing,
});
export type VersionReply = z.output<typeof versionReplySchema>;

const skillReply = z.object({
  name: nameSchema,
  title: z.string(),
  description: z.string(),
  license: z.string(),
  repository: z.string().nullable(),
  keywords: z.array(z.string()),
  categories: z.array(z.string()),
  kind: z.string(),
  /** What `resolve` answers for `*`, else the newest pre-release; `null` when every version is yanked. */
  latest: versionSchema.nullable(),
  /** Newest version number first. */
  versions: z.array(versionSummary),
  permissions: permissionSentencesSchema,
  tools: z.array(toolSummary),
  downloads: z.int(),
  updatedAt: time,
});
export type SkillReply = z.output<typeof skillReply>;

const searchHit = z.object({
  name: nameSchema,
  version: versionSchema,
  title: z.string(),
  description: z.string(),
  kind: z.string(),
  keywords: z.array(z.string()),
  permissions: permissionSentencesSchema,
  tools: z.array(toolSummary),
  downloads: z.int(),
  updatedAt: time,
  deprecated: z.string().nullable(),
});
export type SearchHit = z.output<typeof searchHit>;

const versionStanding = z.object({ name: nameSchema, version: versionSchema, ...standing });

/** A token as lists show it: everything but the secret, which nobody keeps. */
const tokenRecord = z.object({
  id: z.string(),
  name: z.string(),
  admin: z.boolean(),
  namespaces: z.array(namespacePatternSchema),
  createdAt: time,
  expiresAt: time.nullable(),
  lastUsedAt: time.nullable(),
});
export type TokenRecord = z.output<typeof tokenRecord>;

// The official read API of MCP registries (v0.1): loose, as clients of it are used to.
const serverResponse = z.object({
  server: z.looseObject({ name: z.string(), description: z.string(), version: z.string() }),
  _meta: z.record(z.string(), jsonObject),
});
const serverList = z.object({
  servers: z.array(serverResponse),
  metadata: z.object({ nextCursor: z.string().optional(), count: z.int() }),
});
const includeDeleted = z.enum(['true', 'false']).optional();

/** Every address of a registry. Server, client and `/openapi.json` are made from this one table. */
export const registryApi = {
  registry: route({
    method: 'GET',
    path: '/v1/registry',
    summary: 'Name of the registry and the key that signs its receipts and tree heads',
    access: 'open',
    reply: z.object({ name: z.string(), key: publicKeyRecordSchema }),
  }),

  uploadBlob: route({
    method: 'PUT',
    path: '/v1/blobs/sha256/:hex',
    summary: 'Uploads an archive under its digest; it is not served before a version refers to it',
    params: hexParams,
    body: RAW_BYTES,
    status: 201,
    reply: z.object({ digest: digestSchema, size: z.int() }),
  }),
  blob: route({
    method: 'GET',
    path: '/v1/blobs/sha256/:hex',
    summary: 'The archive of a published version; immutable, with Range and ETag',
    access: 'open',
    params: hexParams,
    reply: RAW_BYTES,
  }),
  publish: route({
    method: 'POST',
    path: '/v1/publish',
    summary: 'Publishes an uploaded archive with its signature; the same again answers the same receipt',
    body: z.strictObject({ archive: digestSchema, bundle: jsonObject }),
    status: 201,
    reply: z.object({
      name: nameSchema,
      version: versionSchema,
      digest: digestSchema,
      receipt: receiptSchema,
    }),
  }),

  search: route({
    method: 'GET',
    path: '/v1/search',
    summary: 'Finds skills by name, title, description, keywords and tool names',
    access: 'open',
    query: z.strictObject({
      q: z.string().max(200).default(''),
      limit: z.coerce.number().int().min(1).max(SEARCH_MAX_HITS).default(20),
    }),
    reply: z.object({ hits: z.array(searchHit) }),
  }),
  resolve: route({
    method: 'GET',
    path: '/v1/resolve',
    summary: 'The version that a semver range chooses; never a yanked one, a pre-release only when asked for',
    access: 'open',
    query: z.strictObject({ name: nameSchema, range: z.string().max(200).default('*') }),
    reply: versionReplySchema,
  }),
  skill: route({
    method: 'GET',
    path: '/v1/skills/:namespace/:name',
    summary: 'A skill: what it is, may do and offers, and its versions',
    access: 'open',
    params: skillParams,
    reply: skillReply,
  }),
  versions: route({
    method: 'GET',
    path: '/v1/skills/:namespace/:name/versions',
    summary: 'All versions of a skill, newest version number first',
    access: 'open',
    params: skillParams,
    reply: z.object({ name: nameSchema, versions: z.array(versionSummary) }),
  }),
  version: route({
    method: 'GET',
    path: '/v1/skills/:namespace/:name/:version',
    summary: 'One version with manifest, permissions, signature and receipt',
    access: 'open',
    params: versionParams,
    reply: versionReplySchema,
  }),
  yank: route({
    method: 'POST',
    path: '/v1/skills/:namespace/:name/:version/yank',
    summary: 'Stops a version from being resolved; it stays available by its exact number',
    params: versionParams,
    body: z.strictObject({ reason: sentence.default('') }),
    reply: versionStanding,
  }),
  unyank: route({
    method: 'POST',
    path: '/v1/skills/:namespace/:name/:version/unyank',
    summary: 'Lets a yanked version be resolved again',
    params: versionParams,
    reply: versionStanding,
  }),
  deprecate: route({
    method: 'POST',
    path: '/v1/skills/:namespace/:name/:version/deprecate',
    summary: 'Warns about a version, or takes the warning back with a message of null',
    params: versionParams,
    body: z.strictObject({ message: sentence.min(1).nullable() }),
    reply: versionStanding,
  }),

  keys: route({
    method: 'GET',
    path: '/v1/keys/:namespace',
    summary: 'The keys that may sign for a namespace, with those of the patterns that cover it',
    access: 'open',
    params: z.strictObject({ namespace: namespacePatternSchema }),
    reply: keysReply,
  }),
  addKey: route({
    method: 'PUT',
    path: '/v1/keys/:namespace',
    summary: 'Adds a key: the first by whoever may publish there, a further one by an admin',
    params: z.strictObject({ namespace: namespacePatternSchema }),
    body: z.strictObject({ publicKey: z.base64().max(1_024) }),
    reply: keysReply,
  }),
  retireKey: route({
    method: 'POST',
    path: '/v1/keys/:namespace/retire',
    summary: 'Retires a key: nothing new is accepted from it',
    params: z.strictObject({ namespace: namespacePatternSchema }),
    body: z.strictObject({ keyId: z.base64().max(64) }),
    reply: keysReply,
  }),

  whoami: route({
    method: 'GET',
    path: '/v1/whoami',
    summary: 'What the token that calls may do',
    reply: tokenRecord,
  }),
  tokens: route({
    method: 'GET',
    path: '/v1/tokens',
    summary: 'All tokens (admin)',
    reply: z.object({ tokens: z.array(tokenRecord) }),
  }),
  addToken: route({
    method: 'POST',
    path: '/v1/tokens',
    summary: 'Makes a token (admin); its secret is shown in this reply and never again',
    body: z.strictObject({
      name: z.string().min(1).max(64),
      namespaces: z.array(namespacePatternSchema).max(64).default([]),
      admin: z.boolean().default(false),
      /** `null` never expires. */
      expiresInDays: z.int().min(1).max(3_650).nullable().default(90),
    }),
    status: 201,
    reply: z.object({ token: z.string(), record: tokenRecord }),
  }),
  removeToken: route({
    method: 'DELETE',
    path: '/v1/tokens/:id',
    summary: 'Removes a token (admin); it is refused from then on',
    params: z.strictObject({ id: z.string().min(1).max(64) }),
    reply: z.object({ removed: tokenRecord }),
  }),

  servers: route({
    method: 'GET',
    path: '/v0.1/servers',
    summary: 'MCP servers, as the official registry lists them',
    access: 'open',
    query: z.object({
      cursor: z.string().max(400).optional(),
      limit: z.coerce.number().int().min(1).max(SERVERS_MAX_PAGE).default(30),
      search: z.string().max(200).optional(),
      version: z.string().max(64).optional(),
      updated_since: z.iso.datetime({ offset: true }).optional(),
      include_deleted: includeDeleted,
    }),
    reply: serverList,
  }),
  serverVersions: route({
    method: 'GET',
    path: '/v0.1/servers/:serverName/versions',
    summary: 'All versions of an MCP server, newest first',
    access: 'open',
    params: z.strictObject({ serverName: nameSchema }),
    query: z.object({ include_deleted: includeDeleted }),
    reply: serverList,
  }),
  serverVersion: route({
    method: 'GET',
    path: '/v0.1/servers/:serverName/versions/:version',
    summary: 'One version of an MCP server, or `latest`',
    access: 'open',
    params: z.strictObject({ serverName: nameSchema, version: z.string().max(64) }),
    query: z.object({ include_deleted: includeDeleted }),
    reply: serverResponse,
  }),

  openapi: route({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This contract as OpenAPI 3.1',
    access: 'open',
    reply: jsonObject,
  }),
  health: route({
    method: 'GET',
    path: '/healthz',
    summary: 'The process answers',
    access: 'open',
    reply: z.object({ ok: z.literal(true) }),
  }),
  ready: route({
    method: 'GET',
    path: '/readyz',
    summary: 'Database and blobs answer, too',
    access: 'open',
    reply: z.object({ ok: z.literal(true) }),
  }),
} as const;
