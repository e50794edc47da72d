import { brotliCompressSync, gzipSync } from 'node:zlib';
import { Header } from 'tar/header';
import type { ErrorCode } from '../../protocol/errors.ts';

/** An archive that must be refused. */
export interface HostileArchive {
  title: string;
  code: ErrorCode;
  /** Built on demand, for some are large before they are packed. */
  build: () => Uint8Array | Uint8Array[];
}

const MTIME = new Date('1985-10-26T08:15:00Z');

interface RawEntry {
  path: string;
  type?: string;
  mode?: number;
  size?: number;
  body?: Uint8Array | string;
  linkpath?: string;
  uid?: number;
  mtime?: Date;
  /** The header after encoding, to be spoilt. The checksum is put right afterwards. */
  alter?: (header: Buffer) => void;
  checksum?: 'right' | 'wrong';
}

/** One tar entry, honest except for what is asked otherwise. */
function entry({ path, type = '0', mode = 0o644, body = '', linkpath = '', ...rest }: RawEntry): Buffer {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(512);
  new Header({
    path: 'placeholder',
    mode,
    uid: rest.uid ?? 0,
    gid: 0,
    size: rest.size ?? bytes.length,
    mtime: rest.mtime ?? MTIME,
    type: 'File',
  }).encode(header);
  header.fill(0, 0, 100);
  const name = Buffer.from(path);
  if (name.length <= 100) {
    name.copy(header, 0);
  } else {
    const slash = name.lastIndexOf('/', 155);
    name.copy(header, 345, 0, slash);
    name.copy(header, 0, slash + 1, slash + 101);
  }
  header.write(type, 156, 'latin1');
  header.write(linkpath, 157, 'utf8');
  rest.alter?.(header);
  writeChecksum(header, rest.checksum === 'wrong' ? 1 : 0);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function writeChecksum(header: Buffer, off: number): void {
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, off);
  header.write(`${sum.toString(8).padStart(6, '0')} \0`, 148, 'latin1');
}

const END = Buffer.alloc(1024);
const MANIFEST = entry({ path: 'package/skill.json', body: '{}' });
const tar = (...entries: Uint8Array[]) => Buffer.concat([...entries, END]);

/** Packed as the writer does it, so that only the tar inside is at fault. */
const plainGzip = (bytes: Uint8Array, level = 9) => gzipSync(bytes, { level });

/** An archive of the given entries plus an honest manifest behind them. */
const withEntries =
  (...entries: RawEntry[]) =>
  () =>
    plainGzip(tar(...entries.map(entry), MANIFEST));

const pax = (path: string, type: 'x' | 'g', records: Record<string, string>): RawEntry => ({
  path,
  type,
  body: Object.entries(records)
    .map(([key, value]) => {
      const rest = Buffer.byteLength(` ${key}=${value}\n`);
      let length = rest + 1;
      while (rest + String(length).length !== length) length = rest + String(length).length;
      return `${length} ${key}=${value}\n`;
    })
    .join(''),
});

const named = (title: string, path: string): HostileArchive => ({
  title,
  code: 'archive-path-refused',
  build: withEntries({ path, body: 'x' }),
});

const typed = (title: string, type: string, linkpath = ''): HostileArchive => ({
  title,
  code: 'archive-entry-refused',
  build: withEntries({ path: 'package/a', type, linkpath }),
});

const pair = (title: string, first: string, second: string): HostileArchive => ({
  title,
  code: 'archive-path-refused',
  build: withEntries({ path: first, body: '1' }, { path: second, body: '2' }),
});

const zeros = (size: number) => entry({ path: 'package/zeros', body: new Uint8Array(size) });

/** The tar that most of the corpus spoils in one place; it is itself without fault. */
const honest = () => tar(entry({ path: 'package/a', body: 'x'.repeat(3000) }), MANIFEST);

/** An archive built as the hostile ones are, but without fault: it shows that each of them is refused for its own. */
export const honestArchive = (): Uint8Array => plainGzip(honest());

