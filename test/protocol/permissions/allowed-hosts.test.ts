import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseManifest } from '../../../protocol/manifest.ts';
import {
  allowedHostNames,
  allowedHostsText,
  atoms,
  covers,
  fillHosts,
  hostKeysOf,
  normalise,
  readAllowedHost,
  readAllowedHosts,
} from '../../../protocol/permissions.ts';
import { expectCode } from '../../support/expect-code.ts';
import { anyPermissions } from '../../support/permission-arbitraries.ts';
import { verifies } from '../../support/verifies.ts';

describe('a host that an admin allows', () => {
  it.each([
    ['example.test', { host: 'example.test' }],
    ['Example.TEST.', { host: 'example.test' }],
    ['example.test:8443', { host: 'example.test', port: 8443 }],
    ['example.test=127.0.0.1', { host: 'example.test', address: '127.0.0.1' }],
    ['example.test:8443=127.0.0.1', { host: 'example.test', port: 8443, address: '127.0.0.1' }],
    ['db:5432=[fd00::5]', { host: 'db', port: 5432, address: 'fd00::5' }],
    ['db=FD00:0::5', { host: 'db', address: 'fd00::5' }],
    ['*.example.com', { host: '*.example.com' }],
    ['*.example.com:8443', { host: '*.example.com', port: 8443 }],
  ])('%s is read', verifies('permissions.allowed-hosts'), (text, value) => {
    expect(readAllowedHost(text)).toEqual({ ok: true, value });
    expect(readAllowedHosts(allowedHostsText([value]))).toEqual({ ok: true, value: [value] });
  });

  it.each([
    '',
    ':443',
    '*',
    '*.com',
    '*.workers.dev',
    '*.example.com=10.0.0.1',
    'example.test=',
    'example.test=other.test',
    'example.test=127.1',
    'example.test=0x7f000001',
    'example.test=::ffff:127.0.0.1',
    'example.test=127.0.0.1=10.0.0.1',
    'example.test=127.0.0.1:80',
    'example.test:0',
    'example.test:65536',
    'example.test:53',
    'example.test:53=127.0.0.1',
    'https://example.test',
    'example.test/path',
    '${config.site}',
    '127.0.0.1',
    '10.0.0.1=10.0.0.1',
    '[::1]:443',
    'a b',
    'a\n',
  ])('%j is not', verifies('permissions.allowed-hosts'), (text) => {
    expect(readAllowedHost(text)).toMatchObject({ ok: false });
  });

  it('stands in a list with others, of which the skill is told the names', () => {
    const reading = readAllowedHosts('b.test:8443, a.test=10.0.0.1,b.test');
    expect(reading.ok && allowedHostsText(reading.value)).toBe('b.test:8443,a.test=10.0.0.1,b.test');
    expect(reading.ok && allowedHostNames(reading.value)).toBe('b.test,a.test');
    expect(readAllowedHosts('a.test,,b.test').ok).toBe(false);
    expect(readAllowedHosts(Array.from({ length: 33 }, (_, n) => `h${n}.test`).join(',')).ok).toBe(false);
  });
});

