import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Ground } from '../../../cli/dev/ground.ts';
import type { Wish } from '../../../cli/dev/learn-event.ts';
import { learning } from '../../../cli/dev/learning.ts';
import { unusedPermissions } from '../../../cli/dev/unused.ts';
import type { PathAct, Seen } from '../../../hub/sandbox/trace-call.ts';
import { covers, NO_PERMISSIONS, normalise, type Permissions } from '../../../protocol/permissions.ts';
import { verifies } from '../../support/verifies.ts';

const ROOTS = [
  { reference: '${workspace}', inside: '/workspace', folder: '/home/me/work' },
  { reference: '${data}', inside: '/data', folder: '/home/me/data' },
];
const OPEN = normalise({
  filesystem: ROOTS.map(({ reference }) => ({ path: reference, mode: 'rw' as const })),
});
/** On this host whatever has a dot in its last part is a file. */
const ground = (granted: Permissions, more: Partial<Ground> = {}): Ground => ({
  granted,
  roots: ROOTS,
  hosts: new Map(),
  hasBorder: false,
  named: (entry) => entry,
  forbidden: ['/home/me/.berth'],
  isUsual: () => false,
  kindOf: (path) => (path.startsWith('/nowhere') ? undefined : /\.[^/]*$/.test(path) ? 'file' : 'folder'),
  hasProgram: (name) => name === 'git' || name === 'sh',
  hasVariable: (name) => name === 'COLOUR',
  ...more,
});

function learnt(on: Ground, ...seen: Seen[]) {
  const notes: string[] = [];
  const wishes: Wish[] = [];
  const session = learning(on, { wish: (wish) => wishes.push(wish), note: (text) => notes.push(text) });
  for (const one of seen) session.take(one, { byOther: false });
  return { session, notes, told: wishes };
}

const path = (of: string, act: PathAct, errno?: string): Seen => ({ kind: 'path', path: of, act, errno });

