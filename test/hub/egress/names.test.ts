import { describe, expect, it } from 'vitest';
import type { EgressRule } from '../../../hub/egress/egress.ts';
import { isNamed, readName, rulesFor, wildcardOf } from '../../../hub/egress/names.ts';
import { verifies } from '../../support/verifies.ts';

const rule = (host: string, port = 443, more: Partial<EgressRule> = {}): EgressRule => ({
  host,
  port,
  protocol: 'tls',
  ...more,
});
const RULES = [
  rule('api.x.test'),
  rule('*.x.test'),
  rule('*.deep.x.test', 443, { address: '10.0.0.9' }),
  rule('in.x.test', 443, { address: '10.0.0.1' }),
  rule('in.x.test', 80, { protocol: 'http' }),
  rule('10.1.2.3', 5432, { protocol: 'tcp' }),
  rule('2606:4700::1', 443),
  rule('${config.site}'),
];
const hosts = (host: string, port: number) => rulesFor(RULES, host, port).map((fitting) => fitting.host);

describe('a name', () => {
  it.each([
    ['API.x.Test', 'api.x.test'],
    ['api.x.test.', 'api.x.test'],
    ['_dmarc.x.test', '_dmarc.x.test'],
    ['a', 'a'],
  ])('%s is read as rules spell it', verifies('egress.names'), (text, name) => {
    expect(readName(text)).toBe(name);
  });

  it.each([
    '',
    '.',
    'a..test',
    'a b.test',
    'a\0.x.test',
    'evil.test/.x.test',
    'a.test\n.x.test',
    'ä.x.test',
    '\u212a.x.test',
    '-a.x.test',
    '*.x.test',
    '${config.site}',
    '10.1.2.3',
    '::1',
    `${'a'.repeat(64)}.x.test`,
    `${'a.'.repeat(127)}test`,
  ])('%j is none that a rule could name', verifies('egress.names'), (text) => {
    expect(readName(text)).toBeUndefined();
  });
});

describe('the rules', () => {
  it('fit a host and a port together', verifies('egress.names'), () => {
    expect(hosts('api.x.test', 443)).toEqual(['api.x.test']);
    expect(hosts('api.x.test', 80)).toEqual([]);
    expect(hosts('other.test', 443)).toEqual([]);
    expect(hosts('10.1.2.3', 5432)).toEqual(['10.1.2.3']);
    expect(hosts('10.1.2.4', 5432)).toEqual([]);
    expect(hosts('2606:4700::1', 443)).toEqual(['2606:4700::1']);
  });

  it(
    'of a wildcard fit what lies below it, not itself nor what only ends so',
    verifies('egress.names'),
    () => {
      expect(hosts('a.b.x.test', 443)).toEqual(['*.x.test']);
      expect(hosts('x.test', 443)).toEqual([]);
      expect(hosts('evilx.test', 443)).toEqual([]);
    },
  );

  it(
    'that name the host most closely win, so that a wildcard leads past no address',
    verifies('egress.addresses'),
    () => {
      expect(rulesFor(RULES, 'in.x.test', 443)).toEqual([RULES[3]]);
      expect(rulesFor(RULES, 'a.deep.x.test', 443)).toEqual([RULES[2]]);
    },
  );

  it('name a host, if on another port', verifies('egress.names'), () => {
    expect(isNamed(RULES, 'in.x.test')).toBe(true);
    expect(isNamed(RULES, 'x.test')).toBe(false);
    expect(wildcardOf(RULES, 'in.x.test')).toBeUndefined();
    expect(wildcardOf(RULES, 'b.x.test')).toBe('*.x.test');
  });

  it('with a config value that nobody filled in name nothing', verifies('egress.names'), () => {
    expect(isNamed([rule('${config.site}')], 'site')).toBe(false);
  });
});
