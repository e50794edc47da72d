import { readArchive } from '../protocol/archive.ts';
import { canonicalJson, digestOf, sha256, type Digest } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import { parseManifest, type Manifest } from '../protocol/manifest.ts';
import { normalise, permissionsDigest } from '../protocol/permissions.ts';
import { statementOf, type Statement } from '../protocol/provenance.ts';
import { parseSurface, surfaceDigest, type Surface } from '../protocol/surface.ts';

/** What a package says of itself, and the statement that a signature over it makes. */
export interface PackageClaims {
  manifest: Manifest;
  surface: Surface;
  digest: Digest;
  statement: Statement;
}

/**
 * Reads an archive strictly and works out what its signature has to say.
 * @throws AppError `archive-…`, `manifest-invalid`, `surface-invalid`.
 */
export async function claimsOf(archive: Uint8Array): Promise<PackageClaims> {
  const files = new Map<string, Uint8Array>();
  for await (const { path, bytes } of readArchive(once(archive))) files.set(path, bytes);
  const manifestBytes = needed(files, 'skill.json');
  const manifest = parseManifest(manifestBytes);
  const surface = parseSurface(needed(files, 'surface.json'));
  const digest = digestOf(archive);
  const statement = statementOf({
    name: manifest.name,
    version: manifest.version,
    archiveDigest: digest,
    manifestDigest: digestOf(canonicalJson(JSON.parse(Buffer.from(manifestBytes).toString('utf8')))),
    permissionsDigest: permissionsDigest(normalise(manifest.permissions)),
    surfaceDigest: surfaceDigest(surface),
    files: Object.fromEntries([...files].map(([path, bytes]) => [path, sha256(bytes).toString('hex')])),
  });
  return { manifest, surface, digest, statement };
}

function needed(files: ReadonlyMap<string, Uint8Array>, path: string): Uint8Array {
  const bytes = files.get(path);
  if (bytes !== undefined) return bytes;
  throw new AppError('archive-incomplete', {
    detail: `There is no ${path} in the archive.`,
    hint: 'Pack the skill again.',
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
