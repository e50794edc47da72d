import { z } from 'zod';
import { AppError } from '../protocol/errors.ts';
import { unverifiable } from '../protocol/manifest.ts';
import { hexOf } from './paths.ts';
import { skillNotFound, versionNotFound } from './resolve.ts';
import type { JsonObject, ServerCursor, ServerRow, Store } from './store/store.ts';

/** The official registry's names for what it adds to an answer, and for what a publisher adds. */
const OFFICIAL_META = 'io.modelcontextprotocol.registry/official';
const PUBLISHER_META = 'io.modelcontextprotocol.registry/publisher-provided';
const SERVER_SCHEMA = 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json';
/** Versions of one server in an answer that has no pages. */
const MAX_VERSIONS = 1_000;

interface ServersDeps {
  store: Pick<Store, 'servers'>;
  /** Where clients reach this registry, without a trailing slash. */
  baseUrl: string;
}

export interface ServerList {
  servers: ServerResponse[];
  metadata: { count: number; nextCursor?: string };
}

interface ServerResponse {
  server: { name: string; description: string; version: string; [field: string]: unknown };
  _meta: Record<string, JsonObject>;
}

/** A page of the listing: the official read API v0.1 over our versions. */
export async function listServers(
  { store, baseUrl }: ServersDeps,
  asked: {
    cursor?: string | undefined;
    limit: number;
    search?: string | undefined;
    version?: string | undefined;
    updated_since?: string | undefined;
  },
): Promise<ServerList> {
  const rows = await store.servers({
    after: asked.cursor === undefined ? undefined : readCursor(asked.cursor),
    limit: asked.limit,
    search: asked.search,
    version: asked.version,
    updatedSince: asked.updated_since === undefined ? undefined : new Date(asked.updated_since).toISOString(),
  });
  const page = rows.slice(0, asked.limit);
  const last = page.at(-1);
  const more = rows.length > page.length && last !== undefined;
  return {
    servers: page.map((row) => serverResponse(row, baseUrl)),
    metadata: {
      count: page.length,
      ...(more ? { nextCursor: writeCursor({ name: last.record.name, row: last.row }) } : {}),
    },
  };
}

/** All versions of one server, the last published first. */
export async function serverVersions({ store, baseUrl }: ServersDeps, name: string): Promise<ServerList> {
  const rows = (await store.servers({ name, limit: MAX_VERSIONS })).toReversed();
  if (rows.length === 0) throw skillNotFound(name);
  return { servers: rows.map((row) => serverResponse(row, baseUrl)), metadata: { count: rows.length } };
}

/** One version of a server, by number or `latest`. */
export async function serverVersion(
  { store, baseUrl }: ServersDeps,
  name: string,
  version: string,
): Promise<ServerResponse> {
  const [row] = await store.servers({ name, version, limit: 1 });
  if (row === undefined) throw versionNotFound(name, version);
  return serverResponse(row, baseUrl);
}

/** What is shown of a manifest; not all its rules, which may have grown since it was published. */
const shownManifest = z.object({
  title: z.string(),
  description: z.string(),
  repository: z.object({ url: z.url(), subfolder: z.string().optional() }).optional(),
  runtime: z.object({ kind: z.string(), url: z.string().optional() }),
});

function serverResponse({ record, isLatest }: ServerRow, baseUrl: string): ServerResponse {
  const manifest = shownManifest.parse(record.manifest);
  const archive = `${baseUrl}/v1/blobs/sha256/${hexOf(record.digest)}`;
  const { runtime, repository } = manifest;
  const notice = unverifiable(runtime.kind);
  return {
    server: {
      $schema: SERVER_SCHEMA,
      name: record.name,
      title: manifest.title,
      description: manifest.description,
      version: record.version,
      ...(repository === undefined
        ? {}
        : { repository: { ...repository, source: sourceOf(repository.url) } }),
      ...(runtime.kind === 'remote'
        ? { remotes: [{ type: 'streamable-http', url: runtime.url }] }
        : {
            packages: [
              {
                registryType: 'berth',
                registryBaseUrl: baseUrl,
                identifier: archive,
                version: record.version,
                fileSha256: hexOf(record.digest),
                transport: { type: 'stdio' },
              },
            ],
          }),
      // The manifest may be larger than the 4 KB that are allowed here, so it is only referred to.
      _meta: {
        [PUBLISHER_META]: {
          'dev.berth': {
            digest: record.digest,
            permissionsDigest: record.permissionsDigest,
            surfaceDigest: record.surfaceDigest,
            signer: record.signer,
            details: `${baseUrl}/v1/skills/${record.name}/${record.version}`,
            ...(notice === undefined ? {} : { unverified: notice }),
          },
        },
      },
    },
    _meta: {
      [OFFICIAL_META]: {
        status: record.yanked || record.deprecated !== null ? 'deprecated' : 'active',
        ...statusMessage(record),
        statusChangedAt: record.changedAt,
        publishedAt: record.publishedAt,
        updatedAt: record.changedAt,
        isLatest,
      },
    },
  };
}

function statusMessage({ yanked, yankReason, deprecated }: ServerRow['record']): { statusMessage?: string } {
  if (yanked) return { statusMessage: yankReason === null ? 'yanked' : `yanked: ${yankReason}` };
  return deprecated === null ? {} : { statusMessage: deprecated };
}

function sourceOf(url: string): string {
  const { hostname } = new URL(url);
  return hostname.endsWith('github.com') ? 'github' : hostname.endsWith('gitlab.com') ? 'gitlab' : 'git';
}

const cursorSchema = z.strictObject({ name: z.string(), row: z.int() });

function writeCursor(cursor: ServerCursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

function readCursor(text: string): ServerCursor {
  try {
    return cursorSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch (error) {
    throw new AppError('request-invalid', {
      detail: 'This cursor is not one that the registry gave out.',
      hint: 'Start again without a cursor.',
      cause: error,
    });
  }
}
