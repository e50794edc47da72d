import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readArchive } from '../../protocol/archive.ts';
import { expectCode } from '../support/expect-code.ts';
import { HOSTILE_ARCHIVES, honestArchive } from '../support/hostile-archives.ts';
import { verifies } from '../support/verifies.ts';

const NETWORK_CHUNK = 64 * 1024;
// The reader may hold one file (50 MB at most) and what one piece of input unpacks to.
const MEMORY_BOUND = 100 * 1024 * 1024;

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const file of readArchive(chunks)) expect(file.path).toBeTypeOf('string');
}

const packedOf = (built: Uint8Array | Uint8Array[]) => (Array.isArray(built) ? Buffer.concat(built) : built);

describe('a hostile archive', () => {
  it.each(HOSTILE_ARCHIVES)('is refused: $title', verifies('archive.hostile'), async ({ code, build }) => {
    const packed = packedOf(build());
    await expectCode(drain(inChunks(packed, NETWORK_CHUNK)), code);
    // The verdict must not depend on how the network cut the bytes.
    await expectCode(drain(inChunks(packed, packed.length > 100_000 ? 100_003 : 7)), code);
  });

  it('is refused for its own fault: without one, an archive built the same way passes', async () => {
    const paths: string[] = [];
    for await (const { path } of readArchive(inChunks(honestArchive(), 7))) paths.push(path);
    expect(paths).toEqual(['a', 'skill.json']);
  });

  it('costs little memory, whatever it unpacks to', verifies('archive.bounded'), async () => {
    for (const title of [
      'a file of 400 MB of zeros',
      '300 concatenated gzip members',
      'a file of 49 MB of zeros, which is a bomb',
    ]) {
      const hostile = HOSTILE_ARCHIVES.find((archive) => archive.title === title);
      const packed = packedOf(hostile!.build());
      await nextTurn();
      const before = process.memoryUsage();
      let peak = 0;
      const measured = async function* () {
        for await (const chunk of inChunks(packed, 8 * 1024)) {
          const { external, heapUsed } = process.memoryUsage();
          peak = Math.max(peak, external + heapUsed - before.external - before.heapUsed);
          yield chunk;
        }
      };
      await expectCode(drain(measured()), hostile!.code);
      expect(peak).toBeLessThan(MEMORY_BOUND);
    }
  });

  it('stops being read at the first fault', verifies('archive.bounded'), async () => {
    const hostile = HOSTILE_ARCHIVES.find(({ title }) => title === 'a file of 400 MB of zeros');
    const packed = packedOf(hostile!.build());
    let given = 0;
    let closed = false;
    const counted = async function* () {
      try {
        for await (const chunk of inChunks(packed, 1024)) {
          given += chunk.length;
          yield chunk;
        }
      } finally {
        closed = true;
      }
    };
    await expectCode(drain(counted()), 'archive-too-large');
    expect(given).toBeLessThan(20_000);
    expect(closed).toBe(true);
  });
});
