import { constants, crc32, createInflateRaw, deflateRawSync, type InflateRaw } from 'node:zlib';
import { AppError } from '../errors.ts';

/** Limits of the compressed layer. */
export const GZIP_LIMITS = {
  /** Bytes of the whole gzip file. */
  packedBytes: 20 * 1024 * 1024,
  /** Unpacked bytes allowed for each packed byte, beyond a slack that any archive has. */
  ratio: 200,
  ratioSlackBytes: 16 * 1024 * 1024,
};

// RFC 1952 §2.3: magic, deflate, no flags, no time, no extra flags, unknown operating system.
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
const TRAILER_BYTES = 8;

// Deflate expands at most about 1,032 times, so one piece never becomes more than about 17 MB.
const PIECE_BYTES = 16 * 1024;
const OUTPUT_BYTES = 256 * 1024;

/** One gzip member that says nothing but its content: no name, no time, no operating system. */
export function gzip(bytes: Uint8Array): Buffer {
  const deflated = deflateRawSync(bytes, { level: constants.Z_BEST_COMPRESSION, memLevel: 9 });
  return Buffer.concat([HEADER, deflated, trailerOf(crc32(bytes), bytes.length)]);
}

/** True when so many bytes out of so few would be refused as a bomb. */
export function expandsTooMuch(packed: number, unpacked: number): boolean {
  return unpacked > GZIP_LIMITS.ratio * packed + GZIP_LIMITS.ratioSlackBytes;
}

/**
 * Unpacks exactly one gzip member without header fields and with nothing after it, piece by piece: what was
 * not asked for is not unpacked, and never more than some 17 MB lie ready. The verdict does not depend on how the
 * bytes arrive. Throws `archive-not-gzip`, `archive-not-canonical`, `archive-too-large` or `archive-truncated`.
 */
export async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, void> {
  const packed = packedBytes(chunks);
  const inflater = createInflateRaw({ chunkSize: OUTPUT_BYTES });
  try {
    checkHeader(await packed.read(HEADER.length));
    let checksum = 0;
    let unpacked = 0;
    for await (const bytes of inflatedBy(inflater, packed)) {
      checksum = crc32(bytes, checksum);
      unpacked += bytes.length;
      yield bytes;
    }
    await checkEnd(packed, trailerOf(checksum, unpacked));
  } finally {
    inflater.destroy();
    await packed.close();
  }
}

function checkHeader(header: Buffer): void {
  if (!header.subarray(0, 3).equals(HEADER.subarray(0, 3))) {
    throw new AppError('archive-not-gzip', { detail: 'The archive does not begin as a gzip file does.' });
  }
  if (header.length < HEADER.length) throw truncated();
  // Flags and time; the last two bytes only tell which program packed, and how hard it tried.
  if (!header.subarray(3, 8).equals(HEADER.subarray(3, 8))) {
    throw new AppError('archive-not-canonical', {
      detail: 'The gzip header carries a name, a time or flags.',
    });
  }
}

async function* inflatedBy(inflater: InflateRaw, packed: PackedBytes): AsyncGenerator<Buffer, void, void> {
  let ready: Buffer[] = [];
  let unpacked = 0;
  let ended = false;
  let failure: Error | undefined;
  let wake = () => {};
  inflater.on('data', (bytes: Buffer) => {
    ready.push(bytes);
    unpacked += bytes.length;
  });
  inflater.once('end', () => ((ended = true), wake()));
  inflater.once('error', (error) => ((failure = error), wake()));

  let given = 0;
  while (!ended) {
    const piece = await packed.read(PIECE_BYTES);
    given += piece.length;
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (piece.length > 0) inflater.write(piece, () => resolve());
      else inflater.end();
    });
    // A last chunk may still wait in the stream; reading hands it to the listener above.
    inflater.read();
    if (failure !== undefined) throw faultOfInflate(failure);
    if (expandsTooMuch(given, unpacked)) {
      throw new AppError('archive-too-large', {
        detail: `The archive unpacks to more than ${GZIP_LIMITS.ratio} times its size.`,
      });
    }
    yield* ready;
    ready = [];
    if (ended) packed.giveBack(piece.subarray(piece.length - (given - inflater.bytesWritten)));
  }
}

async function checkEnd(packed: PackedBytes, expected: Buffer): Promise<void> {
  const trailer = await packed.read(TRAILER_BYTES);
  if (trailer.length < TRAILER_BYTES) throw truncated();
  if (!trailer.equals(expected)) {
    throw new AppError('archive-not-gzip', { detail: 'The gzip checksum does not fit the content.' });
  }
  if ((await packed.read(1)).length > 0) {
    throw new AppError('archive-not-canonical', { detail: 'Something follows the end of the gzip stream.' });
  }
}

// RFC 1952 §2.3.1: CRC32 and length modulo 2^32, both little-endian.
function trailerOf(checksum: number, length: number): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(checksum, 0);
  trailer.writeUInt32LE(length % 2 ** 32, 4);
  return trailer;
}

function faultOfInflate(error: Error & { code?: string }): AppError {
  if (error.code === 'Z_BUF_ERROR') return truncated();
  return new AppError('archive-not-gzip', { detail: 'The compressed data is damaged.', cause: error });
}

function truncated(): AppError {
  return new AppError('archive-truncated', { detail: 'The archive ends in the middle.' });
}

interface PackedBytes {
  /** Exactly so many bytes, or fewer when the input has ended. */
  read(count: number): Promise<Buffer>;
  giveBack(bytes: Buffer): void;
  close(): Promise<void>;
}

/** The packed input in pieces of our size; more than `GZIP_LIMITS.packedBytes` throws `archive-too-large`. */
function packedBytes(chunks: AsyncIterable<Uint8Array>): PackedBytes {
  const source = chunks[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  let total = 0;
  return {
    async read(count) {
      const parts = [held];
      let length = held.length;
      while (length < count) {
        const next = await source.next();
        if (next.done) break;
        total += next.value.length;
        if (total > GZIP_LIMITS.packedBytes) {
          throw new AppError('archive-too-large', {
            detail: `The archive is larger than ${GZIP_LIMITS.packedBytes / 1024 / 1024} MB.`,
          });
        }
        parts.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength));
        length += next.value.length;
      }
      const all = parts.length === 1 ? held : Buffer.concat(parts);
      held = all.subarray(count);
      return all.subarray(0, count);
    },
    giveBack(bytes) {
      held = Buffer.concat([bytes, held]);
    },
    async close() {
      await source.return?.();
    },
  };
}
