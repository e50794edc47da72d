import { describe, expect, it } from 'vitest';
import { describeStanding, type FolderRights, NOBODY, standingFor } from '../../../hub/sandbox/accounts.ts';
import { expectCode } from '../../support/expect-code.ts';
import { verifies } from '../../support/verifies.ts';

const folder = (uid: number, permissions: number, wanted: 'r' | 'rw' = 'rw'): FolderRights => ({
  path: `/srv/${uid}`,
  uid,
  gid: uid,
  permissions,
  wanted,
});

describe('the account of a skill under root', () => {
  it.each([
    ['without folders, nobody', [], { kind: 'account', ...NOBODY }],
    ['with a folder that everybody may write, nobody', [folder(0, 0o777)], { kind: 'account', ...NOBODY }],
    [
      'with a folder of root that everybody may read, nobody',
      [folder(0, 0o755, 'r')],
      { kind: 'account', ...NOBODY },
    ],
    [
      'with a folder that an ordinary account owns, that account',
      [folder(1001, 0o755)],
      { kind: 'account', uid: 1001, gid: 1001 },
    ],
    [
      'with a private folder of an ordinary account to read, that account',
      [folder(1001, 0o700, 'r')],
      { kind: 'account', uid: 1001, gid: 1001 },
    ],
    [
      'with a folder that root alone may write, the owner of root’s files',
      [folder(0, 0o755)],
      { kind: 'root-files' },
    ],
    [
      'with a folder that root alone may read, the owner of root’s files',
      [folder(0, 0o700, 'r')],
      { kind: 'root-files' },
    ],
    [
      'with one of root and one that all may read, the owner of root’s files',
      [folder(0, 0o700), folder(1001, 0o755, 'r')],
      { kind: 'root-files' },
    ],
  ])('%s', verifies('sandbox.account'), (_, folders, expected) => {
    expect(standingFor(NOBODY, folders)).toEqual(expected);
  });

  it('is none for folders of two owners', verifies('sandbox.account'), async () => {
    const error = await expectCode(
      () => standingFor(NOBODY, [folder(0, 0o700), folder(1001, 0o700)]),
      'binding-refused',
    );
    expect(error.hint).toContain('/srv/1001');
    await expectCode(
      () => standingFor(NOBODY, [folder(1001, 0o700), folder(1002, 0o700)]),
      'binding-refused',
    );
  });

  it('is said in a sentence', verifies('sandbox.account'), () => {
    expect(describeStanding({ kind: 'root-files' }, NOBODY)).toContain("root's file ownership");
    expect(describeStanding({ kind: 'account', ...NOBODY }, NOBODY)).toContain('nobody (65534)');
    expect(describeStanding({ kind: 'account', uid: 7, gid: 7 }, NOBODY)).toContain('account 7');
  });
});
