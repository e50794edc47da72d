import { describe, expect, it } from 'vitest';
import { readHost } from '../../../protocol/permissions/hosts.ts';
import { verifies } from '../../support/verifies.ts';

describe('a host in a manifest', () => {
  it.each([
    ['api.example.com', 'api.example.com'],
    ['API.Example.COM.', 'api.example.com'],
    ['*.example.com', '*.example.com'],
    ['*.Bücher.de', '*.xn--bcher-kva.de'],
    ['*.me.github.io', '*.me.github.io'],
    ['*.corp.internal', '*.corp.internal'],
    ['localhost', 'localhost'],
    ['_dmarc.example.com', '_dmarc.example.com'],
    ['192.168.0.1', '192.168.0.1'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['[::1]', '::1'],
    ['${config.host}', '${config.host}'],
  ])('%s reads as %s', (text, value) => {
    expect(readHost(text)).toEqual({ ok: true, value });
  });

  it.each([
    '*',
    '*.com',
    '*.co.uk',
    '*.github.io',
    '*.internal',
    '*.192.168.0.1',
    '*.*.example.com',
    'a.*.example.com',
    'api*.example.com',
    '*.${config.host}',
    '${config.host}.example.com',
    '${config.host}:443',
    '${workspace}',
    '',
    '.',
    'a..b',
    '-a.com',
    'https://example.com',
    'example.com:443',
    'example.com/path',
    'user@example.com',
    'ex%61mple.com',
    'exa mple.com',
    'example.com\n',
    '0x7f.1',
    '127.1',
    '2130706433',
    '１２７.0.0.1',
    '::1%eth0',
    '[::1',
    `${'a'.repeat(64)}.com`,
    `${'a.'.repeat(130)}com`,
  ])('is not %j', verifies('manifest.tight'), (text) => {
    expect(readHost(text)).toMatchObject({ ok: false });
  });
});
