import type { Digest } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import { type Package, readPackage } from '../protocol/package.ts';
import type { Blobs } from './blobs/blobs.ts';

/**
 * Reads an uploaded archive. Fails with `blob-not-found`, what `readPackage` throws, or `digest-mismatch` when the
 * stored bytes have decayed.
 */
export async function readStoredPackage({ blobs }: { blobs: Blobs }, digest: Digest): Promise<Package> {
  const found = await readPackage(blobs.read(digest));
  if (found.digest === digest) return found;
  throw new AppError('digest-mismatch', {
    detail: `The stored archive ${digest} has been altered.`,
    hint: 'Upload it again.',
  });
}
