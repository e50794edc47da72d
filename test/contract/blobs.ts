import { expect, it } from 'vitest';
import { digestOf } from '../../protocol/canonical.ts';
import type { Blobs, ByteRange } from '../../registry/blobs/blobs.ts';
import { expectCode } from '../support/expect-code.ts';

async function* chunksOf(bytes: Buffer, size = 7): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const BYTES = Buffer.from('the bytes of an archive, whatever they are');
const DIGEST = digestOf(BYTES);
const LIMITS = { maxBytes: 1_000 };
const LATER = new Date(Date.now() + 3_600_000);

/** What every adapter of `Blobs` has to do. `make` gives an empty one. */
export function blobsContract(make: () => Promise<Blobs>): void {
  const textOf = async (blobs: Blobs, range?: ByteRange) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of blobs.read(DIGEST, range)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };

  it('gives back what was put, whole and in ranges', async () => {
    const blobs = await make();
    expect(await blobs.find(DIGEST)).toBeUndefined();
    expect(await blobs.put(DIGEST, chunksOf(BYTES), LIMITS)).toEqual({ size: BYTES.length });
    expect(await blobs.find(DIGEST)).toEqual({ size: BYTES.length });
    expect(await textOf(blobs)).toBe(BYTES.toString());
    expect(await textOf(blobs, { start: 4, end: 8 })).toBe('bytes');
    await blobs.check();
  });

  it('takes the same again as no change, also at the same time', async () => {
    const blobs = await make();
    await Promise.all([1, 2, 3].map(() => blobs.put(DIGEST, chunksOf(BYTES), LIMITS)));
    expect(await textOf(blobs)).toBe(BYTES.toString());
  });

  it('keeps nothing of other bytes, too many bytes, or a broken stream', async () => {
    const blobs = await make();
    await expectCode(blobs.put(DIGEST, chunksOf(Buffer.from('other')), LIMITS), 'digest-mismatch');
    await expectCode(blobs.put(DIGEST, chunksOf(BYTES), { maxBytes: BYTES.length - 1 }), 'request-too-large');
    const broken = async function* () {
      yield BYTES.subarray(0, 5);
      throw new Error('hung up');
    };
    await expect(blobs.put(DIGEST, broken(), LIMITS)).rejects.toThrow('hung up');
    expect(await blobs.find(DIGEST)).toBeUndefined();
    await expectCode(textOf(blobs), 'blob-not-found');
    expect(await blobs.sweep({ before: LATER, isNeeded: async () => false })).toEqual({ removed: 0 });
  });

  it('a wrong upload does no harm to the right one that is there', async () => {
    const blobs = await make();
    await blobs.put(DIGEST, chunksOf(BYTES), LIMITS);
    await expectCode(blobs.put(DIGEST, chunksOf(Buffer.from('other')), LIMITS), 'digest-mismatch');
    expect(await textOf(blobs)).toBe(BYTES.toString());
  });

  it('sweeps what is old and not needed, and nothing else', async () => {
    const blobs = await make();
    await blobs.put(DIGEST, chunksOf(BYTES), LIMITS);
    expect(await blobs.sweep({ before: new Date(0), isNeeded: async () => false })).toEqual({ removed: 0 });
    expect(await blobs.sweep({ before: LATER, isNeeded: async (digest) => digest === DIGEST })).toEqual({
      removed: 0,
    });
    expect(await blobs.find(DIGEST)).toBeDefined();
    expect(await blobs.sweep({ before: LATER, isNeeded: async () => false })).toEqual({ removed: 1 });
    expect(await blobs.find(DIGEST)).toBeUndefined();
  });
}
