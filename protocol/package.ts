import { createHash } from 'node:crypto';
import { readArchive } from './archive.ts';
import { digestOf, type Digest, type Json, sha256 } from './canonical.ts';
import { AppError } from './errors.ts';
import { type Manifest, parseManifest } from './manifest.ts';
import { normalise, type Permissions, permissionsDigest } from './permissions.ts';
import { type Statement, statementOf } from './provenance.ts';
import { parseSurface, type Surface, surfaceDigest } from './surface.ts';

/** An archive, read strictly and understood; its other files were hashed and let go. */
export interface Package {
  /** Of the archive's bytes, and how many they are. */
  digest: Digest;
  size: number;
  manifest: Manifest;
  /** `skill.json` as it was written, and the digest of its bytes. */
  manifestJson: { [field: string]: Json };
  manifestDigest: Digest;
  surface: Surface;
  surfaceDigest: Digest;
  /** What the manifest asks, in normal form. */
  permissions: Permissions;
  permissionsDigest: Digest;
  /** Path → sha256 in hexadecimal. */
  files: Readonly<Record<string, string>>;
}

const MANIFEST = 'skill.json';
const SURFACE = 'surface.json';

/**
 * Reads an archive from front to end.
 * @throws AppError an `archive-…` code, `manifest-invalid` or `surface-invalid`.
 */
export async function readPackage(chunks: AsyncIterable<Uint8Array>): Promise<Package> {
  const hash = createHash('sha256');
  const files: Record<string, string> = {};
  const kept = new Map<string, Uint8Array>();
  let size = 0;
  const counted = async function* () {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  for await (const { path, bytes } of readArchive(counted())) {
    files[path] = sha256(bytes).toString('hex');
    if (path === MANIFEST || path === SURFACE) kept.set(path, bytes);
  }
  const manifestBytes = required(kept, MANIFEST);
  const manifest = parseManifest(manifestBytes);
  const surface = parseSurface(required(kept, SURFACE));
  const permissions = normalise(manifest.permissions);
  return {
    digest: `sha256:${hash.digest('hex')}`,
    size,
    manifest,
    manifestJson: JSON.parse(Buffer.from(manifestBytes).toString('utf8')) as Package['manifestJson'],
    manifestDigest: digestOf(manifestBytes),
    surface,
    surfaceDigest: surfaceDigest(surface),
    permissions,
    permissionsDigest: permissionsDigest(permissions),
    files,
  };
}

function required(kept: ReadonlyMap<string, Uint8Array>, path: string): Uint8Array {
  const bytes = kept.get(path);
  if (bytes !== undefined) return bytes;
  throw new AppError('archive-incomplete', { detail: `There is no ${path}.`, hint: 'Pack the skill again.' });
}

/** What a signature over the package has to say. */
export function statementOfPackage(found: Package): Statement {
  return statementOf({
    name: found.manifest.name,
    version: found.manifest.version,
    archiveDigest: found.digest,
    manifestDigest: found.manifestDigest,
    permissionsDigest: found.permissionsDigest,
    surfaceDigest: found.surfaceDigest,
    files: found.files,
  });
}

/** @throws AppError `statement-mismatch` unless the signed statement says exactly what the package holds. */
export function requireStatementOf({ predicate }: Statement, found: Package): void {
  for (const part of ['manifestDigest', 'permissionsDigest', 'surfaceDigest'] as const) {
    if (predicate[part] !== found[part]) {
      throw mismatch(`The signed ${part} is ${predicate[part]}, but the archive has ${found[part]}.`);
    }
  }
  for (const path of new Set([...Object.keys(predicate.files), ...Object.keys(found.files)])) {
    if (!Object.hasOwn(found.files, path)) {
      throw mismatch(`The statement names ${path}, which the archive lacks.`);
    }
    if (!Object.hasOwn(predicate.files, path)) {
      throw mismatch(`The archive holds ${path}, which the statement doesn't name.`);
    }
    if (predicate.files[path] !== found.files[path])
      throw mismatch(`The file ${path} is not the one that was signed.`);
  }
}

function mismatch(detail: string): AppError {
  return new AppError('statement-mismatch', {
    detail,
    hint: 'Its author has to pack and sign it again.',
  });
}
