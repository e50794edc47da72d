import { createHash } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gitIn, put, repositoryOf } from '../support/git-repository.ts';
import { buildSkill, type BuiltSkill, type SkillProcess, startSkill } from '../support/skill-process.ts';
import { verifies } from '../support/verifies.ts';

const IDENTITY = { BERTH_CONFIG_AUTHORNAME: 'Grace', BERTH_CONFIG_AUTHOREMAIL: 'grace@example.org' };

let built: BuiltSkill;
let skill: SkillProcess;
let outer: string;
let root: string;
let git: ReturnType<typeof gitIn>;

beforeAll(async () => {
  built = await buildSkill('git');
  outer = await mkdtemp(join(tmpdir(), 'berth-git-'));
  root = join(outer, 'workspace');
  await mkdir(root);
  skill = await startSkill(built, [root], { memoryMb: 512, env: IDENTITY });
});
beforeEach(async () => {
  for (const name of await readdir(root)) await rm(join(root, name), { recursive: true });
  await rm(join(outer, 'marker'), { force: true });
  git = await repositoryOf(root, { 'a.txt': 'one\ntwo\nthree\n', 'dir/b.txt': 'b\n' });
});
afterAll(async () => {
  await skill.stop();
  await built.remove();
  await rm(outer, { recursive: true, force: true });
});

/** A digest of every file below a folder, with its time of change. */
async function everythingIn(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const bytes = entry.isFile() ? await readFile(path) : '';
    found[path] = `${createHash('sha256').update(bytes).digest('hex')} ${(await lstat(path)).mtimeMs}`;
  }
  return found;
}

