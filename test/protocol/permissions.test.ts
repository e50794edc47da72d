import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  atoms,
  covers,
  DEFAULT_RESOURCES,
  describe as describePermissions,
  diff,
  intersect,
  isWider,
  NO_PERMISSIONS,
  normalise,
  ofAtoms,
  permissionsDigest,
  permissionsSchema,
  union,
  withoutAtoms,
  type Permissions,
} from '../../protocol/permissions.ts';
import { expectCode } from '../support/expect-code.ts';
import { anyPermissions, relatedPermissions } from '../support/permission-arbitraries.ts';
import { verifies } from '../support/verifies.ts';

/**
 * What a skill could try, and whether permissions let it: written without the code under test. The
 * names hold a witness for each entry that the generators can make, so two sets that allow the same
 * of these are equal.
 */
const HOSTS_TRIED = ['x.org', 'a.x.org', 'q.x.org', 'b.a.x.org', 'q.a.x.org', 'notx.org', '10.0.0.1', '::1'];
const PATHS_TRIED = [
  ...['', '/a', '/a/b', '/ab', '/q', '/.git', '/.git/q', '/.git/objects', '/.git/objects/q'],
  ...['/.git/hooks', '/.git/hooks/q', '/a/.git', '/a/.git/q'],
];
/** Where git finds what it runs: a file in such a place is written only by a grant in that very place. */
const innermostPlace = (path: string) =>
  /^(?!\$\{data\})(.*\/\.git(?:\/hooks)?)(?:\/|$)/.exec(path)?.[1] ?? '';
const ROOTS = ['${workspace}', '${data}', '${config.folder}', '${config.folder2}'];

function allowed(p: Permissions): Set<string> {
  const found = new Set<string>();
  for (const { host, port, protocol, address = 'public addresses' } of p.network) {
    const tried = host.startsWith('$') ? [host] : HOSTS_TRIED;
    for (const name of tried) {
      const named = host.startsWith('*.')
        ? name.split('.').length > 2 && name.endsWith(host.slice(1))
        : name === host;
      if (!named) continue;
      const spoken = protocol === 'tcp' ? ['raw', 'tls', 'http'] : [protocol];
      for (const way of spoken) found.add(`connect ${name} ${port} ${way} at ${address}`);
    }
  }
  for (const { path, mode } of p.filesystem) {
    for (const file of ROOTS.flatMap((root) => PATHS_TRIED.map((below) => root + below))) {
      if (!`${file}/`.startsWith(`${path}/`)) continue;
      found.add(`r ${file}`);
      if (mode === 'rw' && innermostPlace(file) === innermostPlace(path)) found.add(`w ${file}`);
    }
  }
  for (const { name, inject } of p.secrets) found.add(`secret ${name} ${inject}`);
  for (const name of p.env) found.add(`env ${name}`);
  for (const name of p.subprocess) found.add(`run ${name}`);
  if (p.background) found.add('background');
  for (const [name, on] of Object.entries(p.mcp)) if (on) found.add(`mcp ${name}`);
  return found;
}

const isSubset = (part: Set<string>, whole: Set<string>) => [...part].every((entry) => whole.has(entry));
const resourceNames = Object.keys(DEFAULT_RESOURCES) as (keyof typeof DEFAULT_RESOURCES)[];
const fitsIn = (a: Permissions, b: Permissions) =>
  resourceNames.every((name) => a.resources[name] <= b.resources[name]);
/** `required` of a secret is kept but is no permission. */
const asPermission = (p: Permissions) => ({
  ...p,
  secrets: p.secrets.map(({ name, inject }) => ({ name, inject })),
});

