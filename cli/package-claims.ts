import type { Digest } from '../protocol/canonical.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { readPackage, statementOfPackage } from '../protocol/package.ts';
import type { Statement } from '../protocol/provenance.ts';
import type { Surface } from '../protocol/surface.ts';

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
  const found = await readPackage(once(archive));
  return {
    manifest: found.manifest,
    surface: found.surface,
    digest: found.digest,
    statement: statementOfPackage(found),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