describe('looking at a repository', () => {
  it('says what has changed', async () => {
    await git('mv', 'dir/b.txt', 'dir/c d.txt');
    await put(root, { 'a.txt': 'changed\n', 'new/ü.txt': 'x\n', 'staged.txt': 's\n' });
    await git('add', 'staged.txt');
    const seen = await skill.call('status');
    expect(seen).toMatchObject({
      repository: '.',
      branch: 'main',
      head: await git('rev-parse', 'HEAD'),
      truncated: false,
    });
    expect(seen['entries']).toEqual([
      { path: 'a.txt', unstaged: 'modified' },
      { path: 'dir/c d.txt', staged: 'renamed', from: 'dir/b.txt' },
      { path: 'staged.txt', staged: 'added' },
      { path: 'new/ü.txt', untracked: true },
    ]);
  });

  it('says what differs, as files with counts and as a patch', async () => {
    await put(root, { 'a.txt': 'one\n2\nthree\n', bü: Buffer.from([0, 1, 2]) });
    await git('add', 'bü');
    expect(await skill.call('diff')).toMatchObject({
      files: [{ path: 'a.txt', added: 1, deleted: 1 }],
      patch: expect.stringContaining('-two\n+2\n'),
      truncated: false,
    });
    expect(await skill.call('diff', { staged: true })).toMatchObject({
      files: [{ path: 'bü' }],
      patch: expect.stringContaining('b/bü'),
    });
    expect(await skill.call('diff', { from: 'HEAD', paths: ['a.txt'] })).toMatchObject({
      files: [{ path: 'a.txt', added: 1, deleted: 1 }],
    });
    await git('commit', '-qam', 'second');
    await git('mv', 'a.txt', 'z.txt');
    await git('commit', '-qm', 'third');
    expect(await skill.call('diff', { from: 'HEAD~2', to: 'HEAD' })).toMatchObject({
      files: [{ path: 'bü' }, { path: 'z.txt', from: 'a.txt', added: 1, deleted: 1 }],
    });
  });

  it('lists commits, and the ones that were asked for', async () => {
    await put(root, { 'a.txt': 'second\n' });
    await git('commit', '-qam', 'Second: the change', '--author=Bob <bob@example.org>');
    const { commits, more } = await skill.call<{ commits: Record<string, unknown>[]; more: boolean }>('log');
    expect(more).toBe(false);
    expect(commits.map(({ subject, body, author }) => [subject, body, author])).toEqual([
      ['Second: the change', '', 'Bob'],
      ['first commit', 'with a body', 'Ada'],
    ]);
    expect(commits[1]).toMatchObject({
      parents: [],
      email: 'ada@example.org',
      date: '2026-01-31T10:00:00+01:00',
    });
    const subjects = async (args: Record<string, unknown>) =>
      (await skill.call<{ commits: { subject: string }[] }>('log', args)).commits.map(
        ({ subject }) => subject,
      );
    expect(await subjects({ paths: ['dir'] })).toEqual(['first commit']);
    expect(await subjects({ author: 'bob@' })).toEqual(['Second: the change']);
    expect(await subjects({ message: 'THE change' })).toEqual(['Second: the change']);
    expect(await subjects({ message: 'first.commit' })).toEqual([]);
    expect(await subjects({ until: '2026-01-30' })).toEqual([]);
    expect(await skill.call('log', { limit: 1 })).toMatchObject({ more: true });
    expect(await subjects({ limit: 1, skip: 1 })).toEqual(['first commit']);
    expect(await skill.refusal('log', { revision: 'nowhere' })).toContain('no commit "nowhere"');
  });

  it('shows a commit, the first one and a merge too, and a file as it was', async () => {
    const first = await git('rev-parse', 'HEAD');
    expect(await skill.call('show', { revision: first })).toMatchObject({
      commit: { commit: first, subject: 'first commit' },
      files: [
        { path: 'a.txt', added: 3, deleted: 0 },
        { path: 'dir/b.txt', added: 1, deleted: 0 },
      ],
    });
    await git('switch', '-qc', 'side');
    await put(root, { 'side.txt': 'side\n' });
    await git('add', '-A');
    await git('commit', '-qm', 'side');
    await git('switch', '-q', 'main');
    await put(root, { 'a.txt': 'one\n' });
    await git('commit', '-qam', 'main');
    await git('merge', '-q', '--no-edit', 'side');
    expect(await skill.call('show')).toMatchObject({ files: [{ path: 'side.txt' }] });
    expect(await skill.call('show', { revision: 'side~1', file: 'a.txt' })).toMatchObject({
      content: 'one\ntwo\nthree\n',
      files: [],
    });
    expect(await skill.refusal('show', { file: 'none' })).toContain('no file');
    expect(await skill.refusal('show', { file: 'dir' })).toContain('no file');
  });

  it('says where lines come from, in parts', async () => {
    await put(root, { 'a.txt': 'one\n2\nthree\nfour\n' });
    await git('commit', '-qam', 'second');
    await put(root, { 'a.txt': 'one\n2\nthree\nfour\nfive\n' });
    const { parts } = await skill.call<{ parts: Record<string, unknown>[] }>('blame', { path: 'a.txt' });
    expect(parts.map(({ startLine, endLine, subject, text }) => [startLine, endLine, subject, text])).toEqual(
      [
        [1, 1, 'first commit', 'one'],
        [2, 2, 'second', '2'],
        [3, 3, 'first commit', 'three'],
        [4, 4, 'second', 'four'],
        [5, 5, expect.any(String), 'five'],
      ],
    );
    expect(parts[4]).not.toHaveProperty('commit');
    expect(await skill.call('blame', { path: 'a.txt', startLine: 2, lines: 2 })).toMatchObject({
      parts: [{ startLine: 2 }, { startLine: 3 }],
      nextLine: 4,
    });
    expect(await skill.refusal('blame', { path: 'a.txt', startLine: 99 })).toContain('refused');
  });

  it('lists and makes branches, and switches where no file would change', async () => {
    expect(await skill.call('branch', { name: 'topic/one', switch: true })).toMatchObject({ switched: true });
    expect(await git('symbolic-ref', 'HEAD')).toBe('refs/heads/topic/one');
    const { current, branches } = await skill.call<{ current: string; branches: { name: string }[] }>(
      'branches',
    );
    expect([current, branches.map(({ name }) => name).toSorted()]).toEqual([
      'topic/one',
      ['main', 'topic/one'],
    ]);
    expect(await skill.refusal('branch', { name: 'main' })).toContain('git refused');
    await put(root, { 'a.txt': 'x' });
    await git('commit', '-qam', 'second');
    expect(await skill.refusal('branch', { name: 'old', at: 'HEAD~1', switch: true })).toContain(
      'files would change',
    );
    for (const name of ['-d', '--help', 'a..b', 'a b', 'x.lock', '/x', 'a\nb', '@{u}'])
      expect(await skill.refusal('branch', { name })).toContain('cannot be the name');
  });

  it('works before the first commit, in a repository further down, and nowhere else', async () => {
    await mkdir(join(root, 'below'));
    await gitIn(join(root, 'below'))('init', '-q', '-b', 'main');
    expect(await skill.call('status', { repository: 'below' })).toEqual({
      repository: 'below',
      branch: 'main',
      entries: [],
      truncated: false,
    });
    expect(await skill.call('log', { repository: 'below' })).toMatchObject({ commits: [] });
    expect(await skill.call('branches', { repository: 'below' })).toMatchObject({ branches: [] });
    await symlink(outer, join(root, 'out'));
    await repositoryOf(join(outer, 'other'), { secret: 'x' });
    for (const repository of ['..', '../other', 'out/other', join(outer, 'other')])
      expect(await skill.refusal('status', { repository })).toContain('outside');
    expect(await skill.refusal('status', { repository: 'dir' })).toContain('not the root');
    expect(await skill.refusal('status', { repository: 'none' })).toContain('no folder');
  });

  it('changes nothing, not even the index', verifies('skills.git-reads'), async () => {
    await put(root, { 'a.txt': 'one\ntwo\nthree\n', 'new.txt': 'x' });
    // What looks changed and is not is what git would like to note in the index.
    await utimes(join(root, 'a.txt'), 1, 1);
    const before = await everythingIn(root);
    await skill.call('status');
    expect(await skill.call('diff')).toMatchObject({ files: [], patch: '' });
    await skill.call('diff', { from: 'HEAD', staged: true });
    await skill.call('log', { paths: ['a.txt'] });
    await skill.call('show');
    await skill.call('blame', { path: 'a.txt' });
    await skill.call('branches', { remote: true });
    await skill.call('commit', { message: 'would', paths: ['new.txt'], dryRun: true });
    expect(await everythingIn(root)).toEqual(before);
  });

  it('is cut where it grows too long, and says so', verifies('skills.git-bounded'), async () => {
    const lines = Array.from({ length: 50_000 }, (_, at) => `line ${at}`).join('\n');
    await put(root, { 'big.txt': lines, 'long.txt': 'x'.repeat(2_000_000) });
    for (let at = 0; at < 30; at += 1) await put(root, { [`many/${at}`]: '' });
    expect(await skill.call('status', { limit: 10 })).toMatchObject({ truncated: true });
    await git('add', '-A');
    const { patch, truncated } = await skill.call<{ patch: string; truncated: boolean }>('diff', {
      staged: true,
    });
    expect([patch.length <= 64 * 1024, patch.endsWith('\n'), truncated]).toEqual([true, true, true]);
    await git('commit', '-qm', `m${'x'.repeat(100_000)}`);
    const { commits } = await skill.call<{ commits: { subject: string }[] }>('log');
    expect(commits[0]?.subject.length).toBeLessThan(5000);
    expect(await skill.call('show', { file: 'big.txt', maxBytes: 1000 })).toMatchObject({ truncated: true });
    const { parts } = await skill.call<{ parts: { text: string }[] }>('blame', { path: 'long.txt' });
    expect(parts[0]?.text.length).toBeLessThan(2000);
  });
});

