import { execFile } from 'node:child_process';
import { mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { bundle } from '../../cli/bundle.ts';
import { expectCode } from '../support/expect-code.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

async function project(files: Record<string, string>, folder?: string): Promise<string> {
  const root = folder ?? join(await realpath(await tempFolder()), 'project');
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

async function outputOf(code: Buffer): Promise<string> {
  const file = join(await tempFolder(), 'bundle.mjs');
  await writeFile(file, code);
  return (await promisify(execFile)(process.execPath, [file])).stdout;
}

describe('bundle', () => {
  it(
    'gives the same bytes wherever the project lies, lent packages included',
    verifies('cli.pack-deterministic'),
    async () => {
      const files = {
        'server/index.ts': `
        import { McpServer } from '@modelcontextprotocol/server';
        import { serveStdio } from '@modelcontextprotocol/server/stdio';
        import { z } from 'zod';
        import { word } from './word.ts';
        serveStdio(() => new McpServer({ name: word, version: z.string().parse('1') }));`,
        'server/word.ts': `export const word: string = 'hello';`,
      };
      const shallow = await project(files);
      const deep = await project(files, join(await realpath(await tempFolder()), 'a/b/c/other-name'));
      const first = await bundle(shallow, 'server/index.ts');
      expect(first.equals(await bundle(deep, 'server/index.ts'))).toBe(true);
      expect(first.toString()).not.toContain(dirname(shallow));
      expect(first.toString()).not.toContain(process.cwd().slice(1));
      expect(first.toString()).not.toMatch(/^\/\/ \.\./m);
    },
  );

  it('runs code that requires CommonJS modules and code that names a require of its own', async () => {
    const root = await project({
      'node_modules/old/package.json': '{"name":"old","main":"index.js"}',
      'node_modules/old/index.js': `const os = require('os'); module.exports = () => typeof os.cpus + typeof __dirname;`,
      'plain.js': `import old from 'old'; console.log(old());`,
      'own.js': `import { createRequire } from 'node:module';
        import { dirname } from 'node:path'; import { fileURLToPath } from 'node:url';
        const require = createRequire(import.meta.url); const __dirname = dirname(fileURLToPath(import.meta.url));
        console.log(typeof require('os').cpus, typeof __dirname);`,
    });
    expect(await outputOf(await bundle(root, 'plain.js'))).toBe('functionstring\n');
    expect(await outputOf(await bundle(root, 'own.js'))).toBe('function string\n');
  });

  it("takes the project's own packages before those that Berth lends", async () => {
    const root = await project({
      'node_modules/zod/package.json': '{"name":"zod","main":"index.js"}',
      'node_modules/zod/index.js': `module.exports = 'the project’s own';`,
      'index.js': `import zod from 'zod'; console.log(zod);`,
    });
    expect(await outputOf(await bundle(root, 'index.js'))).toBe('the project’s own\n');
  });

  it('is not moved by packages and settings in the folders above', verifies('cli.pack-inside'), async () => {
    const above = await realpath(await tempFolder());
    await project(
      {
        'node_modules/zod/package.json': '{"name":"zod","main":"index.js"}',
        'node_modules/zod/index.js': `module.exports = { z: 'from above' };`,
        'tsconfig.json': '{"compilerOptions":{"paths":{"./word.ts":["./elsewhere.ts"]}}}',
        'elsewhere.ts': `export const word = 'from above';`,
      },
      above,
    );
    const root = await project(
      {
        'index.ts': `import { z } from 'zod'; import { word } from './word.ts'; console.log(typeof z.string, word);`,
        'word.ts': `export const word = 'own';`,
      },
      join(above, 'project'),
    );
    expect(await outputOf(await bundle(root, 'index.ts'))).toBe('function own\n');
  });

  it('refuses a file outside the project', verifies('cli.pack-inside'), async () => {
    const root = await project({ 'index.ts': `import secret from '../secret.json'; console.log(secret);` });
    await writeFile(join(root, '../secret.json'), '{"password":"canary"}');
    const error = await expectCode(bundle(root, 'index.ts'), 'pack-failed');
    expect(error.data?.['faults']).toMatchObject([{ path: '../secret.json' }]);
  });

  it('refuses a file that a link in the project leads out to', verifies('cli.pack-inside'), async () => {
    const root = await project({
      'direct.ts': `import secret from './inside.json'; console.log(secret);`,
      'through.ts': `import secret from './folder/secret.json'; console.log(secret);`,
    });
    await writeFile(join(root, '../secret.json'), '{}');
    await symlink('../secret.json', join(root, 'inside.json'));
    await symlink('..', join(root, 'folder'));
    await expectCode(bundle(root, 'direct.ts'), 'pack-failed');
    await expectCode(bundle(root, 'through.ts'), 'pack-failed');
  });

  it(
    'refuses a package that is linked in from elsewhere, and one of Berth’s that is not lent',
    verifies('cli.pack-inside'),
    async () => {
      const root = await project({
        'linked.js': `import x from 'linked'; console.log(x);`,
        'express.js': `import x from 'express'; console.log(x);`,
        'node_modules/.keep': '',
      });
      await project(
        { 'package.json': '{"name":"linked","main":"i.js"}', 'i.js': 'module.exports = 1' },
        join(root, '../linked'),
      );
      await symlink('../../linked', join(root, 'node_modules/linked'));
      await expectCode(bundle(root, 'linked.js'), 'pack-failed');
      await expectCode(bundle(root, 'express.js'), 'pack-failed');
    },
  );

  it('names file and line of what cannot be bundled', async () => {
    const root = await project({ 'index.ts': `const a = ;`, 'other.ts': `import 'no-such-package';` });
    const syntax = await expectCode(bundle(root, 'index.ts'), 'pack-failed');
    expect(syntax.data?.['faults']).toMatchObject([{ path: 'index.ts:1:11' }]);
    const missing = await expectCode(bundle(root, 'other.ts'), 'pack-failed');
    expect(missing.data?.['faults']).toMatchObject([{ problem: expect.stringContaining('no-such-package') }]);
  });
});