describe('the lattice of permissions', () => {
  it('covers exactly what allows no less', verifies('permissions.lattice'), () => {
    fc.assert(
      fc.property(relatedPermissions, ([a, b]) => {
        expect(covers(a, b)).toBe(isSubset(allowed(b), allowed(a)) && fitsIn(b, a));
      }),
      { numRuns: 500 },
    );
  });

  it('intersects to what both allow and joins to what either allows', verifies('permissions.lattice'), () => {
    fc.assert(
      fc.property(relatedPermissions, ([a, b]) => {
        const [inA, inB] = [allowed(a), allowed(b)];
        expect(allowed(intersect(a, b))).toEqual(new Set([...inA].filter((entry) => inB.has(entry))));
        expect(allowed(union(a, b))).toEqual(new Set([...inA, ...inB]));
        expect(fitsIn(intersect(a, b), a) && fitsIn(intersect(a, b), b)).toBe(true);
        expect(fitsIn(a, union(a, b)) && fitsIn(b, union(a, b))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it(
    'is an order: reflexive, transitive, and antisymmetric up to normal form',
    verifies('permissions.lattice'),
    () => {
      fc.assert(
        fc.property(relatedPermissions, anyPermissions, ([a, b], c) => {
          expect(covers(a, a)).toBe(true);
          const [low, middle, high] = [intersect(intersect(a, b), c), intersect(a, b), a];
          expect(covers(high, middle) && covers(middle, low) && covers(high, low)).toBe(true);
          if (covers(a, b) && covers(b, c)) expect(covers(a, c)).toBe(true);
          if (covers(a, b) && covers(b, a)) expect(asPermission(a)).toEqual(asPermission(b));
        }),
        { numRuns: 500 },
      );
    },
  );

  it('has greatest lower and least upper bounds', verifies('permissions.lattice'), () => {
    fc.assert(
      fc.property(relatedPermissions, anyPermissions, ([a, b], c) => {
        const [meet, join] = [intersect(a, b), union(a, b)];
        expect(covers(a, meet) && covers(b, meet) && covers(join, a) && covers(join, b)).toBe(true);
        const below = intersect(c, meet);
        const above = union(c, join);
        expect(covers(meet, below) && covers(above, join)).toBe(true);
        if (covers(a, c) && covers(b, c)) expect(covers(meet, c)).toBe(true);
        if (covers(c, a) && covers(c, b)) expect(covers(c, join)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps every result in normal form, and normal form as it is', verifies('permissions.lattice'), () => {
    fc.assert(
      fc.property(anyPermissions, anyPermissions, (a, b) => {
        for (const p of [a, intersect(a, b), union(a, b)]) expect(permissionsSchema.parse(p)).toEqual(p);
        expect(union(a, b)).toEqual(union(b, a));
        expect(intersect(a, b)).toEqual(intersect(b, a));
        expect(asPermission(union(a, a))).toEqual(asPermission(a));
        expect(asPermission(intersect(a, a))).toEqual(asPermission(a));
      }),
      { numRuns: 300 },
    );
  });
});

describe('what covers what', () => {
  const host = (name: string, extra: object = {}) => normalise({ network: [{ host: name, ...extra }] });
  const folder = (path: string, mode: 'r' | 'rw' = 'r') => normalise({ filesystem: [{ path, mode }] });

  it.each([
    ['*.x.org', 'a.x.org', true],
    ['*.x.org', 'a.b.x.org', true],
    ['*.x.org', '*.a.x.org', true],
    ['*.x.org', 'x.org', false],
    ['*.x.org', 'notx.org', false],
    ['a.x.org', '*.x.org', false],
    ['A.X.ORG.', 'a.x.org', true],
    ['bücher.de', 'xn--bcher-kva.de', true],
    ['${config.host}', '${config.host}', true],
    ['${config.host}', 'x.org', false],
    ['*.x.org', '${config.host}', false],
    ['[::1]', '0:0:0:0:0:0:0:1', true],
  ])('the host %s covers %s: %s', verifies('permissions.lattice'), (grant, asked, expected) => {
    expect(covers(host(grant), host(asked))).toBe(expected);
  });

  it('a port and a protocol are part of a host', () => {
    expect(covers(host('x.org'), host('x.org', { ports: [444] }))).toBe(false);
    expect(covers(host('x.org', { ports: [443, 444] }), host('x.org', { ports: [444] }))).toBe(true);
    expect(covers(host('x.org', { ports: [80] }), host('x.org', { protocol: 'http' }))).toBe(false);
    expect(covers(host('x.org', { ports: [443], protocol: 'tcp' }), host('x.org'))).toBe(true);
    expect(covers(host('x.org'), host('x.org', { ports: [443], protocol: 'tcp' }))).toBe(false);
  });

  it.each([
    ['${workspace}', '${workspace}/a', true],
    ['${workspace}/a', '${workspace}', false],
    ['${workspace}/a', '${workspace}/ab', false],
    ['${workspace}', '${data}', false],
    ['${config.a}', '${config.a}/b', true],
    ['${config.a}', '${config.ab}', false],
  ])('the folder %s covers %s: %s', verifies('permissions.lattice'), (grant, asked, expected) => {
    expect(covers(folder(grant), folder(asked))).toBe(expected);
    expect(covers(folder(grant, 'rw'), folder(asked))).toBe(expected);
    expect(covers(folder(grant), folder(asked, 'rw'))).toBe(false);
  });

  it('asking nothing is normal form of nothing, with the resources that every skill gets', () => {
    expect(normalise({})).toEqual(NO_PERMISSIONS);
    expect(normalise({}).resources).toEqual(DEFAULT_RESOURCES);
  });

  it('a folder inside a granted one is merged into it, a wider mode inside a narrower one is kept', () => {
    const asked = normalise({
      filesystem: [
        { path: '${workspace}/b', mode: 'r' },
        { path: '${workspace}', mode: 'r' },
        { path: '${workspace}/out', mode: 'rw' },
        { path: '${workspace}/out/deep', mode: 'rw' },
      ],
    });
    expect(asked.filesystem).toEqual([
      { path: '${workspace}', mode: 'r' },
      { path: '${workspace}/out', mode: 'rw' },
    ]);
  });

  it('whether a secret is required changes the record, not the permission', () => {
    const secret = (required: boolean) => normalise({ secrets: [{ name: 'KEY', required }] });
    expect(secret(true).secrets).toEqual([{ name: 'KEY', required: true, inject: 'env' }]);
    expect(covers(secret(false), secret(true)) && covers(secret(true), secret(false))).toBe(true);
    expect(diff(secret(false), secret(true))).toEqual({ added: [], widened: [], narrowed: [], removed: [] });
  });

  it('the digest does not depend on order or spelling', () => {
    const one = normalise({ network: [{ host: 'B.org' }, { host: 'a.org' }], env: ['TZ', 'LANG'] });
    const other = normalise({ env: ['LANG', 'TZ', 'TZ'], network: [{ host: 'a.org' }, { host: 'b.org' }] });
    expect(permissionsDigest(one)).toBe(permissionsDigest(other));
    expect(permissionsDigest(one)).not.toBe(permissionsDigest(NO_PERMISSIONS));
  });

  it('shared constants cannot be changed by a caller', () => {
    expect(() => NO_PERMISSIONS.env.push('TZ')).toThrow(TypeError);
  });
});

describe('the difference of two sets', () => {
  it(
    'is empty exactly when nothing changed, and wider exactly when more is asked',
    verifies('permissions.diff'),
    () => {
      fc.assert(
        fc.property(relatedPermissions, ([a, b]) => {
          const change = diff(a, b);
          const isEmpty = Object.values(change).every((list: unknown[]) => list.length === 0);
          expect(isEmpty).toBe(covers(a, b) && covers(b, a));
          expect(isWider(change)).toBe(!covers(a, b));
          const back = diff(b, a);
          expect(back.added.length).toBe(change.removed.length);
          expect(back.removed.length).toBe(change.added.length);
        }),
        { numRuns: 500 },
      );
    },
  );

  it('tells new from wider, and gone from narrower', verifies('permissions.diff'), () => {
    const before = normalise({
      filesystem: [{ path: '${workspace}', mode: 'r' }],
      network: [{ host: 'a.x.org' }, { host: 'old.org' }],
      resources: { memoryMb: 512 },
      env: ['TZ'],
    });
    const after = normalise({
      filesystem: [{ path: '${workspace}', mode: 'rw' }],
      network: [{ host: '*.x.org' }],
      resources: { memoryMb: 256 },
      env: ['TZ'],
      background: true,
    });
    const change = diff(before, after);
    expect(change.added.map(({ id }) => id)).toEqual(['background']);
    expect(change.widened.map(({ sentence }) => sentence)).toEqual([
      'It can now read and write files in ${workspace} (before: read files in ${workspace})',
      'It can now connect to any host below x.org, port 443, (encrypted) (before: connect to a.x.org:443 (encrypted))',
    ]);
    expect(change.narrowed).toEqual([
      {
        id: 'resources',
        sentence: 'It can only use up to 256 MB of memory (before: 512)',
        before: { memoryMb: 512 },
        after: { memoryMb: 256 },
      },
    ]);
    expect(change.removed.map(({ sentence }) => sentence)).toEqual([
      'It can no longer connect to old.org:443 (encrypted)',
    ]);
  });
});

describe('single permissions', () => {
  it('add up to the whole, and each is covered by it', verifies('permissions.sentences'), () => {
    fc.assert(
      fc.property(anyPermissions, (p) => {
        const parts = atoms(p);
        expect(ofAtoms(parts)).toEqual(p);
        expect(new Set(parts.map(({ id }) => id)).size).toBe(parts.length);
        for (const part of parts) expect(covers(p, part.permission)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('can be left out: what remains never exceeds the whole', verifies('permissions.sentences'), () => {
    fc.assert(
      fc.property(anyPermissions, fc.nat(), (p, chance) => {
        const ids = atoms(p).map(({ id }) => id);
        const left = withoutAtoms(p, [ids[chance % ids.length] ?? '']);
        expect(covers(p, left)).toBe(true);
        expect(withoutAtoms(p, [])).toEqual(p);
      }),
      { numRuns: 200 },
    );
  });

  it('go by ids that an admin can type', () => {
    const p = normalise({
      filesystem: [{ path: '${workspace}', mode: 'rw' }],
      network: [{ host: 'api.x.org', ports: [443, 8443] }, { host: '::1' }],
      secrets: [{ name: 'KEY', inject: 'header:api.x.org:X-Key' }],
      env: ['TZ'],
      subprocess: [{ exec: 'git' }],
      background: true,
      mcp: { elicitation: true },
    });
    expect(atoms(p).map(({ id }) => id)).toEqual([
      'filesystem:${workspace}',
      'network:[::1]:443',
      'network:api.x.org:443',
      'network:api.x.org:8443',
      'secrets:KEY',
      'env:TZ',
      'subprocess:git',
      'background',
      'mcp:elicitation',
      'resources',
    ]);
    expect(withoutAtoms(p, ['network:api.x.org:8443', 'background'])).toMatchObject({
      network: [{ host: '::1' }, { host: 'api.x.org', port: 443 }],
      background: false,
    });
  });

  it('two protocols on one port are one permission, so that leaving it out leaves nothing of it', () => {
    const p = normalise({
      network: [
        { host: 'x.org', ports: [80], protocol: 'http' },
        { host: 'x.org', ports: [80] },
      ],
    });
    expect(p.network).toHaveLength(2);
    expect(withoutAtoms(p, ['network:x.org:80']).network).toEqual([]);
  });

  it('without its resources a skill gets no more than every skill', () => {
    const p = normalise({ resources: { memoryMb: 4096, timeoutMs: 1000 } });
    expect(withoutAtoms(p, ['resources']).resources).toEqual({ ...DEFAULT_RESOURCES, timeoutMs: 1000 });
  });

  it('an id that is not there is refused with those that are', async () => {
    const error = await expectCode(
      () => withoutAtoms(NO_PERMISSIONS, ['network:x.org:443']),
      'grant-not-found',
    );
    expect(error.hint).toContain('resources');
  });
});

describe('permissions in words', () => {
  it('say what a skill can, cannot and asks first', verifies('permissions.sentences'), () => {
    const sentences = describePermissions(
      normalise({ filesystem: [{ path: '${workspace}', mode: 'rw' }], secrets: [{ name: 'KEY' }] }),
      [
        { name: 'list', answer: 'allow', effects: ['read'] },
        { name: 'peek', answer: 'allow', effects: ['read'], enforced: true },
        { name: 'claim', answer: 'allow', effects: ['read'], enforced: false },
        { name: 'add', answer: 'allow', effects: ['create'] },
        { name: 'delete_note', answer: 'ask', effects: ['destroy'] },
        { name: 'look', answer: 'ask', effects: ['read'], enforced: true },
        { name: 'wipe', answer: 'deny', effects: ['destroy'] },
      ],
    );
    expect(sentences).toEqual({
      can: [
        'It can read and write files in ${workspace}',
        'It can read the secret KEY (in its environment)',
        'It can use up to 256 MB of memory, 1 processor, 32 processes, 64 MB of scratch space and 30 s a call',
        'It can read without asking (enforced): peek',
        'It can read without asking (declared): claim',
        'It can read without asking: list',
        'It can act without asking: add (creates)',
      ],
      cannot: [
        'It cannot read any other files',
        'It cannot change what other programs run by themselves in ${workspace}: .git, .github, .husky, .vscode, .idea, .devcontainer, .envrc, .mcp.json, .claude, .cursor',
        'It cannot reach the network',
        'It cannot run other programs',
        'It cannot do anything between calls',
        'It cannot use wipe (turned off)',
      ],
      asksFirst: ['It asks first: delete_note (destroys)', 'It asks first: look (reads; enforced)'],
    });
  });

  it('say what is held back of a grant to write, less what it names', verifies('folders.held-back'), () => {
    const held = (...paths: string[]) =>
      describePermissions(
        normalise({ filesystem: paths.map((path) => ({ path, mode: 'rw' })) }),
      ).cannot.filter((line) => line.includes('run by themselves'));
    expect(held('${data}')).toEqual([]);
    expect(held('${workspace}', '${workspace}/.git')).toEqual([
      expect.not.stringMatching(/ \.git[,/]/),
      'It cannot change what other programs run by themselves in ${workspace}/.git: hooks, config, config.worktree, commondir, modules, worktrees',
    ]);
    expect(held('${workspace}/.git', '${workspace}/.git/hooks')).toEqual([
      expect.not.stringContaining('hooks'),
    ]);
    expect(held('${workspace}/.vscode')).toEqual([]);
  });

  it('name every single permission once', verifies('permissions.sentences'), () => {
    fc.assert(
      fc.property(anyPermissions, (p) => {
        const { can } = describePermissions(p);
        const count =
          p.network.length + p.filesystem.length + p.secrets.length + p.env.length + p.subprocess.length;
        const switches = [p.background, ...Object.values(p.mcp)].filter(Boolean).length;
        expect(can).toHaveLength(count + switches + 1);
        expect(new Set(can).size).toBe(can.length);
      }),
      { numRuns: 100 },
    );
  });
});
