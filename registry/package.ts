import { createHash } from 'node:crypto';
import { readArchive, type ArchiveFile } from '../protocol/archive.ts';
import { digestOf, isDigest, sha256, type Digest } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import { parseManifest, type Manifest } from '../protocol/manifest.ts';
import { normalise, permissionsDigest, type Permissions } from '../protocol/permissions.ts';
import type { Statement } from '../protocol/provenance.ts';
import { parseSurface, surfaceDigest, type Surface } from '../protocol/surface.ts';
import type { Blobs } from './blobs/blobs.ts';
import type { JsonObject } from './store/store.ts';

/** An archive, read strictly and understood; its other files were hashed and let go. */
export interface Package {
  digest: Digest;
  size: number;
  manifest: Manifest;
  /** `skill.json` as it was written. */
  manifestJson: JsonObject;
  manifestDigest: Digest;
  surface: Surface;
  surfaceDigest: Digest;
  permissions: Permissions;
  permissionsDigest: Digest;
  /** sha256 in hexadecimal by path. */
  files: Record<string, string>;
}

const MANIFEST = 'skill.json';
const SURFACE = 'surface.json';

/**
 * Reads an uploaded archive from front to end. Fails with `blob-not-found`, an `archive-…` code,
 * `digest-mismatch` when the stored bytes have decayed, `manifest-invalid` or `surface-invalid`.
 */
export async function readPackage({ blobs }: { blobs: Blobs }, digest: Digest): Promise<Package> {
  const hash = createHash('sha256');
  const files: Record<string, string> = {};
  const kept = new Map<string, Uint8Array>();
  let size = 0;
  const counted = async function* () {
    for await (const chunk of blobs.read(digest)) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  for await (const { path, bytes } of readArchive(counted())) {
    files[path] = sha256(bytes).toString('hex');
    if (path === MANIFEST || path === SURFACE) kept.set(path, bytes);
  }
  const actual = `sha256:${hash.digest('hex')}`;
  if (!isDigest(actual) || actual !== digest) {
    throw new AppError('digest-mismatch', {
      detail: `The stored archive ${digest} has been altered.`,
      hint: 'Upload it again.',
    });
  }
  const manifestBytes = required(kept, MANIFEST);
  const manifest = parseManifest(manifestBytes);
  const surface = parseSurface(required(kept, SURFACE));
  const permissions = normalise(manifest.permissions);
  return {
    digest,
    size,
    manifest,
    manifestJson: JSON.parse(Buffer.from(manifestBytes).toString('utf8')) as JsonObject,
    manifestDigest: digestOf(manifestBytes),
    surface,
    surfaceDigest: surfaceDigest(surface),
    permissions,
    permissionsDigest: permissionsDigest(permissions),
    files,
  };
}

function required(kept: ReadonlyMap<ArchiveFile['path'], Uint8Array>, path: string): Uint8Array {
  const bytes = kept.get(path);
  if (bytes !== undefined) return bytes;
  throw new AppError('archive-incomplete', { detail: `There is no ${path}.`, hint: 'Pack the skill again.' });
}

/** Fails with `statement-mismatch` unless the signed statement says exactly what the package holds. */
export function requireStatementOf({ predicate }: Statement, found: Package): void {
  for (const part of ['manifestDigest', 'permissionsDigest', 'surfaceDigest'] as const) {
    if (predicate[part] !== found[part])
      throw mismatch(`The signed ${part} is ${predicate[part]}, but the archive has ${found[part]}.`);
  }
  for (const path of new Set([...Object.keys(predicate.files), ...Object.keys(found.files)])) {
    if (!Object.hasOwn(found.files, path))
      throw mismatch(`The statement names ${path}, which the archive lacks.`);
    if (!Object.hasOwn(predicate.files, path))
      throw mismatch(`The archive holds ${path}, which the statement doesn't name.`);
    if (predicate.files[path] !== found.files[path])
      throw mismatch(`The file ${path} is not the one that was signed.`);
  }
}

function mismatch(detail: string): AppError {
  return new AppError('statement-mismatch', { detail, hint: 'Sign the archive again.' });
}
