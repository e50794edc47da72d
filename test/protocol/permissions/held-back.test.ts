import { describe, expect, it } from 'vitest';
import { covers, HELD_BACK, heldBackIn, normalise } from '../../../protocol/permissions.ts';
import { verifies } from '../../support/verifies.ts';

const below = (folder: string) => heldBackIn(folder.split('/')).map(({ below: path }) => path.join('/'));
const whole = HELD_BACK.filter(({ path }) => path.length === 1).map(({ path }) => path[0]);

describe('what a grant to write leaves out', () => {
  it('is the places at the top of the folder', verifies('folders.held-back'), () => {
    for (const folder of ['${workspace}', '/home/me/work', '/home/me/.claude/worktrees/x', '/srv/.git/x'])
      expect(below(folder)).toEqual(whole);
    expect(whole).toEqual(
      expect.arrayContaining(['.git', '.github', '.vscode', '.idea', '.envrc', '.mcp.json', '.claude']),
    );
  });

  it('is in a place of the list what that place leaves out', verifies('folders.held-back'), () => {
    const inGit = ['hooks', 'config', 'config.worktree', 'commondir', 'modules', 'worktrees'];
    expect(below('/home/me/work/.git')).toEqual(inGit);
    expect(below('${workspace}/.git')).toEqual(inGit);
    for (const folder of ['${workspace}/.git/hooks', '/home/me/.vscode', '${config.x}/.mcp.json'])
      expect(below(folder)).toEqual([]);
  });

  it(
    'is held in the table by names that stand alone, or below one that does',
    verifies('folders.held-back'),
    () => {
      for (const { path } of HELD_BACK) {
        expect([1, 2]).toContain(path.length);
        if (path.length === 2) expect(whole).toContain(path[0]);
      }
    },
  );

  it.each([
    ['${workspace}', '${workspace}/src', true],
    ['${workspace}', '${workspace}/.gitignore', true],
    ['${workspace}', '${workspace}/.git', false],
    ['${workspace}', '${workspace}/.git/objects', false],
    ['${workspace}', '${workspace}/.github/workflows', false],
    ['${workspace}', '${workspace}/deep/.envrc', false],
    ['${workspace}/.git', '${workspace}/.git/objects', true],
    ['${workspace}/.git', '${workspace}/.git/hooks', false],
    ['${workspace}/.git/hooks', '${workspace}/.git/hooks/pre-commit', true],
    ['${data}', '${data}/.git/hooks', true],
  ])('to write in %s is to write in %s: %s', verifies('folders.held-back'), (grant, asked, expected) => {
    const to = (path: string, mode: 'r' | 'rw') => normalise({ filesystem: [{ path, mode }] });
    expect(covers(to(grant, 'rw'), to(asked, 'rw'))).toBe(expected);
    expect(covers(to(grant, 'rw'), to(asked, 'r'))).toBe(true);
  });
});