describe('permissions with the hosts filled in', () => {
  const asked = normalise({
    network: [
      { host: '${config.site}', ports: [443, 8443], protocol: 'tls' },
      { host: '${config.site}', protocol: 'http' },
      { host: 'api.example.com' },
    ],
  });
  const filled = (site: string) => fillHosts(asked, { site }).network;
  const api = { host: 'api.example.com', port: 443, protocol: 'tls' };

  it('have the ports and protocols that were asked', verifies('permissions.allowed-hosts'), () => {
    expect(hostKeysOf(asked)).toEqual(['site']);
    expect(filled('a.test')).toEqual([
      { host: 'a.test', port: 80, protocol: 'http' },
      { host: 'a.test', port: 443, protocol: 'tls' },
      { host: 'a.test', port: 8443, protocol: 'tls' },
      api,
    ]);
  });

  it('or the port that the admin named', verifies('permissions.allowed-hosts'), () => {
    expect(filled('a.test:8443=10.0.0.1')).toEqual([
      { host: 'a.test', port: 8443, protocol: 'tls', address: '10.0.0.1' },
      api,
    ]);
    expect(filled('a.test:9000')).toEqual([
      { host: 'a.test', port: 9000, protocol: 'http' },
      { host: 'a.test', port: 9000, protocol: 'tls' },
      api,
    ]);
  });

  it('keep a reference without a value, which reaches nothing', verifies('permissions.allowed-hosts'), () => {
    expect(fillHosts(asked, {})).toEqual(asked);
    expect(filled('not a host')).toEqual(asked.network);
  });

  it('are in normal form, and neither more nor less elsewhere', verifies('permissions.allowed-hosts'), () => {
    fc.assert(
      fc.property(anyPermissions, (permissions) => {
        const once = fillHosts(permissions, { host: 'filled.test=10.0.0.9', other: 'x.org' });
        expect(fillHosts(once, { host: 'again.test' })).toEqual(once);
        expect(hostKeysOf(once)).toEqual([]);
        const rest = permissions.network.filter(({ host }) => !host.startsWith('$'));
        expect(covers(once, { ...permissions, network: rest })).toBe(true);
      }),
    );
  });

  it('say aloud where a host is that is not public', verifies('permissions.sentences'), () => {
    const sentences = (site: string) => atoms(fillHosts(asked, { site })).map(({ sentence }) => sentence);
    expect(sentences('a.test:8443=127.0.0.1')).toContain(
      'It can connect to a.test:8443 (encrypted) at 127.0.0.1, an address of this machine',
    );
    expect(sentences('a.test:8443=[fd00::5]')).toContain(
      'It can connect to a.test:8443 (encrypted) at fd00::5, a private address',
    );
    expect(sentences('a.test:8443=192.0.2.7')).toContain(
      'It can connect to a.test:8443 (encrypted) at 192.0.2.7',
    );
    expect(atoms(asked).map(({ sentence }) => sentence)).toContain(
      'It can connect to hosts that you name for site, port 8443, (encrypted)',
    );
  });
});

describe('a manifest', () => {
  const manifest = (permissions: object, config: object = {}) =>
    JSON.stringify({
      name: 'org.example/skill',
      version: '1.0.0',
      title: 'Skill',
      description: 'A skill.',
      license: 'MIT',
      runtime: { kind: 'node', entry: 'server/index.ts', protocol: '2026-07-28' },
      config,
      permissions,
    });

  it('cannot ask for the port of name servers', verifies('manifest.tight'), async () => {
    const network = [{ host: 'dns.example.com', ports: [853, 53], protocol: 'tcp' }];
    const error = await expectCode(() => parseManifest(manifest({ network })), 'manifest-invalid');
    expect(error.data?.['faults']).toMatchObject([{ path: 'permissions.network[0].ports[1]' }]);
  });

  it('cannot say where a host is', verifies('manifest.tight'), async () => {
    const network = [{ host: '${config.site}' }];
    const site = (text: string) => ({ site: { type: 'string', title: 'Site', default: text } });
    expect(parseManifest(manifest({ network }, site('a.test,b.test:8443'))).config['site']?.default).toBe(
      'a.test,b.test:8443',
    );
    for (const text of ['a.test=127.0.0.1', 'not a host', '127.0.0.1']) {
      const error = await expectCode(
        () => parseManifest(manifest({ network }, site(text))),
        'manifest-invalid',
      );
      expect(error.data?.['faults']).toMatchObject([{ path: 'config.site.default' }]);
    }
    await expectCode(
      () => parseManifest(manifest({ network: [{ host: 'a.test', address: '127.0.0.1' }] })),
      'manifest-invalid',
    );
  });
});