/** Every class of archive that has hurt a package manager, and what the reader must say to each. */
export const HOSTILE_ARCHIVES: readonly HostileArchive[] = [
  named('a path that climbs out', 'package/../../etc/passwd'),
  named('a path that climbs inside', 'package/a/../b'),
  named('a path with a dot segment', 'package/./a'),
  named('an absolute path', '/etc/passwd'),
  named('an absolute path below the root', 'package//etc/passwd'),
  named('a drive letter', 'package/C:/windows'),
  named('a drive letter as the root', 'C:/package/a'),
  named('a backslash', 'package/..\\..\\a'),
  named('no package root', 'skill.js'),
  named('another root', 'packages/a'),
  named('the root itself', 'package/'),
  named('a trailing slash', 'package/a/'),
  named('a Windows device', 'package/con'),
  named('a Windows device with an ending', 'package/docs/PRN.txt'),
  named('a numbered Windows device as a folder', 'package/com1/a'),
  named('a trailing dot', 'package/a.'),
  named('a trailing space', 'package/a '),
  named('a trailing dot in a folder', 'package/a./b'),
  named('a leading space', 'package/ a'),
  named('a newline', 'package/a\nb'),
  named('a right-to-left override', 'package/a\u202egpj.exe'),
  named('a zero-width space', 'package/a\u200bb'),
  named('an alternate data stream', 'package/a:b'),
  named('a wildcard', 'package/*'),
  named('a control character', 'package/a\u0007'),
  named('a hundred folders', `package/${'d/'.repeat(100)}a`),
  named('seventeen folders', `package/${'d/'.repeat(16)}a`),
  named('a path of more than 240 bytes', `package/${'a'.repeat(80)}/${'b'.repeat(60)}/${'c'.repeat(97)}`),
  pair('two paths that differ in case', 'package/A', 'package/a'),
  pair('two folders that differ in case', 'package/A/x', 'package/a/y'),
  pair('a composed and a decomposed letter', 'package/cafe\u0301', 'package/caf\u00e9'),
  pair('ß beside ss', 'package/strasse', 'package/straße'),
  pair('the same path twice', 'package/a', 'package/a'),
  pair('a file that is another file\u2019s folder', 'package/a', 'package/a/b'),
  pair('a folder that is a file in another case', 'package/A/b', 'package/a'),
  {
    title: 'a file as parent, with a neighbour sorted in between',
    code: 'archive-path-refused',
    build: withEntries({ path: 'package/a' }, { path: 'package/a-b' }, { path: 'package/a/b' }),
  },
  typed('a symlink out', '2', '../../etc/passwd'),
  typed('a symlink inside', '2', 'skill.json'),
  typed('a hard link out', '1', '/etc/passwd'),
  typed('a hard link inside', '1', 'package/skill.json'),
  typed('a character device', '3'),
  typed('a block device', '4'),
  typed('a folder entry', '5'),
  typed('a pipe', '6'),
  typed('a contiguous file', '7'),
  typed('an old-style file', '\0'),
  typed('an unknown type', 'Z'),
  {
    title: 'a symlink that is written through',
    code: 'archive-entry-refused',
    build: withEntries({ path: 'package/l', type: '2', linkpath: '/tmp' }, { path: 'package/l/evil' }),
  },
  {
    title: 'a PAX header that gives another path',
    code: 'archive-entry-refused',
    build: withEntries(pax('package/PaxHeader/a', 'x', { path: '../../evil' }), { path: 'package/a' }),
  },
  {
    title: 'a PAX path with a NUL',
    code: 'archive-entry-refused',
    build: withEntries(pax('package/PaxHeader/a', 'x', { path: 'package/a\0/../../evil' }), {
      path: 'package/a',
    }),
  },
  {
    title: 'a PAX header that gives another size',
    code: 'archive-entry-refused',
    build: withEntries(pax('package/PaxHeader/a', 'x', { size: '0' }), { path: 'package/a', body: 'x' }),
  },
  {
    title: 'a PAX size before a GNU long name',
    code: 'archive-entry-refused',
    build: withEntries(
      pax('package/PaxHeader/a', 'x', { size: '0' }),
      { path: '././@LongLink', type: 'L', body: 'package/evil\0' },
      { path: 'package/a' },
    ),
  },
  {
    title: 'a global PAX header',
    code: 'archive-entry-refused',
    build: withEntries(pax('pax_global_header', 'g', { path: 'package/evil' }), { path: 'package/a' }),
  },
  {
    title: 'a GNU long name of 2 MB',
    code: 'archive-entry-refused',
    build: withEntries(
      { path: '././@LongLink', type: 'L', body: 'a'.repeat(2_000_000) },
      { path: 'package/a' },
    ),
  },
  {
    title: 'a setuid file',
    code: 'archive-entry-refused',
    build: withEntries({ path: 'package/a', mode: 0o4755 }),
  },
  {
    title: 'a mode of its own',
    code: 'archive-entry-refused',
    build: withEntries({ path: 'package/a', mode: 0o777 }),
  },
  { title: 'an owner', code: 'archive-not-canonical', build: withEntries({ path: 'package/a', uid: 1000 }) },
  {
    title: 'a time',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', mtime: new Date('2026-01-01T00:00:00Z') }),
  },
  {
    title: 'a link target on a plain file',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', linkpath: '/etc/passwd' }),
  },
  {
    title: 'an owner by name',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', alter: (header) => header.write('root', 265) }),
  },
  {
    title: 'a NUL in a name, with more behind it',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a\0b' }),
  },
  {
    title: 'a name split at another slash than ours',
    code: 'archive-not-canonical',
    build: withEntries({
      path: 'a',
      alter: (header) => header.write('package', 345),
    }),
  },
  {
    title: 'junk in the unused end of a header',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', alter: (header) => header.write('x', 511) }),
  },
  {
    title: 'a header of old tar',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', alter: (header) => header.fill(0, 257, 265) }),
  },
  {
    title: 'a header of GNU tar',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', alter: (header) => header.write('ustar  \0', 257, 'latin1') }),
  },
  {
    title: 'a wrong header checksum',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', checksum: 'wrong' }),
  },
  {
    title: 'a negative size',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', alter: (header) => header.fill(0xff, 124, 136) }),
  },
  {
    title: 'a size in base 256',
    code: 'archive-not-canonical',
    build: withEntries({
      path: 'package/a',
      alter: (header) => {
        header.fill(0, 124, 136);
        header[124] = 0x80;
      },
    }),
  },
  {
    title: 'an empty size',
    code: 'archive-not-canonical',
    build: withEntries({ path: 'package/a', alter: (header) => header.fill(0, 124, 136) }),
  },
  {
    title: 'a size padded with spaces',
    code: 'archive-not-canonical',
    build: withEntries({
      path: 'package/a',
      alter: (header) => header.write('         0 \0', 124, 'latin1'),
    }),
  },
  {
    title: 'a size of 8 GB with nothing behind it',
    code: 'archive-too-large',
    build: withEntries({
      path: 'package/a',
      alter: (header) => header.write('77777777777\0', 124, 'latin1'),
    }),
  },
  {
    title: 'bytes hidden in the padding',
    code: 'archive-not-canonical',
    build: () => {
      const bytes = Buffer.from(honest());
      bytes.write('hidden', 512 + 3000 + 10);
      return plainGzip(bytes);
    },
  },
  {
    title: 'entries out of order',
    code: 'archive-not-canonical',
    build: () => plainGzip(tar(MANIFEST, entry({ path: 'package/a' }))),
  },
  {
    title: 'no manifest',
    code: 'archive-incomplete',
    build: () => plainGzip(tar(entry({ path: 'package/a' }))),
  },
  { title: 'no entries', code: 'archive-incomplete', build: () => plainGzip(END) },
  {
    title: 'only one zero block at the end',
    code: 'archive-truncated',
    build: () => plainGzip(honest().subarray(0, -512)),
  },
  {
    title: 'no zero blocks at the end',
    code: 'archive-truncated',
    build: () => plainGzip(honest().subarray(0, -1024)),
  },
  {
    title: 'more zero blocks than two',
    code: 'archive-not-canonical',
    build: () => plainGzip(Buffer.concat([honest(), Buffer.alloc(10_240 - 1024)])),
  },
  {
    title: 'a single zero block between entries',
    code: 'archive-not-canonical',
    build: () => plainGzip(Buffer.concat([entry({ path: 'package/a' }), Buffer.alloc(512), MANIFEST, END])),
  },
  {
    title: 'a second archive after the end',
    code: 'archive-not-canonical',
    build: () => plainGzip(Buffer.concat([honest(), honest()])),
  },
  {
    title: '20,001 entries',
    code: 'archive-too-large',
    build: () =>
      plainGzip(
        tar(
          ...Array.from({ length: 20_001 }, (_, index) =>
            entry({ path: `package/f${String(index).padStart(5, '0')}` }),
          ),
        ),
      ),
  },
  {
    title: 'a file of 400 MB of zeros',
    code: 'archive-too-large',
    build: () => plainGzip(zeros(400 * 1024 * 1024), 1),
  },
  {
    title: 'a file just above 50 MB',
    code: 'archive-too-large',
    build: () => plainGzip(zeros(50 * 1024 * 1024 + 1), 1),
  },
  {
    title: 'files of 108 MB together',
    code: 'archive-too-large',
    build: () => {
      const body = Buffer.alloc(
        27 * 1024 * 1024,
        'noise that packs to more than one part in two hundred, roughly',
      );
      // One odd byte in every 400 keeps the ratio below the limit, so that the sum is what is refused.
      for (let at = 0; at < body.length; at += 400) body[at] = (at * 2_654_435_761) >>> 24;
      return plainGzip(
        tar(...['a', 'b', 'c', 'd'].map((name) => entry({ path: `package/${name}`, body }))),
        1,
      );
    },
  },
  {
    title: 'a file of 49 MB of zeros, which is a bomb',
    code: 'archive-too-large',
    build: () => plainGzip(tar(MANIFEST, zeros(49 * 1024 * 1024))),
  },
  {
    title: '300 concatenated gzip members',
    code: 'archive-not-canonical',
    build: () => {
      const member = plainGzip(new Uint8Array(1024 * 1024));
      return Buffer.concat([plainGzip(honest()), ...Array.from({ length: 300 }, () => member)]);
    },
  },
  {
    title: 'a tar that goes on in a second gzip member',
    code: 'archive-not-canonical',
    build: () => Buffer.concat([plainGzip(honest().subarray(0, 1024)), plainGzip(honest().subarray(1024))]),
  },
  {
    title: 'a gzip in a gzip',
    code: 'archive-not-canonical',
    build: () => plainGzip(plainGzip(tar(MANIFEST, entry({ path: 'package/z', body: randomish(4000) })), 0)),
  },
  {
    title: 'a byte after the gzip stream',
    code: 'archive-not-canonical',
    build: () => Buffer.concat([plainGzip(honest()), Buffer.from([0])]),
  },
  {
    title: 'a second archive after the gzip stream',
    code: 'archive-not-canonical',
    build: () => [plainGzip(honest()), plainGzip(honest())],
  },
  {
    title: 'a gzip header with a file name',
    code: 'archive-not-canonical',
    build: () => {
      const packed = plainGzip(honest());
      const header = Buffer.from(packed.subarray(0, 10));
      header[3] = 8;
      return Buffer.concat([header, Buffer.from('evil.tar\0'), packed.subarray(10)]);
    },
  },
  {
    title: 'a gzip header with a time',
    code: 'archive-not-canonical',
    build: () => {
      const packed = plainGzip(honest());
      packed.writeUInt32LE(1, 4);
      return packed;
    },
  },
  { title: 'an archive cut in the middle', code: 'archive-truncated', build: () => cut(0.5) },
  {
    title: 'an archive without its last byte',
    code: 'archive-truncated',
    build: () => plainGzip(honest()).subarray(0, -1),
  },
  {
    title: 'an archive without its gzip trailer',
    code: 'archive-truncated',
    build: () => plainGzip(honest()).subarray(0, -8),
  },
  {
    title: 'a gzip header alone',
    code: 'archive-truncated',
    build: () => plainGzip(honest()).subarray(0, 10),
  },
  { title: 'half a gzip header', code: 'archive-truncated', build: () => plainGzip(honest()).subarray(0, 5) },
  {
    title: 'a tar cut in the middle of a file',
    code: 'archive-truncated',
    build: () => plainGzip(honest().subarray(0, 1000)),
  },
  {
    title: 'a wrong gzip checksum',
    code: 'archive-not-gzip',
    build: () => {
      const packed = plainGzip(honest());
      packed[packed.length - 8]! ^= 1;
      return packed;
    },
  },
  {
    title: 'a wrong gzip length',
    code: 'archive-not-gzip',
    build: () => {
      const packed = plainGzip(honest());
      packed[packed.length - 1]! ^= 1;
      return packed;
    },
  },
  {
    title: 'damaged compressed data',
    code: 'archive-not-gzip',
    build: () => Buffer.concat([plainGzip(honest()).subarray(0, 10), Buffer.alloc(100, 0xff)]),
  },
  { title: 'brotli', code: 'archive-not-gzip', build: () => brotliCompressSync(honest()) },
  {
    title: 'the magic of zstd',
    code: 'archive-not-gzip',
    build: () => Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), honest()]),
  },
  {
    title: 'a zip',
    code: 'archive-not-gzip',
    build: () => Buffer.concat([Buffer.from('PK\u0003\u0004'), Buffer.alloc(100)]),
  },
  { title: 'a bare tar', code: 'archive-not-gzip', build: honest },
  {
    title: 'a gzip method that is not deflate',
    code: 'archive-not-gzip',
    build: () => Buffer.from([0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 3]),
  },
  { title: 'nothing', code: 'archive-not-gzip', build: () => new Uint8Array() },
  { title: 'a single byte', code: 'archive-not-gzip', build: () => Uint8Array.of(0x1f) },
  { title: 'text', code: 'archive-not-gzip', build: () => Buffer.from('<html>not found</html>') },
  {
    title: 'more than 20 MB',
    code: 'archive-too-large',
    build: () => plainGzip(tar(entry({ path: 'package/a', body: randomish(21 * 1024 * 1024) }), MANIFEST), 1),
  },
];

function cut(part: number): Buffer {
  const packed = plainGzip(tar(entry({ path: 'package/a', body: randomish(100_000) }), MANIFEST));
  return packed.subarray(0, Math.floor(packed.length * part));
}

/** Bytes that do not compress and are the same in every run (xorshift32). */
export function randomish(length: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4);
  let state = 0x9e3779b9;
  for (let at = 0; at < bytes.length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, at);
  }
  return bytes.subarray(0, length);
}
