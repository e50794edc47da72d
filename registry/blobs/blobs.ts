import type { Digest } from '../../protocol/canonical.ts';

/** First and last byte, both included. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * Archives by the digest of their bytes: immutable, so putting one twice is no change. What `put`
 * answered is durable; what it refused or never finished leaves nothing.
 */
export interface Blobs {
  /**
   * Takes bytes in as they stream. `digest-mismatch` when they are others than announced,
   * `request-too-large` beyond `maxBytes`, `no-space` on a full disk.
   */
  put(
    digest: Digest,
    chunks: AsyncIterable<Uint8Array>,
    limits: { maxBytes: number },
  ): Promise<{ size: number }>;
  /** `undefined` when there is no such blob. */
  find(digest: Digest): Promise<{ size: number } | undefined>;
  /** The bytes, or a range of them; `blob-not-found` at the first read when there is none. */
  read(digest: Digest, range?: ByteRange): AsyncIterable<Uint8Array>;
  /** Drops what crashed uploads left, and blobs last written before `before` that `isNeeded` denies. */
  sweep(options: { before: Date; isNeeded(digest: Digest): Promise<boolean> }): Promise<{ removed: number }>;
  /** Fails when blobs cannot be read or written right now. */
  check(): Promise<void>;
}