describe('a commit', () => {
  it('holds exactly the named paths, in the name that was set', verifies('skills.git-commit'), async () => {
    await put(root, { 'a.txt': 'A\n', 'new/x.txt': 'x\n', 'new/y.txt': 'y\n', 'staged.txt': 's\n' });
    await rm(join(root, 'dir/b.txt'));
    await git('add', 'staged.txt');
    const config = await readFile(join(root, '.git/config'));
    const made = await skill.call('commit', {
      message: 'Add x\r\n\r\nand why\n',
      paths: ['new/x.txt', './dir/'],
    });
    expect(made).toMatchObject({ branch: 'main', subject: 'Add x', dryRun: false });
    expect(await git('show', '--format=%an %ae %cn%n%B', '--name-status', 'HEAD')).toBe(
      'Grace grace@example.org Grace\nAdd x\n\nand why\n\n\nD\tdir/b.txt\nA\tnew/x.txt',
    );
    expect(await git('status', '--porcelain')).toBe(' M a.txt\nA  staged.txt\n?? new/y.txt');
    expect(await readFile(join(root, '.git/config'))).toEqual(config);
    expect(await git('fsck', '--strict')).toBe('');
    await skill.call('commit', { message: 'the staged one' });
    expect(await git('show', '--format=', '--name-only')).toBe('staged.txt');
    await skill.call('commit', { message: 'all the rest', all: true });
    expect(await git('show', '--format=', '--name-only')).toBe('a.txt');
    expect(await skill.refusal('commit', { message: 'again' })).toContain('nothing to commit');
  });

  it(
    'is the first one of a repository, and one without a branch',
    verifies('skills.git-commit'),
    async () => {
      await mkdir(join(root, 'below'));
      const below = gitIn(join(root, 'below'));
      await below('init', '-q', '-b', 'main');
      await put(join(root, 'below'), { 'x.txt': 'x\n' });
      const first = await skill.call('commit', { repository: 'below', message: 'first', paths: ['.'] });
      expect(first).toMatchObject({ repository: 'below', files: [{ path: 'x.txt', added: 1 }] });
      expect(first).not.toHaveProperty('parent');
      expect(await below('log', '--format=%s')).toBe('first');
      expect(await below('status', '--porcelain')).toBe('');
      await git('checkout', '-q', '--detach');
      await put(root, { 'a.txt': 'detached\n' });
      expect(await skill.call('commit', { message: 'no branch', all: true })).not.toHaveProperty('branch');
      expect(await git('log', '-1', '--format=%s', 'main')).toBe('first commit');
    },
  );

  it('is shown before it is made, and taken back after', verifies('skills.git-commit'), async () => {
    await put(root, { 'a.txt': 'A\n' });
    const head = await git('rev-parse', 'HEAD');
    const shown = await skill.call('commit', { message: 'change', all: true, dryRun: true });
    expect(shown).toMatchObject({ dryRun: true, parent: head, patch: expect.stringContaining('+A\n') });
    expect(shown).not.toHaveProperty('commit');
    expect(await git('rev-parse', 'HEAD')).toBe(head);
    const { commit } = await skill.call<{ commit: string }>('commit', { message: 'change', all: true });
    expect(await skill.refusal('undo_commit', { commit: head })).toContain('not the last');
    expect(await skill.call('undo_commit', { commit })).toEqual({ repository: '.', undone: commit, head });
    expect(await git('status', '--porcelain')).toBe('M  a.txt');
    const { commit: again } = await skill.call<{ commit: string }>('commit', { message: 'change' });
    await git('update-ref', 'refs/remotes/origin/main', again);
    expect(await skill.refusal('undo_commit', { commit: again })).toContain('origin/main');
    await git('update-ref', '-d', 'refs/remotes/origin/main');
    await skill.call('undo_commit', { commit: again });
    expect(await skill.call('undo_commit', { commit: 'HEAD' })).not.toHaveProperty('head');
  });

  it('is not made of conflicts, ignored files, or in the middle of something', async () => {
    await put(root, { '.gitignore': 'ignored\n', ignored: 'x' });
    expect(await skill.refusal('commit', { message: 'm', paths: ['ignored'] })).toContain(
      'Nothing has changed',
    );
    expect(await skill.refusal('commit', { message: 'm', paths: ['a.txt'] })).toContain(
      'Nothing has changed',
    );
    expect(await skill.refusal('commit', { message: ' \n ', all: true })).toContain('words');
    expect(await skill.refusal('commit', { message: 'm', all: true, paths: ['.'] })).toContain('not both');
    await put(root, { 'nested/x': '' });
    await gitIn(join(root, 'nested'))('init', '-q');
    await git('init', '-q', 'nested2');
    await gitIn(join(root, 'nested'))('add', '-A');
    await gitIn(join(root, 'nested'))('commit', '-qm', 'x');
    expect(await skill.refusal('commit', { message: 'm', paths: ['nested'] })).toContain(
      'repository of its own',
    );
    await writeFile(join(root, '.git/MERGE_HEAD'), await git('rev-parse', 'HEAD'));
    expect(await skill.refusal('commit', { message: 'm', paths: ['.gitignore'] })).toContain('a merge');
    expect(await skill.refusal('undo_commit', { commit: 'HEAD' })).toContain('a merge');
  });

  it('needs a name, which may be the repository’s own', async () => {
    const nameless = await startSkill(built, [root]);
    await put(root, { 'a.txt': 'A\n' });
    expect(await nameless.refusal('commit', { message: 'm', all: true })).toContain('authorName');
    expect(await git('status', '--porcelain')).toBe('M a.txt'.padStart(8));
    await git('config', 'user.name', 'Own');
    await git('config', 'user.email', 'own@example.org');
    await nameless.call('commit', { message: 'm', all: true });
    expect(await git('log', '-1', '--format=%an %ce')).toBe('Own own@example.org');
    await nameless.stop();
  });

  it('needs to write neither configuration nor hooks', verifies('skills.git-commit'), async () => {
    const held = ['.git/config', '.git/hooks'].flatMap((path) => [
      '--ro-bind',
      join(root, path),
      join(root, path),
    ]);
    const through = ['bwrap', '--dev-bind', '/', '/', ...held, '--'];
    const careful = await startSkill(built, [root], { env: IDENTITY, through });
    await put(root, { 'a.txt': 'A\n' });
    await careful.call('branch', { name: 'topic', switch: true });
    const { commit } = await careful.call<{ commit: string }>('commit', { message: 'm', all: true });
    await careful.call('undo_commit', { commit });
    await careful.stop();
    expect(await git('status', '--porcelain', '--branch')).toBe('## topic\nM  a.txt');
  });

  it('of many at once loses nothing', verifies('skills.git-commit'), async () => {
    const names = Array.from({ length: 8 }, (_, at) => `n${at}.txt`);
    await put(root, Object.fromEntries(names.map((name) => [name, 'x\n'])));
    await Promise.all(names.map((name) => skill.call('commit', { message: `add ${name}`, paths: [name] })));
    expect(await git('status', '--porcelain')).toBe('');
    expect((await git('log', '--format=%s')).split('\n')).toHaveLength(9);
    expect(await git('fsck', '--strict')).toBe('');
  });
});
