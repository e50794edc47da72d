import { describe, expect, it } from 'vitest';
import { compareVersions, resolveVersion, versionSchema } from '../../protocol/version.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const all = ['1.0.0', '1.2.0', '1.10.0', '2.0.0-beta.1', '2.0.0-beta.2'].map((version) => ({
  version,
  yanked: false,
}));

describe('a version', () => {
  it.each(['1.0.0', '0.0.1', '1.2.3-beta.1', '10.20.30'])('may be %s', (version) => {
    expect(versionSchema.safeParse(version).success).toBe(true);
  });

  it.each([
    '',
    'v1.0.0',
    '1.0',
    '01.0.0',
    '1.0.0+build',
    ' 1.0.0',
    '^1.0.0',
    'latest',
    `1.0.0-${'a'.repeat(64)}`,
  ])('is not %j', (version) => {
    expect(versionSchema.safeParse(version).success).toBe(false);
  });

  it('sorts by number, a pre-release before its release', () => {
    expect(['1.10.0', '1.9.0', '1.10.0-rc.1'].sort(compareVersions)).toEqual([
      '1.9.0',
      '1.10.0-rc.1',
      '1.10.0',
    ]);
  });
});

describe('resolving a range', () => {
  it.each([
    ['', '1.10.0'],
    ['*', '1.10.0'],
    ['latest', '1.10.0'],
    ['^1.0.0', '1.10.0'],
    ['~1.2.0', '1.2.0'],
    ['1.0.0', '1.0.0'],
    ['>=1.0.0 <1.10.0', '1.2.0'],
    ['^2.0.0-beta.1', '2.0.0-beta.2'],
    ['2.0.0-beta.1', '2.0.0-beta.1'],
    ['^2.0.0', undefined],
    ['3.0.0', undefined],
  ])('%j gives %s', verifies('version.resolve'), (range, expected) => {
    expect(resolveVersion(all, range)).toBe(expected);
  });

  it('never gives a yanked version, not even by its exact number', verifies('version.resolve'), () => {
    const versions = all.map((entry) => ({ ...entry, yanked: entry.version === '1.10.0' }));
    expect(resolveVersion(versions, '^1.0.0')).toBe('1.2.0');
    expect(resolveVersion(versions, '1.10.0')).toBeUndefined();
  });

  it('refuses what is no range', async () => {
    await expectCode(() => resolveVersion(all, 'newest'), 'range-invalid');
    await expectCode(() => resolveVersion(all, '1.0.0 || '.repeat(100)), 'range-invalid');
  });
});
