import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gitIn, put, repositoryOf } from '../../support/git-repository.ts';
import { buildSkill, type BuiltSkill, type SkillProcess, startSkill } from '../../support/skill-process.ts';
import { verifies } from '../../support/verifies.ts';

/**
 * Repositories that name programs. The skill runs outside of the sandbox here, on a machine with a shell, so that a
 * program which git were to start would really run and leave its mark.
 */
describe('a hostile repository', () => {
  let built: BuiltSkill;
  let skill: SkillProcess;
  let outer: string;
  let root: string;
  let mark: string;
  let trap: string;
  let git: ReturnType<typeof gitIn>;

  beforeAll(async () => {
    built = await buildSkill('git');
    outer = await mkdtemp(join(tmpdir(), 'berth-hostile-'));
    root = join(outer, 'workspace');
    mark = join(outer, 'mark');
    trap = join(outer, 'trap.sh');
    // Whatever it is called for, it also does what a well-behaved one of its kind would do.
    await writeFile(trap, `#!/bin/sh\ntouch ${mark}\n[ "$1" = cat ] && cat\nexit 0\n`, { mode: 0o755 });
    await mkdir(root);
    const env = { BERTH_CONFIG_AUTHORNAME: 'Grace', BERTH_CONFIG_AUTHOREMAIL: 'grace@example.org' };
    skill = await startSkill(built, [root], { env });
  });
  beforeEach(async () => {
    for (const name of await readdir(root)) await rm(join(root, name), { recursive: true });
    git = await repositoryOf(root, { 'a.txt': 'one\ntwo\n', 'b.txt': 'b\n' });
    await rm(mark, { force: true });
  });
  afterAll(async () => {
    await skill.stop();
    await built.remove();
    await rm(outer, { recursive: true, force: true });
  });

  const sprung = () =>
    stat(mark).then(
      () => true,
      () => false,
    );

  /** Everything that the skill can do, on files that changed; refusals are as good as answers. */
  async function everything(): Promise<void> {
    await skill.result('status');
    await skill.result('diff');
    await skill.result('diff', { from: 'HEAD', paths: ['a.txt'] });
    await skill.result('diff', { staged: true });
    await skill.result('log', { paths: ['a.txt'] });
    await skill.result('show');
    await skill.result('show', { file: 'a.txt' });
    await skill.result('blame', { path: 'a.txt' });
    await skill.result('branches', { remote: true });
    await skill.result('branch', { name: 'topic', switch: true });
    await skill.result('commit', { message: 'm', paths: ['a.txt'], dryRun: true });
    await skill.result('commit', { message: 'm', paths: ['a.txt'] });
    await skill.result('commit', { message: 'm', all: true });
    await skill.result('undo_commit', { commit: 'HEAD' });
  }

  /** Takes the object away that a file is kept as. */
  async function lose(file: string): Promise<void> {
    const blob = await git('rev-parse', `main:${file}`);
    await rm(join(root, '.git/objects', blob.slice(0, 2), blob.slice(2)), { force: true });
  }

  /** What it sets up, and what a person would run who falls into the trap. */
  const TRAPS: Record<string, { set: () => Promise<unknown>; fall: () => Promise<unknown> }> = {
    'hooks in the repository': {
      set: async () => {
        for (const name of [
          'pre-commit',
          'commit-msg',
          'post-commit',
          'post-index-change',
          'reference-transaction',
        ])
          await writeFile(join(root, '.git/hooks', name), await readFile(trap), { mode: 0o755 });
      },
      fall: () => git('commit', '-qam', 'x'),
    },
    'hooks elsewhere': {
      set: async () => {
        await mkdir(join(root, 'hooks'));
        await writeFile(join(root, 'hooks/post-index-change'), await readFile(trap), { mode: 0o755 });
        await git('config', 'core.hooksPath', 'hooks');
      },
      fall: () => git('add', 'a.txt'),
    },
    'a file system monitor': {
      set: () => git('config', 'core.fsmonitor', trap),
      fall: () => git('status'),
    },
    'a clean filter': {
      set: async () => {
        await git('config', 'filter.evil.clean', `${trap} cat`);
        await put(root, { '.gitattributes': '*.txt filter=evil\n' });
      },
      fall: () => git('diff'),
    },
    'a filter process, required, with an odd name': {
      set: async () => {
        await git('config', 'filter.a.b=c d.process', trap);
        await git('config', 'filter.a.b=c d.required', 'true');
        await put(root, { '.git/info/attributes': '*.txt "filter=a.b=c d"\n*.txt filter=x\n' });
        await git('config', 'filter.x.process', trap);
      },
      fall: () => git('diff').catch(() => undefined),
    },
    'a filter that an included file names': {
      set: async () => {
        await put(root, {
          '.git/more': `[filter "evil"]\n\tclean = ${trap} cat\n`,
          '.gitattributes': '* filter=evil\n',
        });
        await git('config', 'include.path', 'more');
      },
      fall: () => git('diff'),
    },
    'a text conversion': {
      set: async () => {
        await git('config', 'diff.evil.textconv', trap);
        await put(root, { '.git/info/attributes': '*.txt diff=evil\n' });
      },
      fall: () => git('diff'),
    },
    'an external diff': {
      set: () => git('config', 'diff.external', trap),
      fall: () => git('diff'),
    },
    'an external diff of a kind of file': {
      set: async () => {
        await git('config', 'diff.evil.command', trap);
        await put(root, { '.git/info/attributes': '*.txt diff=evil\n' });
      },
      fall: () => git('diff'),
    },
    'a program that checks signatures': {
      set: async () => {
        const signed = `tree ${await git('rev-parse', 'HEAD^{tree}')}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nsigned\n`;
        await writeFile(join(outer, 'commit'), signed);
        await git(
          'update-ref',
          'HEAD',
          await git('hash-object', '-t', 'commit', '-w', join(outer, 'commit')),
        );
        await git('config', 'log.showSignature', 'true');
        await git('config', 'gpg.program', trap);
      },
      fall: () => git('log'),
    },
    'a program that signs': {
      set: async () => {
        await git('config', 'commit.gpgSign', 'true');
        await git('config', 'gpg.program', trap);
      },
      fall: () => git('commit', '-qam', 'x').catch(() => undefined),
    },
    'an editor and a pager': {
      set: async () => {
        await git('config', 'core.editor', trap);
        await git('config', 'core.pager', trap);
        await git('config', 'pager.log', trap);
      },
      fall: () => git('commit', '-qa').catch(() => undefined),
    },
    'an alias of a command': {
      set: async () => {
        for (const name of ['status', 'show', 'x']) await git('config', `alias.${name}`, `!${trap}`);
      },
      fall: () => git('x'),
    },
    'a submodule with a monitor of its own': {
      set: async () => {
        const inner = await repositoryOf(join(root, 'inner'), { 'x.txt': 'x\n' });
        await git('add', 'inner').catch(() => undefined);
        await git('commit', '-qm', 'with a submodule');
        await inner('config', 'core.fsmonitor', trap);
        await put(root, {
          'inner/x.txt': 'changed\n',
          '.gitmodules': '[submodule "inner"]\n\tpath = inner\n\turl = ./x\n\tignore = none\n',
        });
        await git('config', 'submodule.inner.ignore', 'none');
        await git('config', 'diff.ignoreSubmodules', 'none');
        await git('config', 'diff.submodule', 'diff');
        await rm(mark, { force: true });
      },
      fall: () => git('status'),
    },
    'missing objects, to be fetched by a program': {
      set: async () => {
        await lose('b.txt');
        await git('config', 'core.repositoryFormatVersion', '1');
        await git('config', 'extensions.partialClone', 'evil');
        await git('config', 'remote.evil.promisor', 'true');
        await git('config', 'remote.evil.url', `ext::${trap} %S`);
        await git('config', 'protocol.ext.allow', 'always');
        await git('config', 'protocol.allow', 'always');
      },
      fall: async () => {
        await lose('b.txt');
        await git('cat-file', '-p', 'main:b.txt').catch(() => undefined);
      },
    },
    'missing objects, to be fetched from a folder by its own program': {
      set: async () => {
        await lose('b.txt');
        await git('config', 'core.repositoryFormatVersion', '1');
        await git('config', 'extensions.partialClone', 'evil');
        await git('config', 'remote.evil.promisor', 'true');
        await git('config', 'remote.evil.url', outer);
        await git('config', 'remote.evil.uploadpack', trap);
      },
      fall: async () => {
        await lose('b.txt');
        await git('cat-file', '-p', 'main:b.txt').catch(() => undefined);
      },
    },
  };

  it.each(Object.keys(TRAPS))(
    'with %s runs none of it',
    verifies('skills.git-runs-nothing'),
    async (name) => {
      const { set, fall } = TRAPS[name] ?? { set: async () => undefined, fall: async () => undefined };
      await set();
      await put(root, { 'a.txt': 'one\nchanged\n' });
      await skill.result('show', { file: 'b.txt' });
      await everything();
      expect(await sprung()).toBe(false);
      // And it is a trap: git alone falls into it.
      await put(root, { 'a.txt': 'one\nchanged again\n' });
      await fall();
      expect(await sprung()).toBe(true);
    },
  );

  it(
    'does not have its work tree elsewhere, or a repository in the place of a folder',
    verifies('skills.git-runs-nothing'),
    async () => {
      await put(outer, { 'elsewhere/secret.txt': 'x' });
      await git('config', 'core.worktree', join(outer, 'elsewhere'));
      const { entries } = await skill.call<{ entries: { path: string }[] }>('status');
      expect(entries).toEqual([]);
      // A bare repository that pretends to be a folder of sources.
      await gitIn(outer)('init', '-q', '--bare', join(root, 'sources'));
      await gitIn(join(root, 'sources'))('config', 'core.fsmonitor', trap);
      expect(await skill.refusal('status', { repository: 'sources' })).toContain('not the root');
    },
  );

  it(
    'is not committed to through a filter that is not run',
    verifies('skills.git-runs-nothing'),
    async () => {
      await put(root, { '.gitattributes': '*.big filter=lfs\n', 'model.big': 'bytes' });
      expect(await skill.refusal('commit', { message: 'm', paths: ['model.big'] })).toContain('filter');
      expect(await skill.refusal('commit', { message: 'm', paths: ['.'] })).toContain('model.big');
      expect(await git('status', '--porcelain')).toBe('?? .gitattributes\n?? model.big');
    },
  );

  it('with more filters than can be switched off is not opened', verifies('skills.git-bounded'), async () => {
    const many = Array.from({ length: 200 }, (_, at) => `[filter "f${at}"]\n\tclean = ${trap}\n`).join('');
    await writeFile(join(root, '.git/config'), many, { flag: 'a' });
    expect(await skill.refusal('status')).toContain('filters');
    await writeFile(join(root, '.git/config'), `[core\n`, { flag: 'a' });
    expect(await skill.refusal('status')).toContain('git refused');
  });
});

