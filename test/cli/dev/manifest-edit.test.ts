import { describe, expect, it } from 'vitest';
import { readAllowedHost, readFolder, readSetting } from '../../../cli/dev/choices.ts';
import { withExactly, withPermission } from '../../../cli/dev/manifest-edit.ts';
import { AppError } from '../../../protocol/errors.ts';
import { parseManifest } from '../../../protocol/manifest.ts';
import { verifies } from '../../support/verifies.ts';

const HEAD = `{
    "name": "local.me/x", "version":   "1.0.0",
    "title": "X", "description": "An x", "license": "MIT",
    "runtime": { "kind": "node", "entry": "server/index.ts", "protocol": "2026-07-28" }`;
const BARE = `${HEAD}\n}\n`;
const FULL = `${HEAD},
    "permissions": {
        "filesystem": [
            { "path": "\${data}", "mode": "r", "reason": "notes" }
        ],
        "network": [{ "host": "a.test", "reason": "forecasts" }],
        "secrets": [{ "name": "MY_KEY" }]
    }
}
`;

const permissionsOf = (text: string) => parseManifest(text).permissions;

describe('one permission more', () => {
  it('leaves every other byte as the author wrote it', verifies('dev.grants'), () => {
    const text = withPermission(FULL, { kind: 'program', name: 'git' }, 'history');
    expect(permissionsOf(text).subprocess).toEqual([{ exec: 'git', reason: 'history' }]);
    expect(text.startsWith(FULL.slice(0, FULL.indexOf('"secrets"')))).toBe(true);
    expect(text).toMatch(/^ {8}"subprocess": \[$/m);
  });

  it.each([
    ['\n', '    '],
    ['\r\n', '\t'],
  ])('keeps line ends and indentation', (eol, indent) => {
    const before = BARE.replaceAll('\n', eol).replaceAll('    ', indent);
    const text = withPermission(before, { kind: 'variable', name: 'TZ' }, undefined);
    expect(text.split(eol).length - 1).toBe(text.split('\n').length - 1);
    expect(text).toContain(`${eol}${indent}${indent}"env": [`);
    expect(permissionsOf(text).env).toEqual(['TZ']);
  });

  it(
    'widens a folder that is there, and declares the config value that a new one needs',
    verifies('dev.grants'),
    () => {
      const wider = withPermission(FULL, { kind: 'path', path: '${data}', mode: 'rw' }, 'state');
      expect(permissionsOf(wider).filesystem).toEqual([{ path: '${data}', mode: 'rw', reason: 'notes' }]);
      const wish = { kind: 'path', path: '${config.notes}', mode: 'r', folder: '/home/me/notes' } as const;
      const added = parseManifest(withPermission(BARE, wish, undefined));
      expect(added.config).toMatchObject({ notes: { type: 'directory' } });
      expect(added.permissions.filesystem).toEqual([{ path: '${config.notes}', mode: 'r' }]);
      expect(JSON.stringify(added)).not.toContain('/home/me');
    },
  );

  it('takes what looks like a secret for one', verifies('dev.grants'), () => {
    const { secrets, env } = permissionsOf(
      withPermission(BARE, { kind: 'variable', name: 'WEATHER_KEY' }, 'api'),
    );
    expect(env).toEqual([]);
    expect(secrets).toMatchObject([{ name: 'WEATHER_KEY', inject: 'env', reason: 'api' }]);
  });

  it('is refused where no manifest could ask for it', verifies('dev.grants'), () => {
    for (const wish of [
      { kind: 'variable', name: 'LD_PRELOAD' },
      { kind: 'host', host: '*.com', port: 443, protocol: 'tls' },
      { kind: 'path', path: '/etc', mode: 'r' },
    ] as const)
      expect(codeOf(() => withPermission(BARE, wish, undefined))).toBe('manifest-invalid');
    const forged = 'a"}],"background":true,"x":[{"y":"\n';
    expect(codeOf(() => withPermission(BARE, { kind: 'program', name: 'git' }, forged))).toBe(
      'manifest-invalid',
    );
  });
});

describe('exactly what was used', () => {
  const used = {
    network: [
      { host: 'a.test', port: 443, protocol: 'tls' as const },
      { host: 'a.test', port: 8443, protocol: 'tls' as const },
    ],
    filesystem: [],
    subprocess: ['git'],
    env: [],
  };

  it('replaces what can be watched, keeps reasons and all else', verifies('dev.records'), () => {
    const text = withExactly(FULL, used);
    const written = JSON.parse(text) as { permissions: unknown };
    expect(written.permissions).toEqual({
      network: [{ host: 'a.test', ports: [443, 8443], protocol: 'tls', reason: 'forecasts' }],
      secrets: [{ name: 'MY_KEY' }],
      subprocess: [{ exec: 'git' }],
    });
    expect(withExactly(text, used)).toBe(text);
  });
});

describe('what an author opens', () => {
  it('is read strictly', () => {
    expect(readAllowedHost('a.test')).toEqual({ host: 'a.test', port: 443, protocol: 'tls' });
    expect(readAllowedHost('db.test:5432/tls')).toEqual({ host: 'db.test', port: 5432, protocol: 'tls' });
    expect(readAllowedHost('db.test:5432/tls=127.0.0.1')).toEqual({
      ...{ host: 'db.test', port: 5432, protocol: 'tls', address: '127.0.0.1' },
    });
    expect(readAllowedHost('a.test=[::1]')).toMatchObject({ port: 443, address: '::1' });
    const faulty = ['', 'https://a.test', 'a.test:99999', 'a.test:0', 'a.test/udp', '*.com', 'a b'];
    // An address has no name that a sandbox could ask for, and a wildcard no one place.
    for (const text of [...faulty, '[::1]:80', 'a.test=b.test', '*.a.test=127.0.0.1', 'a.test=127.0.0.1/tls'])
      expect(
        codeOf(() => readAllowedHost(text)),
        text,
      ).toBe('usage-invalid');
    expect(readFolder('notes=/tmp', '/')).toEqual(['notes', '/tmp']);
    for (const text of ['notes', '=/tmp', '1=/tmp', 'notes=/no/such'])
      expect(
        codeOf(() => readFolder(text, '/')),
        text,
      ).toBe('usage-invalid');
    const manifest = parseManifest(
      `${HEAD}, "config": { "n": { "type": "number", "title": "N" }, "d": { "type": "directory", "title": "D" } } }`,
    );
    expect(readSetting('n=3', manifest)).toEqual(['n', 3]);
    for (const text of ['n=x', 'd=/tmp', 'none=1'])
      expect(
        codeOf(() => readSetting(text, manifest)),
        text,
      ).toBe('usage-invalid');
  });
});

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
}
