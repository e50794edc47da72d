import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Seen } from '../../../hub/sandbox/trace-call.ts';
import { traceReader } from '../../../hub/sandbox/trace-reader.ts';
import { verifies } from '../../support/verifies.ts';

/** As `strace -xx` writes a string. */
const hex = (text: string | Buffer): string =>
  `"${[...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`;
const at = (folder: string): string => `AT_FDCWD<${hex(folder).slice(1, -1)}>`;
const START = `10 execve(${hex('/usr/bin/node')}, [${hex('node')}], 0x7ffe /* 4 vars */) = 0\n`;

function readAll(text: string, chunk = text.length): { seen: Seen[]; others: boolean[]; lost: number } {
  const seen: Seen[] = [];
  const others: boolean[] = [];
  const reader = traceReader('/usr/bin/node', (one, { byOther }) => {
    seen.push(one);
    others.push(byOther);
  });
  for (let from = 0; from < text.length; from += chunk) reader.take(text.slice(from, from + chunk));
  return { seen, others, lost: reader.lost() };
}

const after = (...lines: string[]): Seen[] => readAll(START + lines.map((line) => `${line}\n`).join('')).seen;

describe('a trace', () => {
  it('says nothing before the skill’s own program is there', verifies('learn.sees'), () => {
    const setUp = `9 openat(${at('/')}, ${hex('/etc/shadow')}, O_RDONLY) = 3\n10 execve(${hex('/usr/bin/prlimit')}, [], 0x1 /* 0 vars */) = 0\n`;
    const monitor = `9 openat(${at('/')}, ${hex('/late')}, O_RDONLY) = 3\n`;
    expect(readAll(setUp + START + monitor).seen).toEqual([]);
  });

  it.each<[string, string, Seen[]]>([
    [
      'a file that is read',
      `openat(${at('/skill')}, ${hex('/a')}, O_RDONLY|O_CLOEXEC) = 17</a>`,
      [path('/a', 'read')],
    ],
    [
      'a relative path',
      `openat(${at('/skill/x')}, ${hex('../a')}, O_RDONLY) = -1 ENOENT (No such file)`,
      [path('/skill/a', 'read', 'ENOENT')],
    ],
    [
      'a path below an open folder',
      `openat(5<${hex('/data').slice(1, -1)}>, ${hex('b')}, O_RDONLY) = 6</b>`,
      [path('/data/b', 'read')],
    ],
    [
      'a file that is written',
      `openat(${at('/')}, ${hex('/a')}, O_WRONLY|O_CREAT|O_TRUNC, 0666) = -1 EROFS (Read-only)`,
      [path('/a', 'write', 'EROFS')],
    ],
    [
      'a folder that is listed',
      `openat(${at('/')}, ${hex('/a')}, O_RDONLY|O_NONBLOCK|O_DIRECTORY) = 3</a>`,
      [path('/a', 'list')],
    ],
    [
      'a look',
      `statx(${at('/')}, ${hex('/a')}, AT_STATX_SYNC_AS_STAT, STATX_ALL, {stx_mask=0}) = 0`,
      [path('/a', 'look')],
    ],
    [
      'a look at an open file',
      `newfstatat(3<${hex('/a').slice(1, -1)}>, "", {st_mode=S_IFREG}, AT_EMPTY_PATH) = 0`,
      [],
    ],
    ['a rename', `rename(${hex('/a')}, ${hex('/b')}) = 0`, [path('/a', 'name'), path('/b', 'name')]],
    ['a link, which opens nothing', `symlink(${hex('/etc')}, ${hex('/a')}) = 0`, [path('/a', 'name')]],
    [
      'a new folder',
      `mkdir(${hex('/a')}, 0777) = -1 EACCES (Permission denied)`,
      [path('/a', 'name', 'EACCES')],
    ],
    [
      'a program',
      `execve(${hex('/usr/bin/git')}, [${hex('git')}], 0x1 /* 3 vars */) = -1 ENOENT (No such file)`,
      [{ kind: 'program', path: '/usr/bin/git', errno: 'ENOENT' }],
    ],
    [
      'a connection',
      `connect(19<socket:[1]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr(${hex('127.64.0.2')})}, 16) = -1 EINPROGRESS (Operation now in progress)`,
      [{ kind: 'connect', address: '127.64.0.2', port: 443, errno: 'EINPROGRESS' }],
    ],
    [
      'a connection by IPv6',
      `connect(19, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, ${hex('::1')}, &sin6_addr), sin6_scope_id=0}, 28) = 0`,
      [{ kind: 'connect', address: '::1', port: 80, errno: undefined }],
    ],
    ['a path that is no text', `openat(${at('/')}, "\\x2f\\xff", O_RDONLY) = -1 ENOENT (No such file)`, []],
    ['a path that was cut', `openat(${at('/')}, ${hex('/a')}..., O_RDONLY) = -1 ENAMETOOLONG (Too long)`, []],
    ['a call that never ended', `openat(${at('/')}, ${hex('/a')}, O_RDONLY) = ?`, [path('/a', 'read')]],
  ])('tells %s', verifies('learn.sees'), (_what, line, expected) => {
    expect(after(`11 ${line}`)).toEqual(expected);
  });

  it('puts calls of several processes together', verifies('learn.sees'), () => {
    expect(
      after(
        `11 openat(${at('/')}, ${hex('/a')}, O_RDONLY <unfinished ...>`,
        `12 mkdir(${hex('/b')}, 0777) = 0`,
        '11 <... openat resumed>) = -1 ENOENT (No such file or directory)',
      ),
    ).toEqual([path('/b', 'name'), path('/a', 'read', 'ENOENT')]);
  });

  it('knows what another program does, and where each process works', () => {
    const { seen, others } = readAll(
      `${START}11 chdir(${hex('/data')}) = 0\n11 mkdir(${hex('x')}, 0777) = 0\n12 execve(${hex('/usr/bin/git')}, [], 0x1 /* 0 vars */) = 0\n12 mkdir(${hex('/y')}, 0777) = 0\n`,
    );
    expect(seen.at(1)).toEqual(path('/data/x', 'name'));
    expect(others).toEqual([false, false, false, true]);
  });

  it('tells the names that a resolver is asked for, and no other message', verifies('learn.sees'), () => {
    const send = (bytes: Buffer): string =>
      `11 sendto(20<socket:[1]>, ${hex(bytes)}, ${bytes.length}, MSG_NOSIGNAL, NULL, 0) = ${bytes.length}`;
    const many = (bytes: Buffer): string =>
      `11 sendmmsg(19, [{msg_hdr={msg_name=NULL, msg_iov=[{iov_base=${hex(bytes)}, iov_len=1}], msg_iovlen=1}, msg_len=1}, {msg_hdr={msg_iov=[{iov_base=${hex(query('b.test', 28))}, iov_len=1}]}}], 2, MSG_NOSIGNAL) = 2`;
    const name = (of: string): Seen => ({ kind: 'name', name: of });
    expect(after(send(query('API.example.test')))).toEqual([name('api.example.test')]);
    expect(after(many(query('a.test')))).toEqual([name('a.test'), name('b.test')]);
    const answer = query('a.test');
    answer[2] = 0x81;
    for (const other of [
      answer,
      query('a.test', 16),
      query('-bad-.test'),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      query('a.test').subarray(0, 16),
    ])
      expect(after(send(other))).toEqual([]);
  });

  it(
    'reads any path back as it was, in pieces of any size, and nothing besides',
    verifies('learn.unforgeable'),
    () => {
      fc.assert(
        fc.property(
          fc.string({ unit: 'binary', maxLength: 60 }),
          fc.integer({ min: 1, max: 40 }),
          (text, chunk) => {
            const whole = `/x${text.replaceAll('\0', '').replaceAll('/', '')}`;
            const { seen, lost } = readAll(
              `${START}11 openat(${at('/')}, ${hex(whole)}, O_RDONLY) = -1 ENOENT (No such file)\n`,
              chunk,
            );
            expect(seen).toEqual([path(whole, 'read', 'ENOENT')]);
            expect(lost).toBe(0);
          },
        ),
      );
    },
  );

  it('survives anything', verifies('learn.bounded'), () => {
    fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => void readAll(START + text)));
    const endless = readAll(
      `${START}11 openat(${'x'.repeat(2_000_000)}\n11 mkdir(${hex('/b')}, 0777) = 0\n`,
      65_536,
    );
    expect(endless).toMatchObject({ seen: [path('/b', 'name')], lost: 1 });
    // Told at once: what has no end is not kept until it has one.
    expect(readAll(`${START}11 openat(${'x'.repeat(600_000)}`, 65_536).lost).toBe(1);
  });
});

function path(of: string, act: 'look' | 'read' | 'list' | 'write' | 'name', errno?: string): Seen {
  return { kind: 'path', path: of, act, errno };
}

/** A DNS query (RFC 1035 §4.1). */
function query(name: string, type = 1): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([
    Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...labels,
    Buffer.from([0, 0, type, 0, 1]),
  ]);
}

describe('a hub that serves', () => {
  it('has no tracer', verifies('learn.holds'), () => {
    const root = join(import.meta.dirname, '../../..');
    const calling = readdirSync(join(root, 'hub'), { recursive: true, encoding: 'utf8' })
      .concat('../cli/commands/up.ts', '../cli/up.ts', '../cli/commands/serve/hub.ts')
      .filter((path) => path.endsWith('.ts') && !path.startsWith('sandbox/'))
      .filter((path) => /createStrace|\btracer\b/.test(readFileSync(join(root, 'hub', path), 'utf8')));
    expect(calling).toEqual([]);
  });
});
