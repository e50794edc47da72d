import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildSkill,
  startSkill,
  textOf,
  type BuiltSkill,
  type SkillProcess,
} from '../support/skill-process.ts';
import { verifies } from '../support/verifies.ts';

interface Read {
  text: string;
  revision: string;
  totalLines: number;
  nextLine?: number;
  truncated: boolean;
  encoding: string;
  lineEnding: string;
}

describe('the skill dev.berth/files', () => {
  let built: BuiltSkill;
  let skill: SkillProcess;
  let outer: string;
  let root: string;
  const put = (path: string, content: string | Uint8Array): Promise<void> =>
    writeFile(join(root, path), content);
  const get = (path: string): Promise<string> => readFile(join(root, path), 'utf8');
  const names = async (): Promise<string[]> => (await readdir(root)).toSorted();

  beforeAll(async () => {
    built = await buildSkill('files');
    outer = await mkdtemp(join(tmpdir(), 'berth-files-'));
    root = join(outer, 'workspace');
    await mkdir(root);
    skill = await startSkill(built, [root], { memoryMb: 256 });
  });
  beforeEach(async () => {
    for (const name of await readdir(root)) await rm(join(root, name), { recursive: true });
  });
  afterAll(async () => {
    await skill.stop();
    await built.remove();
    await rm(outer, { recursive: true, force: true });
  });

  describe('paths', () => {
    it(
      'are refused when they lead out of the folder, by dots, as absolute paths or by links',
      verifies('skills.files-inside'),
      async () => {
        await writeFile(join(outer, 'secret.txt'), 'secret');
        await symlink(outer, join(root, 'out'));
        await symlink(join(outer, 'secret.txt'), join(root, 'secret-link'));
        await symlink(join(outer, 'not-there-yet'), join(root, 'dangling'));
        const outside = [
          '../secret.txt',
          'a/../../secret.txt',
          join(outer, 'secret.txt'),
          '/etc/passwd',
          'out/secret.txt',
        ];
        for (const path of [
          ...outside,
          'secret-link',
          `${root}/../secret.txt`,
          '/workspace/../secret.txt',
          `${root}x/secret.txt`,
        ]) {
          expect(await skill.refusal('read', { path }), path).toContain('outside the workspace');
        }
        for (const path of [
          ...outside,
          'secret-link',
          'dangling',
          'dangling/new.txt',
          'out/new.txt',
          'x\0y',
        ]) {
          await skill.refusal('write', { path, content: 'overwritten', overwrite: true });
        }
        await put('mine.txt', 'mine');
        for (const to of ['../moved.txt', 'out/moved.txt', '/tmp/moved.txt'])
          await skill.refusal('move', { from: 'mine.txt', to });
        await skill.refusal('move', { from: 'out/secret.txt', to: 'stolen.txt' });
        await skill.refusal('delete', { path: '../secret.txt' });
        await skill.refusal('delete', { path: 'out/secret.txt' });
        await skill.refusal('list', { path: '..' });
        await skill.refusal('list', { path: 'out' });
        await skill.refusal('search', { query: 'secret', path: 'out' });
        await expect(skill.client.readResource({ uri: 'file:///%2e%2e%2fsecret.txt' })).rejects.toThrow();
        expect(await readFile(join(outer, 'secret.txt'), 'utf8')).toBe('secret');
        expect(await readdir(outer)).not.toContain('not-there-yet');
        expect(await skill.call('search', { query: 'secret' })).toMatchObject({ matches: [] });
      },
    );

    it('may be relative, begin with /workspace, or be the real path of the folder', async () => {
      await mkdir(join(root, 'docs'));
      await put('docs/ä file.md', 'hello\n');
      await symlink('docs', join(root, 'alias'));
      for (const path of [
        'docs/ä file.md',
        '/workspace/docs/ä file.md',
        join(root, 'docs/ä file.md'),
        './docs/../docs/ä file.md',
        'alias/ä file.md',
      ]) {
        expect(await skill.call('read', { path }), path).toMatchObject({
          path: 'docs/ä file.md',
          text: 'hello\n',
        });
      }
    });

    it('that are no regular files are refused without waiting', async () => {
      execFileSync('mkfifo', [join(root, 'pipe')]);
      await mkdir(join(root, 'folder'));
      expect(await skill.refusal('read', { path: 'pipe' })).toContain('not a regular file');
      expect(await skill.refusal('read', { path: 'folder' })).toContain('is a folder');
      expect(await skill.refusal('read', { path: 'gone' })).toContain('no file or folder of that name');
      expect(await skill.call('search', { query: 'x' })).toMatchObject({ matches: [] });
    });
  });

  describe('read', () => {
    it('answers ranges of lines that put together give the file', async () => {
      const whole = Array.from({ length: 5000 }, (_, index) => `line ${index + 1} – ünïcödé 🚢\n`).join('');
      await put('long.txt', whole);
      let text = '';
      for (let startLine: number | undefined = 1; startLine !== undefined;) {
        const part: Read = await skill.call('read', {
          path: 'long.txt',
          startLine,
          maxBytes: 10_000,
        });
        expect(Buffer.byteLength(part.text)).toBeLessThanOrEqual(10_000);
        text += part.text;
        startLine = part.nextLine;
      }
      expect(text).toBe(whole);
      const range: Read = await skill.call('read', { path: 'long.txt', startLine: 4999, lines: 1 });
      expect(range).toMatchObject({
        text: 'line 4999 – ünïcödé 🚢\n',
        endLine: 4999,
        totalLines: 5000,
        nextLine: 5000,
      });
      expect(await skill.refusal('read', { path: 'long.txt', startLine: 5001 })).toContain('5000 lines');
    });

    it('cuts one endless line at a character, and says so', async () => {
      await put('one-line.txt', '🚢'.repeat(1000));
      const part: Read = await skill.call('read', { path: 'one-line.txt', maxBytes: 102 });
      expect(part).toMatchObject({ text: '🚢'.repeat(25), truncated: true, totalLines: 1 });
      expect(part.nextLine).toBeUndefined();
    });

    it('reads the end of a file far bigger than its memory', verifies('skills.files-big'), async () => {
      const file = await open(join(root, 'huge.log'), 'w');
      const block = `${'x'.repeat(1023)}\n`.repeat(1024);
      for (let megabytes = 0; megabytes < 300; megabytes += 1) await file.write(block);
      await file.write('the end');
      await file.close();
      const tail: Read = await skill.call('read', {
        path: 'huge.log',
        startLine: 300 * 1024 + 1,
      });
      expect(tail).toMatchObject({
        text: 'the end',
        totalLines: 300 * 1024 + 1,
        encoding: 'utf-8',
      });
      expect(await skill.refusal('edit', { path: 'huge.log', oldText: 'the end', newText: '' })).toContain(
        'not changed here',
      );
      expect(await skill.call('search', { query: 'the end' })).toMatchObject({
        matches: [],
        filesSkipped: 1,
      });
    });

    it('tells binary, broken and empty files from text', async () => {
      await put('image.png', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3]));
      await put('latin1.txt', Buffer.from('caf\xe9\n', 'latin1'));
      await put('empty.txt', '');
      await put('bom.txt', '\uFEFFhello\r\nworld\r\n');
      expect(await skill.call('read', { path: 'image.png' })).toMatchObject({
        encoding: 'binary',
        text: '',
        sizeBytes: 8,
      });
      expect(await skill.call('read', { path: 'latin1.txt' })).toMatchObject({
        encoding: 'unknown',
        text: 'caf\uFFFD\n',
      });
      expect(await skill.call('read', { path: 'empty.txt' })).toMatchObject({
        text: '',
        totalLines: 0,
        truncated: false,
      });
      expect(await skill.call('read', { path: 'bom.txt' })).toMatchObject({
        text: 'hello\r\nworld\r\n',
        lineEnding: 'crlf',
      });
      expect(await skill.refusal('edit', { path: 'latin1.txt', oldText: 'caf', newText: 'x' })).toContain(
        'not UTF-8',
      );
      expect(await skill.refusal('edit', { path: 'image.png', oldText: 'PNG', newText: 'x' })).toContain(
        'not UTF-8',
      );
    });

    it('is there as a resource too, with completion of paths', async () => {
      await mkdir(join(root, 'docs/deep'), { recursive: true });
      await put('docs/a b.md', '# hi');
      await put('docs/logo.png', Buffer.from([0x89, 0, 1]));
      const text = await skill.client.readResource({ uri: 'file:///docs/a%20b.md' });
      expect(text.contents).toEqual([
        { uri: 'file:///docs/a%20b.md', mimeType: 'text/markdown', text: '# hi' },
      ]);
      const image = await skill.client.readResource({ uri: 'file:///docs/logo.png' });
      expect(image.contents[0]).toMatchObject({ mimeType: 'image/png', blob: 'iQAB' });
      const { completion } = await skill.client.complete({
        ref: { type: 'ref/resource', uri: 'file:///{+path}' },
        argument: { name: 'path', value: 'docs/' },
      });
      expect(completion.values).toEqual(['docs/a b.md', 'docs/deep/', 'docs/logo.png']);
      expect((await skill.client.listResources()).resources).toEqual([]);
    });
  });

  describe('list and search', () => {
    beforeEach(async () => {
      for (const folder of ['src/deep', 'node_modules/x', '.git'])
        await mkdir(join(root, folder), { recursive: true });
      await put('src/a.ts', 'const alpha = 1;\nconst beta = 2;\n// Alpha again\n');
      await put('src/deep/b.tsx', 'alpha();\r\n');
      await put('src/notes.md', 'no match here\n');
      await put('node_modules/x/index.js', 'alpha\n');
      await put('.git/HEAD', 'alpha\n');
    });

    it.each([
      [{}, ['.git', 'node_modules', 'src']],
      [{ path: 'src', depth: 2 }, ['src/a.ts', 'src/deep', 'src/deep/b.tsx', 'src/notes.md']],
      [{ glob: '*.{ts,tsx}' }, ['src/a.ts', 'src/deep/b.tsx']],
      [{ glob: 'src/*.ts' }, ['src/a.ts']],
      [{ glob: 'src/**/[!a]*.ts?' }, ['src/deep/b.tsx']],
      [{ glob: '**/deep/**' }, ['src/deep/b.tsx']],
      [{ path: 'node_modules', depth: 3 }, ['node_modules/x', 'node_modules/x/index.js']],
      [{ glob: '[' }, []],
    ])('list %j answers %j', async (args, expected) => {
      const { entries } = await skill.call<{ entries: { path: string }[] }>('list', args);
      expect(entries.map(({ path }) => path)).toEqual(expected);
    });

    it('is bounded, and says when there was more', async () => {
      expect(await skill.call('list', { depth: 5, limit: 2 })).toMatchObject({
        truncated: true,
        entries: [{}, {}],
      });
      expect(await skill.call('search', { query: 'a', limit: 1 })).toMatchObject({
        truncated: 'limit',
        matches: [{}],
      });
    });

    it('finds text, ignoring case and with context, and gives grep-like text', async () => {
      const result = await skill.result('search', {
        query: 'ALPHA',
        ignoreCase: true,
        context: 1,
        glob: 'src/**',
      });
      expect(result.structuredContent).toMatchObject({
        matches: [
          {
            path: 'src/a.ts',
            line: 1,
            text: 'const alpha = 1;',
            before: [],
            after: ['const beta = 2;'],
          },
          { path: 'src/a.ts', line: 3, before: ['const beta = 2;'] },
          { path: 'src/deep/b.tsx', line: 1, text: 'alpha();' },
        ],
        filesSearched: 3,
      });
      expect(textOf(result)).toContain('src/a.ts:1: const alpha = 1;');
      expect(await skill.call('search', { query: 'beta', path: 'src/a.ts' })).toMatchObject({
        matches: [{ line: 2 }],
      });
    });

    it('cannot be hung by an evil expression or glob', verifies('skills.files-search-linear'), async () => {
      await put('evil.txt', `${'a'.repeat(50_000)}!\n`.repeat(5));
      await put('a'.repeat(250), '');
      expect(await skill.call('search', { query: '(a+)+$', regex: true })).toMatchObject({
        matches: [],
      });
      expect(await skill.call('list', { glob: `${'*a'.repeat(40)}*b` })).toMatchObject({
        entries: [],
      });
      expect(await skill.refusal('search', { query: '(a', regex: true })).toContain('not understood');
      expect(await skill.refusal('search', { query: '(a)\\1', regex: true })).toContain('no backreferences');
    });

    it('reports progress over many files and stops when it is cancelled', async () => {
      await mkdir(join(root, 'many'));
      for (let index = 0; index < 600; index += 1) await put(`many/${index}.txt`, 'x\n');
      const seen: number[] = [];
      const cancel = new AbortController();
      const search = (onprogress: (progress: { progress: number }) => void): Promise<unknown> =>
        skill.client.callTool(
          { name: 'search', arguments: { query: 'nothing', path: 'many' } },
          { onprogress, signal: cancel.signal },
        );
      await search(({ progress }) => seen.push(progress));
      expect(seen.slice(0, 2)).toEqual([200, 400]);
      await expect(search(() => cancel.abort())).rejects.toThrow();
      expect(await skill.call('list')).toMatchObject({ truncated: false });
    });
  });

  describe('write and edit', () => {
    it('show a unified diff before anything changes', verifies('skills.files-preview'), async () => {
      await put('a.txt', 'one\ntwo\nthree\n');
      const preview = await skill.result('edit', {
        path: 'a.txt',
        oldText: 'two',
        newText: 'zwei',
        dryRun: true,
      });
      expect(textOf(preview)).toBe('--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n');
      const fresh = await skill.call<{ diff: string }>('write', {
        path: 'x/new.txt',
        content: 'new\n',
        dryRun: true,
      });
      expect(fresh.diff).toBe('--- /dev/null\n+++ b/x/new.txt\n@@ -0,0 +1,1 @@\n+new\n');
      const gone = await skill.call<{ diff: string }>('delete', { path: 'a.txt', dryRun: true });
      expect(gone.diff).toContain('-two');
      await skill.call('move', { from: 'a.txt', to: 'b.txt', dryRun: true });
      expect(await names()).toEqual(['a.txt']);
      expect(await get('a.txt')).toBe('one\ntwo\nthree\n');
    });

    it('make folders, keep the mode, and leave no temporary file', async () => {
      await put('run.sh', '#!/bin/sh\n');
      await chmod(join(root, 'run.sh'), 0o755);
      await skill.call('edit', { path: 'run.sh', oldText: 'sh\n', newText: 'sh\necho\n' });
      expect((await stat(join(root, 'run.sh'))).mode & 0o777).toBe(0o755);
      expect(await skill.call('write', { path: 'a/b/c.txt', content: 'ü🚢' })).toMatchObject({
        created: true,
        sizeBytes: 6,
      });
      expect(await get('a/b/c.txt')).toBe('ü🚢');
      expect(await readdir(join(root, 'a/b'))).toEqual(['c.txt']);
      expect(await names()).toEqual(['a', 'run.sh']);
    });

    it('replace a file only when that is meant', async () => {
      await put('a.txt', 'old');
      expect(await skill.refusal('write', { path: 'a.txt', content: 'new' })).toContain('already exists');
      const { revision } = await skill.call<Read>('read', { path: 'a.txt' });
      expect(
        await skill.call('write', { path: 'a.txt', content: 'new', ifRevision: revision }),
      ).toMatchObject({ created: false });
      expect(
        await skill.refusal('write', { path: 'a.txt', content: 'late', ifRevision: revision }),
      ).toContain('changed since');
      expect(
        await skill.refusal('edit', {
          path: 'a.txt',
          oldText: 'n',
          newText: 'm',
          ifRevision: revision,
        }),
      ).toContain('changed since');
      expect(
        await skill.refusal('write', { path: 'gone.txt', content: 'x', ifRevision: revision }),
      ).toContain('it is gone');
      await skill.call('write', { path: 'a.txt', content: 'newest', overwrite: true });
      expect(await get('a.txt')).toBe('newest');
    });

    it('an edit must match exactly once, unless all are meant', async () => {
      await put('a.txt', 'x = 1\n  y = 2\nx = 1\n');
      expect(await skill.refusal('edit', { path: 'a.txt', oldText: 'x = 1', newText: 'x = 3' })).toContain(
        'lines 1, 3',
      );
      expect(await skill.refusal('edit', { path: 'a.txt', oldText: 'y  =  2', newText: '' })).toContain(
        'does not stand',
      );
      expect(await skill.refusal('edit', { path: 'a.txt', oldText: 'y = 2\nx = 2', newText: '' })).toContain(
        'Line 2 is alike',
      );
      expect(await skill.refusal('edit', { path: 'gone.txt', oldText: 'x', newText: '' })).toContain(
        'Use "write"',
      );
      expect(
        await skill.call('edit', {
          path: 'a.txt',
          oldText: 'x = 1',
          newText: '$& = $1',
          all: true,
        }),
      ).toMatchObject({ replaced: 2, lines: [1, 3] });
      expect(await get('a.txt')).toBe('$& = $1\n  y = 2\n$& = $1\n');
    });

    it('keep CRLF line ends and a byte order mark', async () => {
      await put('dos.txt', '\uFEFFone\r\ntwo\r\nthree\r\n');
      await skill.call('edit', { path: 'dos.txt', oldText: 'one\ntwo\n', newText: 'eins\nzwei\n' });
      await skill.call('edit', { path: 'dos.txt', oldText: '\nthree', newText: '\ndrei\nvier' });
      expect(await get('dos.txt')).toBe('\uFEFFeins\r\nzwei\r\ndrei\r\nvier\r\n');
    });

    it(
      'concurrent edits of one file all land, and of many holders of one revision one wins',
      verifies('skills.files-concurrent'),
      async () => {
        await put('list.txt', Array.from({ length: 40 }, (_, index) => `item-${index};\n`).join(''));
        await Promise.all(
          Array.from({ length: 40 }, (_, index) =>
            skill.call('edit', {
              path: 'list.txt',
              oldText: `item-${index};`,
              newText: `done-${index};`,
            }),
          ),
        );
        expect(await get('list.txt')).toBe(
          Array.from({ length: 40 }, (_, index) => `done-${index};\n`).join(''),
        );

        const { revision } = await skill.call<Read>('read', { path: 'list.txt' });
        const results = await Promise.all(
          Array.from({ length: 10 }, (_, index) =>
            skill.result('write', {
              path: 'list.txt',
              content: `winner ${index}`,
              ifRevision: revision,
            }),
          ),
        );
        expect(results.filter(({ isError }) => !isError)).toHaveLength(1);

        const created = await Promise.all(
          Array.from({ length: 10 }, (_, index) =>
            skill.result('write', { path: 'one.txt', content: `${index}` }),
          ),
        );
        expect(created.filter(({ isError }) => !isError)).toHaveLength(1);
      },
    );

    it('two processes never leave a mixed or partial file', verifies('skills.files-concurrent'), async () => {
      const other = await startSkill(built, [root]);
      const contents = ['a', 'b'].map((letter) => letter.repeat(2_000_000));
      await put('shared.txt', contents[0] ?? '');
      let writing = true;
      const reader = (async () => {
        while (writing) expect(contents).toContain(await get('shared.txt'));
      })();
      await Promise.all(
        [skill, other].map(async (writer, index) => {
          for (let round = 0; round < 8; round += 1) {
            await writer.result('write', {
              path: 'shared.txt',
              content: contents[index],
              overwrite: true,
            });
          }
        }),
      );
      writing = false;
      await reader;
      await other.stop();
      expect(await names()).toEqual(['shared.txt']);
    });
  });

  describe('move, delete and restore', () => {
    it(
      'what is deleted comes back whole, and nothing is ever overwritten',
      verifies('skills.files-trash'),
      async () => {
        await mkdir(join(root, 'docs/deep'), { recursive: true });
        await put('docs/a.md', 'a');
        await put('docs/deep/b.md', 'b');
        const gone = await skill.call<{ id: string }>('delete', { path: 'docs' });
        expect(gone).toMatchObject({ path: 'docs', files: 2, dryRun: false });
        expect(await names()).toEqual(['.trash']);
        expect(await skill.call('list', { trash: true })).toMatchObject({
          trash: [{ id: gone.id, path: 'docs' }],
        });
        expect(await skill.call('search', { query: 'a' })).toMatchObject({ matches: [] });

        await put('docs', 'in the way');
        expect(await skill.refusal('restore', { id: gone.id })).toContain('exists again');
        expect(await skill.call('restore', { id: gone.id, to: 'old/docs' })).toMatchObject({
          path: 'old/docs',
        });
        expect(await get('old/docs/deep/b.md')).toBe('b');
        expect(await get('docs')).toBe('in the way');
        expect(await skill.refusal('restore', { id: gone.id })).toContain('Nothing with the id');
        expect(await skill.call('list', { trash: true })).toMatchObject({ trash: [] });
      },
    );

    it('a link goes to the trash itself, not what it points to', async () => {
      await writeFile(join(outer, 'kept.txt'), 'kept');
      await symlink(join(outer, 'kept.txt'), join(root, 'link'));
      const { id } = await skill.call<{ id: string }>('delete', { path: 'link' });
      expect(await readFile(join(outer, 'kept.txt'), 'utf8')).toBe('kept');
      await skill.call('restore', { id });
      await skill.call('move', { from: 'link', to: 'renamed' });
      expect(await names()).toEqual(['.trash', 'renamed']);
    });

    it('the root, the trash and made-up ids are refused', async () => {
      await put('a.txt', 'a');
      const { id } = await skill.call<{ id: string }>('delete', { path: 'a.txt' });
      for (const path of ['.', '', '/workspace', '.trash', `.trash/${id}`])
        await skill.refusal('delete', { path });
      await skill.refusal('write', {
        path: `.trash/${id}/content`,
        content: 'forged',
        overwrite: true,
      });
      await skill.refusal('move', { from: `.trash/${id}/content`, to: 'b.txt' });
      await skill.refusal('restore', { id: '../../etc' });
      await skill.refusal('restore', { id: '20260101T000000-000000000000' });
      await skill.call('restore', { id });
      expect(await get('a.txt')).toBe('a');
    });

    it('a trash that is a link to elsewhere is neither filled nor emptied', async () => {
      await put('a.txt', 'a');
      await mkdir(join(outer, 'elsewhere/20260101T000000-000000000000'), { recursive: true });
      await writeFile(join(outer, 'elsewhere/20260101T000000-000000000000/content'), 'foreign');
      await writeFile(
        join(outer, 'elsewhere/20260101T000000-000000000000/entry.json'),
        JSON.stringify({ path: 'foreign.txt', deletedAt: '' }),
      );
      await symlink(join(outer, 'elsewhere'), join(root, '.trash'));
      expect(await skill.refusal('delete', { path: 'a.txt' })).toContain('not a folder');
      expect(await skill.refusal('restore', { id: '20260101T000000-000000000000' })).toContain(
        'Nothing with the id',
      );
      expect(await get('a.txt')).toBe('a');
    });

    it('moves files and folders, but not onto others or into themselves', async () => {
      await mkdir(join(root, 'box'));
      await put('box/a.txt', 'a');
      await put('b.txt', 'b');
      expect(await skill.refusal('move', { from: 'b.txt', to: 'box/a.txt' })).toContain('already exists');
      expect(await skill.refusal('move', { from: 'box', to: 'box/inner' })).toContain('into itself');
      expect(await skill.call('move', { from: 'box', to: 'far/away/box' })).toMatchObject({
        kind: 'folder',
      });
      expect(await skill.call('move', { from: 'b.txt', to: 'far/b.txt' })).toMatchObject({
        kind: 'file',
      });
      expect(await get('far/away/box/a.txt')).toBe('a');
      expect(await names()).toEqual(['far']);
    });
  });

  it('works on a folder it may only read, and says so when it may not write', async () => {
    await put('a.txt', 'a');
    const readOnly = ['bwrap', '--dev-bind', '/', '/', '--ro-bind', root, root, '--'];
    const reader = await startSkill(built, [root], { through: readOnly });
    expect(await reader.call('read', { path: 'a.txt' })).toMatchObject({ text: 'a' });
    expect(await reader.refusal('write', { path: 'b.txt', content: 'b' })).toContain('read-only');
    expect(await reader.refusal('write', { path: 'new/b.txt', content: 'b' })).toContain('read-only');
    expect(await reader.refusal('delete', { path: 'a.txt' })).toContain('read-only');
    await reader.stop();
  });
});