describe('arguments', () => {
  let built: BuiltSkill;
  let skill: SkillProcess;
  let outer: string;
  beforeAll(async () => {
    built = await buildSkill('git');
    outer = await mkdtemp(join(tmpdir(), 'berth-arguments-'));
    await repositoryOf(join(outer, 'workspace'), { 'a.txt': 'a\n', '--output=made': 'x\n' });
    skill = await startSkill(built, [join(outer, 'workspace')]);
  });
  afterAll(async () => {
    await skill.stop();
    await built.remove();
    await rm(outer, { recursive: true, force: true });
  });

  it('never are options of git', verifies('skills.git-no-options'), async () => {
    const evil = `--output=${join(outer, 'made')}`;
    const before = (await readdir(outer, { recursive: true })).length;
    for (const revision of [evil, '-O', '--ext-diff', 'HEAD\n--all', 'HEAD\0--all', '--', '--all'])
      for (const [tool, key, more] of [
        ['log', 'revision', {}],
        ['show', 'revision', {}],
        ['diff', 'from', {}],
        ['blame', 'revision', { path: 'a.txt' }],
        ['branch', 'at', { name: 'x' }],
        ['undo_commit', 'commit', {}],
      ] as const)
        await skill.refusal(tool, { [key]: revision, ...more });
    for (const path of [evil, '--all', ':(top)x', ':!a.txt']) {
      await skill.result('log', { paths: [path] });
      await skill.result('diff', { paths: [path] });
      await skill.result('blame', { path });
      await skill.result('show', { file: path });
      await skill.result('commit', { message: 'm', paths: [path] });
    }
    for (const text of [evil, '--all', '-z']) {
      await skill.result('log', { author: text, message: text });
      await skill.refusal('branch', { name: text });
    }
    for (const since of ['--output=x', '1 week ago', 'yesterday']) await skill.refusal('log', { since });
    for (const path of ['/etc/passwd', '../other', 'a/../../b', 'a\0b']) {
      await skill.refusal('log', { paths: [path] });
      await skill.refusal('show', { file: path });
    }
    expect((await readdir(outer, { recursive: true })).length).toBe(before);
    // A file may have such a name.
    expect(await skill.call('log', { paths: ['--output=made'] })).toMatchObject({
      commits: [{ subject: 'first commit' }],
    });
    expect(await skill.call('show', { file: '--output=made' })).toMatchObject({ content: 'x\n' });
    expect(await skill.call('log', { paths: ['*.txt'] })).toMatchObject({ commits: [] });
  });
});
