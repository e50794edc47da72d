import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { Request, Response } from 'express';
import type { Digest } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import type { Blobs, ByteRange } from './blobs/blobs.ts';
import type { Store } from './store/store.ts';
import type { Usage } from './usage.ts';

const IMMUTABLE = 'public, max-age=31536000, immutable';

/**
 * Sends the archive of a published version: whole, a range of it (RFC 9110 §14), or "not modified".
 * What was uploaded but never published is not served, so the registry is no file host.
 */
export async function sendBlob(
  { store, blobs, usage }: { store: Pick<Store, 'isPublished'>; blobs: Blobs; usage: Usage },
  digest: Digest,
  { request, response, signal }: { request: Request; response: Response; signal: AbortSignal },
): Promise<void> {
  const blob = (await store.isPublished(digest)) ? await blobs.find(digest) : undefined;
  if (blob === undefined) {
    throw new AppError('blob-not-found', { detail: `No published version has the archive ${digest}.` });
  }
  const etag = `"${digest}"`;
  response.set({
    'Cache-Control': IMMUTABLE,
    ETag: etag,
    'Accept-Ranges': 'bytes',
    'Content-Type': 'application/gzip',
  });
  if (isKnown(request, etag)) {
    response.status(304).end();
    return;
  }
  const range = rangeOf(request, etag, blob.size);
  if (range === 'unsatisfiable') {
    response.set('Content-Range', `bytes */${blob.size}`).status(416).end();
    return;
  }
  if (range !== undefined)
    response.status(206).set('Content-Range', `bytes ${range.start}-${range.end}/${blob.size}`);
  response.set('Content-Length', String(range === undefined ? blob.size : range.end - range.start + 1));
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  if (range === undefined || range.start === 0) usage.downloaded(digest);
  await pipeline(Readable.from(blobs.read(digest, range), { objectMode: false }), response, { signal });
}

// RFC 9110 §13.1.2. Not Express's `fresh`: it sends all of an immutable blob again to whoever says no-cache.
function isKnown({ headers }: Request, etag: string): boolean {
  const known = (headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(etag) || known.includes('*');
}

/** Several ranges at once and a range of something else than this are answered with the whole. */
function rangeOf(request: Request, etag: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const ifRange = request.headers['if-range'];
  if (ifRange !== undefined && ifRange !== etag) return undefined;
  const ranges = request.range(size);
  if (ranges === -1) return 'unsatisfiable';
  if (ranges === undefined || ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1)
    return undefined;
  return ranges[0];
}