describe('what a session used', () => {
  const foldersOf = (...seen: Seen[]) => learnt(ground(OPEN), ...seen).session.used()?.filesystem;

  it('is the least folder that grants it', verifies('dev.records'), () => {
    expect(foldersOf(path('/workspace/a/b.txt', 'read'))).toEqual([{ path: '${workspace}/a', mode: 'r' }]);
    expect(foldersOf(path('/workspace/a', 'list'))).toEqual([{ path: '${workspace}/a', mode: 'r' }]);
    expect(foldersOf(path('/workspace/a/new', 'name'))).toEqual([{ path: '${workspace}/a', mode: 'rw' }]);
    expect(foldersOf(path('/workspace', 'list'), path('/workspace/a/b.txt', 'write'))).toEqual([
      { path: '${workspace}', mode: 'r' },
      { path: '${workspace}/a', mode: 'rw' },
    ]);
  });

  it(
    'is not widened by who looks at the folders on the way, nor by what is not there',
    verifies('dev.records'),
    () => {
      const walk = ['/workspace', '/workspace/a', '/workspace/a/b.txt'].map((one) => path(one, 'look'));
      expect(foldersOf(...walk, path('/workspace/a/b.txt', 'read'))).toEqual([
        { path: '${workspace}/a', mode: 'r' },
      ]);
      expect(foldersOf(path('/workspace/x/none.txt', 'read', 'ENOENT'))).toEqual([]);
      expect(foldersOf(path('/workspace/only/looked.txt', 'look'))).toEqual([
        { path: '${workspace}/only', mode: 'r' },
      ]);
    },
  );

  it('is a folder further up where a manifest has no words for its name', () => {
    expect(foldersOf(path('/workspace/a/${b}/c.txt', 'read'))).toEqual([
      { path: '${workspace}/a', mode: 'r' },
    ]);
    expect(foldersOf(path('/workspace/a/two\nlines/c.txt', 'read'))).toEqual([
      { path: '${workspace}/a', mode: 'r' },
    ]);
  });

  it('is whole roots where a manifest has no room', () => {
    const many = Array.from({ length: 200 }, (_, at) => path(`/workspace/d${at}/a.txt`, 'read'));
    expect(foldersOf(...many)).toEqual([{ path: '${workspace}', mode: 'r' }]);
  });

  it('grants all of it and nothing that was not used', verifies('dev.records'), () => {
    const act = fc.constantFrom<PathAct>('look', 'read', 'list', 'write', 'name');
    const segments = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 });
    const access = fc
      .tuple(segments, act)
      .map(([parts, does]) => path(`/workspace/${parts.join('/')}/f.txt`, does));
    fc.assert(
      fc.property(fc.array(access, { minLength: 1, maxLength: 8 }), (seen) => {
        const used = foldersOf(...seen) ?? [];
        for (const one of seen) {
          if (one.kind !== 'path') continue;
          const mode = one.act === 'write' || one.act === 'name' ? 'rw' : 'r';
          const folder =
            one.act === 'list' || one.act === 'look'
              ? one.path
              : one.path.slice(0, one.path.lastIndexOf('/'));
          const asked = normalise({
            filesystem: [{ path: folder.replace('/workspace', '${workspace}'), mode }],
          });
          expect(covers({ ...OPEN, filesystem: used }, asked)).toBe(true);
        }
        for (const { path: folder } of used)
          expect(
            seen.some(
              (one) =>
                one.kind === 'path' && one.path.replace('/workspace', '${workspace}').startsWith(folder),
            ),
          ).toBe(true);
        expect(normalise({ filesystem: used }).filesystem).toEqual(used);
      }),
    );
  });

  it('cannot be said of a session that did more than is kept in mind', verifies('learn.bounded'), () => {
    const { session } = learnt(ground(OPEN));
    for (let at = 0; at < 20_001; at += 1)
      session.take(path(`/workspace/d${at}/a.txt`, 'read'), { byOther: false });
    expect(session.used()).toBeUndefined();
  });

  it('knows hosts by the addresses that stand for them', verifies('dev.records'), () => {
    const granted = normalise({ network: [{ host: '*.example.test', ports: [8443], protocol: 'tls' }] });
    const hosts = new Map([
      ['127.64.0.2', 'a.example.test'],
      ['127.64.0.3', 'b.test'],
    ]);
    const { session, told } = learnt(
      ground(granted, { hosts }),
      { kind: 'name', name: 'a.example.test' },
      { kind: 'connect', address: '127.64.0.2', port: 8443, errno: 'EINPROGRESS' },
      { kind: 'connect', address: '127.64.0.3', port: 80, errno: 'EINPROGRESS' },
      { kind: 'connect', address: '127.0.0.1', port: 53, errno: undefined },
    );
    expect(session.used()?.network).toEqual([{ host: '*.example.test', port: 8443, protocol: 'tls' }]);
    expect(told).toEqual([{ kind: 'host', host: 'b.test', port: 80, protocol: 'http' }]);
  });
});

