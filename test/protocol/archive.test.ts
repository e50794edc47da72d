import { gunzipSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARCHIVE_LIMITS, readArchive, writeArchive, type ArchiveFile } from '../../protocol/archive.ts';
import { expectCode } from '../support/expect-code.ts';
import { randomish } from '../support/hostile-archives.ts';
import { verifies } from '../support/verifies.ts';

const MANIFEST: ArchiveFile = { path: 'skill.json', mode: 0o644, bytes: Buffer.from('{}') };

async function* inChunks(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function filesOf(packed: Uint8Array, chunkSize?: number): Promise<ArchiveFile[]> {
  const files: ArchiveFile[] = [];
  for await (const file of readArchive(inChunks(packed, chunkSize))) files.push(file);
  return files;
}

const range = (start: number, length: number) => Array.from({ length }, (_, index) => start + index);

const plain = (file: ArchiveFile) => ({ ...file, bytes: Buffer.from(file.bytes).toString('hex') });

const NAME_FIRST = Array.from('abcxyzABCXYZ019_@+-');
const name = fc
  .tuple(
    fc.constantFrom(...NAME_FIRST),
    fc.string({ unit: fc.constantFrom(...NAME_FIRST, '.', ' '), maxLength: 20 }),
    fc.constantFrom('', 'z', '.js', '0'),
  )
  .map((parts) => parts.join(''))
  .filter((text) => !/[. ]$/.test(text) && !/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(text));
const path = fc.array(name, { minLength: 1, maxLength: 6 }).map((segments) => segments.join('/'));
const file = fc.record({
  path,
  mode: fc.constantFrom(0o644 as const, 0o755 as const),
  bytes: fc.oneof(fc.uint8Array({ maxLength: 1200 }), fc.constantFrom(512, 1024, 100_000).map(randomish)),
});

/** Files whose paths can stand beside each other on any file system. */
const files = fc.array(file, { maxLength: 12 }).map((list) => {
  const kept: ArchiveFile[] = [MANIFEST];
  const taken = new Map<string, string>([['skill.json', 'file']]);
  for (const candidate of list) {
    const folders = candidate.path
      .split('/')
      .slice(0, -1)
      .map((_, index, all) => all.slice(0, index + 1).join('/'));
    const fits =
      !taken.has(candidate.path.toLowerCase()) &&
      folders.every(
        (folder) => (taken.get(folder.toLowerCase()) ?? `folder ${folder}`) === `folder ${folder}`,
      );
    if (!fits) continue;
    kept.push(candidate);
    taken.set(candidate.path.toLowerCase(), 'file');
    for (const folder of folders) taken.set(folder.toLowerCase(), `folder ${folder}`);
  }
  return kept;
});

describe('a canonical archive', () => {
  it(
    'is the same bytes in whatever order the files come, and reads back as it was',
    verifies('archive.deterministic'),
    async () => {
      await fc.assert(
        fc.asyncProperty(files, fc.integer({ min: 1, max: 5000 }), async (list, chunkSize) => {
          const packed = writeArchive(list);
          expect(writeArchive(list.toReversed()).equals(packed)).toBe(true);

          const read = await filesOf(packed, chunkSize);
          expect(read.map(plain)).toEqual(list.toSorted((a, b) => (a.path < b.path ? -1 : 1)).map(plain));
          expect(writeArchive(read).equals(packed)).toBe(true);
        }),
        { numRuns: 60 },
      );
    },
  );

  it('does not pass with a bit changed anywhere but in the content of a file', async () => {
    const list: ArchiveFile[] = [
      { path: 'server/index.js', mode: 0o755, bytes: Buffer.from('export {};\n') },
      MANIFEST,
    ];
    const tar = gunzipSync(writeArchive(list));
    const read = async (bytes: Uint8Array) => {
      try {
        return await filesOf(gzipSync(bytes));
      } catch {
        return undefined;
      }
    };
    const accepted: number[] = [];
    for (let byte = 0; byte < tar.length; byte += 1) {
      const altered = Buffer.from(tar);
      altered[byte]! ^= 1 << (byte % 8);
      const result = await read(altered);
      if (result === undefined) continue;
      accepted.push(byte);
      // What is accepted is what the writer makes of it: nothing can be read in two ways.
      expect(gunzipSync(writeArchive(result)).equals(altered)).toBe(true);
    }
    const content = [...range(512, 11), ...range(1536, 2)];
    expect(accepted).toEqual(content);
  });

  it('is judged by its unpacked bytes: another gzip level is the same package', async () => {
    const list = [
      { path: 'a.txt', mode: 0o644 as const, bytes: Buffer.from('text '.repeat(2000)) },
      MANIFEST,
    ];
    const tar = gunzipSync(writeArchive(list));
    for (const level of [0, 1, 6, 9]) {
      expect((await filesOf(gzipSync(tar, { level }))).map(plain)).toEqual(list.map(plain));
    }
  });

  it('says nothing about the machine that packed it', () => {
    const packed = writeArchive([MANIFEST]);
    expect(packed.subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
    const tar = gunzipSync(packed);
    expect(tar).toHaveLength(512 + 512 + 1024);
    expect(tar.toString('latin1', 0, 18)).toBe('package/skill.json');
    expect(tar.toString('latin1', 100, 157)).toBe(
      ['000644 \0', '000000 \0', '000000 \0', '0000000002 \0', '3560116604 \0', '012461 \0', '0'].join(''),
    );
  });

  it('reads right wherever a piece of its input ends', async () => {
    // Lengths around the size of the reader's pieces put the end of the compressed stream on every side of a border.
    const around = 16 * 1024;
    const sizeOf = (length: number) =>
      writeArchive([MANIFEST, { path: 'a', mode: 0o644, bytes: randomish(length) }]).length;
    const first = around - (sizeOf(around) - around) - 12;
    for (let length = first; length < first + 30; length += 1) {
      const packed = writeArchive([MANIFEST, { path: 'a', mode: 0o644, bytes: randomish(length) }]);
      expect((await filesOf(packed)).map(({ bytes }) => bytes.length)).toEqual([length, 2]);
      await expectCode(filesOf(packed.subarray(0, -1)), 'archive-truncated');
      await expectCode(filesOf(Buffer.concat([packed, Buffer.of(0)])), 'archive-not-canonical');
    }
  });

  it('may be as large as its limits say', async () => {
    const half = { mode: 0o644 as const, bytes: new Uint8Array(1024) };
    const many = Array.from({ length: ARCHIVE_LIMITS.files - 1 }, (_, index) => ({
      ...half,
      path: `f/${index}`,
    }));
    expect(await filesOf(writeArchive([MANIFEST, ...many]))).toHaveLength(ARCHIVE_LIMITS.files);
    const deep = { ...half, path: `${'d/'.repeat(ARCHIVE_LIMITS.depth - 1)}a` };
    const long = { ...half, path: `${'a'.repeat(70)}/${'b'.repeat(70)}/${'c'.repeat(90)}` };
    expect(await filesOf(writeArchive([MANIFEST, deep, long]))).toHaveLength(3);
  });

  it('passes ordinary names, node_modules and dot files among them', async () => {
    const names = [
      '.npmrc',
      'node_modules/@scope/x+y/index.js',
      'a b.txt',
      'console.js',
      'communication/lpt.md',
      '..a',
      '-rf',
    ];
    const list = [MANIFEST, ...names.map((named) => ({ ...MANIFEST, path: named }))];
    expect((await filesOf(writeArchive(list))).map((entry) => entry.path).toSorted()).toEqual(
      ['skill.json', ...names].toSorted(),
    );
  });
});

describe('the archive writer', () => {
  const write =
    (...list: Partial<ArchiveFile>[]) =>
    () =>
      writeArchive([MANIFEST, ...list.map((part) => ({ ...MANIFEST, ...part }))]);

  it('refuses what the reader would refuse, with the same code', async () => {
    await expectCode(write({ path: '../a' }), 'archive-path-refused');
    await expectCode(write({ path: '' }), 'archive-path-refused');
    await expectCode(write({ path: 'straße' }), 'archive-path-refused');
    await expectCode(write({ path: 'SKILL.json' }), 'archive-path-refused');
    await expectCode(write({ path: 'a' }, { path: 'a' }), 'archive-path-refused');
    await expectCode(write({ path: 'a/b' }, { path: 'a' }), 'archive-path-refused');
    await expectCode(write({ path: 'a', mode: 0o600 as 0o644 }), 'archive-entry-refused');
    await expectCode(
      write({ path: 'a', bytes: new Uint8Array(ARCHIVE_LIMITS.fileBytes + 1) }),
      'archive-too-large',
    );
    await expectCode(write({ path: 'a', bytes: new Uint8Array(40 * 1024 * 1024) }), 'archive-too-large');
    await expectCode(
      write(...Array.from({ length: ARCHIVE_LIMITS.files }, (_, index) => ({ path: `f${index}` }))),
      'archive-too-large',
    );
    await expectCode(() => writeArchive([]), 'archive-incomplete');
  });

  it('does not alter or keep what it was handed', () => {
    const list = [{ ...MANIFEST, path: 'z' }, MANIFEST];
    writeArchive(list);
    expect(list.map((entry) => entry.path)).toEqual(['z', 'skill.json']);
  });
});
