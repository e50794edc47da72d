import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Prepared } from '../../../cli/adopt/prepare.ts';
import { adoptLook as look } from '../../support/adopt-look.ts';
import { adoptableServer } from '../../support/adoptable-server.ts';
import { expectCode } from '../../support/expect-code.ts';
import { npmRegistry } from '../../support/npm-registry.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const textOf = ({ packed }: Prepared): string =>
  packed.files.map(({ path, bytes }) => `${path}\n${Buffer.from(bytes).toString('latin1')}`).join('\n');

describe('a package that means harm', () => {
  /** Leaves a file named after the moment wherever it can. */
  const tracing = async () => {
    const traces = await tempFolder();
    const folder = join(await tempFolder(), 'evil');
    const leave = (what: string): string =>
      `try { fs.writeFileSync(${JSON.stringify(join(traces, what))}, ''); } catch {}`;
    await adoptableServer(folder, {
      prelude: leave('start'),
      tools: { harm: `${leave('call')} return 'done';` },
      manifest: {
        name: 'evil-server',
        bin: { 'evil-server': 'server.js' },
        scripts: Object.fromEntries(
          ['preinstall', 'install', 'postinstall', 'prepare'].map((what) => [
            what,
            `touch ${join(traces, what)}`,
          ]),
        ),
      },
    });
    return { traces, folder };
  };

  it(
    'runs nothing outside the sandbox: not when npm installs it, not when it starts, not when it is called',
    verifies('adopt.sandboxed'),
    async () => {
      const { traces, folder } = await tracing();
      const registry = await npmRegistry([folder]);
      onTestFinished(() => registry.close());
      const environment = { npm_config_registry: registry.url, npm_config_cache: await tempFolder() };
      const { learned } = await look('npx', ['-y', 'evil-server'], { environment });
      expect(registry.asked).toContain('evil-server');
      expect(learned.answered).toEqual(['harm']);
      expect(await readdir(traces)).toEqual([]);
      // The test is of worth only if that program leaves a trace where nothing holds it.
      const free = spawn(process.execPath, [join(folder, 'server.js')], { stdio: 'ignore' });
      await once(free, 'close');
      expect(await readdir(traces)).toEqual(['start']);
    },
  );

  it('runs no script of its folder either', verifies('adopt.sandboxed'), async () => {
    const { traces, folder } = await tracing();
    await look('npx', ['-y', folder], { environment: { npm_config_cache: await tempFolder() } });
    expect(await readdir(traces)).toEqual([]);
  });

  it('whose program lies outside of it is refused', verifies('adopt.refuses'), async () => {
    const { folder } = await tracing();
    await adoptableServer(folder, {
      tools: {},
      manifest: { name: 'evil-server', bin: { 'evil-server': '../../../outside.js' } },
    });
    const environment = { npm_config_cache: await tempFolder() };
    const refused = look('npx', ['-y', folder], { environment });
    expect((await expectCode(refused, 'not-adoptable')).message).toContain('lies outside of it');
  });
});

describe('a project', () => {
  const SECRET = 'canary-of-the-machine';

  it('gives away what it publishes and nothing beside it', verifies('adopt.secrets'), async () => {
    const folder = await tempFolder();
    await writeFile(join(folder, 'beside.txt'), SECRET);
    const project = join(folder, 'project');
    await mkdir(join(project, 'data'), { recursive: true });
    await writeFile(join(project, '.env'), SECRET);
    await writeFile(join(project, 'notes.txt'), SECRET);
    await writeFile(join(project, 'data', 'words.txt'), 'words of its own');
    await writeFile(join(project, 'data', '.hidden'), SECRET);
    await symlink(join(folder, 'beside.txt'), join(project, 'data', 'link.txt'));
    const script = await adoptableServer(project, {
      tools: { words: `return fs.readFileSync(new URL('./data/words.txt', import.meta.url), 'utf8');` },
      manifest: { files: ['data', '../beside.txt', '.env'] },
    });
    const prepared = await look('node', [script]);
    expect(prepared.learned.answered).toEqual(['words']);
    expect(prepared.packed.files.map(({ path }) => path)).toContain('vendor/data/words.txt');
    expect(textOf(prepared)).not.toContain(SECRET);
    expect(textOf(prepared)).not.toContain(folder);
  });

  it.each([
    ['an import', `import '../beside.js';`],
    ['a link', `import './linked.js';`],
  ])(
    'does not draw in code from elsewhere by %s',
    verifies('adopt.refuses', 'cli.pack-inside'),
    async (_how, prelude) => {
      const folder = await tempFolder();
      await writeFile(join(folder, 'beside.js'), `export const x = '${SECRET}';`);
      const script = await adoptableServer(join(folder, 'project'), { prelude, tools: {} });
      await symlink(join(folder, 'beside.js'), join(folder, 'project', 'linked.js'));
      await expectCode(look('node', [script]), 'not-adoptable');
    },
  );
});