describe('what a session was refused', () => {
  it('is told once, and forgotten once it is granted', verifies('dev.refused'), () => {
    const seen = [
      path('/data/x.txt', 'read', 'ENOENT'),
      path('/data/x.txt', 'read', 'ENOENT'),
      path('/data/y.txt', 'write', 'EROFS'),
    ];
    const { session, told } = learnt(ground(NO_PERMISSIONS), ...seen);
    expect(told).toEqual([
      { kind: 'path', path: '${data}', mode: 'r' },
      { kind: 'path', path: '${data}', mode: 'rw' },
    ]);
    expect(session.wishes()).toEqual([{ kind: 'path', path: '${data}', mode: 'rw' }]);
    session.standOn(ground(normalise({ filesystem: [{ path: '${data}', mode: 'rw' }] })));
    expect(session.wishes()).toEqual([]);
  });

  it('is no more than can be shown', verifies('learn.bounded'), () => {
    const many = Array.from({ length: 5_000 }, (_, at) => path(`/workspace/${at}/x`, 'read', 'ENOENT'));
    const { session, told, notes } = learnt(ground(NO_PERMISSIONS), ...many);
    expect(told).toHaveLength(300);
    expect(session.wishes()).toHaveLength(300);
    expect(notes).toEqual([expect.stringContaining('more than 300')]);
  });

  it.each<[string, Seen, boolean]>([
    ['what the runtime does by itself', path('/usr/share/zoneinfo/x', 'read', 'ENOENT'), true],
    ['what is not on the host either', path('/nowhere/a.txt', 'read', 'ENOENT'), false],
    ['a look at a folder of the system', path('/usr/lib/python3/x', 'look', 'ENOENT'), false],
    ['a look on the way down', path('/home', 'look', 'ENOENT'), false],
    ['a program that is not on the host', { kind: 'program', path: '/usr/bin/none', errno: 'ENOENT' }, false],
  ])('is not %s', verifies('dev.refused'), (_what, seen, isUsual) => {
    const { told, notes } = learnt(ground(NO_PERMISSIONS, { isUsual: () => isUsual }), seen);
    expect([told, notes]).toEqual([[], []]);
  });

  it.each<[string, Seen, RegExp]>([
    ['the home of the hub', path('/home/me/.berth/admin.token', 'read', 'ENOENT'), /can never be granted/],
    ['what holds the home of the hub', path('/home/me/a.txt', 'read', 'ENOENT'), /can never be granted/],
    ['a shell by its path', { kind: 'program', path: '/bin/sh', errno: 'ENOENT' }, /without a shell/],
    [
      'a granted folder by its path on the host',
      path('/home/me/work/a.txt', 'read', 'ENOENT'),
      /Inside it is \/workspace/,
    ],
  ])('is a word to the author for %s', (_what, seen, note) => {
    const { told, notes } = learnt(ground(NO_PERMISSIONS), seen);
    expect(told).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(note)]);
  });

  it('is seen at the border, where only what was reached counts as used', verifies('dev.records'), () => {
    const granted = normalise({
      network: [{ host: 'a.test' }, { host: '*.b.test', ports: [5432], protocol: 'tcp' }],
    });
    const hosts = new Map(
      ['a.test', 'x.b.test', 'c.test', 'd.test'].map((name, at) => [`127.64.0.${at}`, name]),
    );
    const { session, told, notes } = learnt(
      ground(granted, { hosts, hasBorder: true }),
      { kind: 'name', name: 'c.test' },
      // As resolvers sort addresses.
      { kind: 'connect', address: '127.64.0.2', port: 0, errno: undefined },
      { kind: 'connect', address: '127.64.0.0', port: 443, errno: 'EINPROGRESS' },
      { kind: 'connect', address: '::ffff:127.64.0.2', port: 443, errno: 'EINPROGRESS' },
      { kind: 'connect', address: '127.64.0.0', port: 8080, errno: 'EINPROGRESS' },
    );
    const contact = { skill: 's', user: 'u' };
    session.atBorder({ ...contact, kind: 'refused', host: 'c.test', port: 443, reason: 'host-not-granted' });
    expect(session.used()?.network).toEqual([]);
    session.atBorder({ ...contact, kind: 'reached', host: 'x.b.test', port: 5432 });
    session.atBorder({ ...contact, kind: 'refused', host: 'a.test', port: 443, reason: 'between-calls' });
    session.atNames([...hosts.values(), '_sip._tcp.a.test', '1.0.0.127.in-addr.arpa']);
    expect(told).toEqual([
      { kind: 'host', host: 'c.test', port: 443, protocol: 'tls' },
      { kind: 'host', host: 'a.test', port: 8080, protocol: 'http' },
      { kind: 'host', host: 'd.test' },
    ]);
    expect(session.used()?.network).toEqual([{ host: '*.b.test', port: 5432, protocol: 'tcp' }]);
    expect(notes).toEqual([expect.stringContaining('no call was running')]);
  });
});

describe('what is asked and was not used', () => {
  it('is said in sentences, and nothing of what cannot be watched', verifies('dev.unused'), () => {
    const asked = normalise({
      network: [{ host: 'a.test' }, { host: 'b.test' }],
      filesystem: [{ path: '${workspace}', mode: 'rw' }],
      env: ['TZ', 'COLOUR'],
      secrets: [{ name: 'MY_KEY' }],
      background: true,
    });
    const used = {
      network: [{ host: 'a.test', port: 443, protocol: 'tls' as const }],
      filesystem: [],
      subprocess: [],
      env: ['TZ'],
    };
    const sentences = unusedPermissions(asked, [
      used,
      { ...used, filesystem: [{ path: '${workspace}/a', mode: 'r' }] },
    ]);
    expect(sentences).toEqual([
      expect.stringContaining('connect to b.test:443'),
      expect.stringContaining('write ${workspace}, which was only read'),
      expect.stringContaining('variable COLOUR'),
    ]);
  });
});
