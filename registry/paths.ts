import { join } from 'node:path';
import type { Digest } from '../protocol/canonical.ts';

/** Where a registry keeps things: every path on disk is made here. */
export function registryPaths(dataDir: string) {
  return {
    database: join(dataDir, 'registry.db'),
    signingKey: join(dataDir, 'registry.pem'),
    blobs: join(dataDir, 'blobs'),
  };
}

/** Below the blobs' folder; two digits of the digest keep the folders small. */
export function blobPaths(root: string) {
  return {
    incoming: join(root, 'incoming'),
    published: join(root, 'sha256'),
    folderOf: (digest: Digest) => join(root, 'sha256', hexOf(digest).slice(0, 2)),
    fileOf: (digest: Digest) => join(root, 'sha256', hexOf(digest).slice(0, 2), hexOf(digest)),
  };
}

/** The bare digits of a digest, as they stand in URLs and file names. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
