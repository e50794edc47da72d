import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { checkSkill } from '../../cli/check.ts';
import { readSettings } from '../../cli/config.ts';
import { initSkill } from '../../cli/init.ts';
import { packSkill } from '../../cli/pack.ts';
import { openSandbox } from '../../cli/sandbox.ts';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { readArchive } from '../../protocol/archive.ts';
import { expectCode } from '../support/expect-code.ts';
import { runCli } from '../support/run-cli.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

// One for the file: its first use looks at the machine.
const driver = (() => {
  let home: string | undefined;
  let made: SandboxDriver | undefined;
  afterAll(() => (home === undefined ? undefined : rm(home, { recursive: true, force: true })));
  return async (): Promise<SandboxDriver> => {
    home ??= await mkdtemp(join(tmpdir(), 'berth-test-'));
    made ??= await openSandbox({ home, settings: readSettings({ PATH: process.env['PATH'] }) });
    return made;
  };
})();

/** A new skill of the node template. */
async function newSkill(change: Record<string, unknown> = {}): Promise<string> {
  const folder = join(await tempFolder(), 'hello');
  await initSkill(folder, { name: 'local.me/hello', template: 'node' });
  if (Object.keys(change).length > 0) await changeManifest(folder, change);
  return folder;
}

async function changeManifest(folder: string, change: Record<string, unknown>): Promise<void> {
  const path = join(folder, 'skill.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...manifest, ...change }));
}

/** A server that offers one tool, whose description says what the given expression gives. */
const TELLING = (expression: string): string => `
  import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
  import { serveStdio } from '@modelcontextprotocol/server/stdio';
  import fs from 'node:fs'; import net from 'node:net';
  const told = String(await (${expression}));
  serveStdio(() => {
    const server = new McpServer({ name: 'x', version: '1.0.0' });
    const inputSchema = fromJsonSchema({ type: 'object', properties: {} });
    server.registerTool('greet', { description: told, inputSchema }, async () => ({ content: [] }));
    return server;
  });`;

async function told(expression: string): Promise<string | undefined> {
  const folder = await newSkill();
  await writeFile(join(folder, 'server/index.ts'), TELLING(expression));
  const { surface } = await packSkill({ driver: await driver() }, folder);
  return surface.tools[0]?.description;
}

describe('a new skill', () => {
  it('packs as it is and offers its tool', verifies('cli.init-packs'), async () => {
    const { manifest, surface, files } = await packSkill({ driver: await driver() }, await newSkill());
    expect(surface.tools.map((tool) => tool.name)).toEqual(['greet']);
    expect(manifest.runtime).toMatchObject({ kind: 'node', entry: 'server/index.mjs' });
    expect(files.map(({ path }) => path).toSorted()).toEqual([
      'README.md',
      'server/index.mjs',
      'skill.json',
      'surface.json',
    ]);
  });

  it('passes its own tests in the sandbox, and a broken one fails', verifies('cli.init-packs'), async () => {
    const folder = await newSkill();
    const { tests, advice, tools } = await checkSkill({ driver: await driver() }, folder);
    expect(tests).toMatchObject([{ file: 'test/greeting.test.ts', passed: true }]);
    expect(advice).toEqual([]);
    expect(tools).toEqual([{ name: 'greet', effects: ['read'], enforced: true, answer: 'allow' }]);
    await writeFile(join(folder, 'server/greeting.ts'), `export const greeting = () => 'Goodbye!';`);
    const broken = await checkSkill({ driver: await driver() }, folder);
    expect(broken.tests).toMatchObject([{ passed: false, output: expect.stringContaining('Goodbye!') }]);
  });

  it('of the prompt template packs without a program', verifies('cli.init-packs'), async () => {
    const folder = join(await tempFolder(), 'summary');
    await initSkill(folder, { name: 'local.me/summary', template: 'prompt' });
    const { surface } = await packSkill({ driver: await driver() }, folder);
    expect(surface.tools).toEqual([]);
    expect(surface.prompts).toMatchObject([{ name: 'summary' }]);
  });

  it('is never written over something', async () => {
    const folder = await newSkill();
    const again = initSkill(folder, { name: 'local.me/hello', template: 'node' });
    await expectCode(again, 'usage-invalid');
    const unnameable = initSkill(join(folder, 'New Folder'), {
      name: 'local.me/New Folder',
      template: 'node',
    });
    await expectCode(unnameable, 'usage-invalid');
  });
});

describe('pack', () => {
  it('gives the same bytes again, and from another folder', verifies('cli.pack-deterministic'), async () => {
    const first = await newSkill({ files: ['assets'] });
    await mkdir(join(first, 'assets/deep'), { recursive: true });
    await writeFile(join(first, 'assets/run.sh'), '#!/bin/sh\n', { mode: 0o755 });
    await writeFile(join(first, 'assets/deep/data.bin'), Buffer.from([0, 255, 10]));
    const second = join(await tempFolder(), 'some/other/place');
    await mkdir(dirname(second), { recursive: true });
    await cp(first, second, { recursive: true });
    const packed = await packSkill({ driver: await driver() }, first);
    const again = await packSkill({ driver: await driver() }, second);
    expect(again.digest).toBe(packed.digest);
    expect(again.archive.equals(packed.archive)).toBe(true);
    const modes = new Map(packed.files.map(({ path, mode }) => [path, mode]));
    expect(modes.get('assets/run.sh')).toBe(0o755);
    expect(modes.get('assets/deep/data.bin')).toBe(0o644);
  });

  it('writes an archive that the strict reader accepts', async () => {
    const { archive, files } = await packSkill({ driver: await driver() }, await newSkill());
    const read: string[] = [];
    for await (const { path } of readArchive(chunks(archive))) read.push(path);
    expect(read).toEqual(files.map(({ path }) => path).toSorted());
  });

  it('keeps what the author left out of the manifest left out', async () => {
    const { files } = await packSkill({ driver: await driver() }, await newSkill());
    const packed = files.find(({ path }) => path === 'skill.json');
    const manifest = JSON.parse(Buffer.from(packed?.bytes ?? []).toString()) as Record<string, unknown>;
    expect(manifest['permissions']).toEqual({});
    expect(manifest).not.toHaveProperty('config');
  });

  it(
    'asks no server inside this machine, and says where one has to be',
    verifies('remote.addresses'),
    async () => {
      const folder = await newSkill({
        runtime: { kind: 'remote', url: 'https://127.0.0.1:9/mcp', protocol: '2025-11-25' },
        permissions: { network: [{ host: '127.0.0.1', ports: [9], reason: 'it runs there' }] },
      });
      const { message, hint } = await expectCode(
        packSkill({ driver: await driver() }, folder),
        'pack-failed',
      );
      expect(message).toContain('nothing was sent');
      expect(hint).toContain('on the open internet that speaks TLS');
    },
  );

  it('refuses links, in the folder or above a file', verifies('cli.pack-inside'), async () => {
    const folder = await newSkill({ files: ['assets'] });
    await mkdir(join(folder, 'assets'));
    await symlink('/etc/passwd', join(folder, 'assets/passwd'));
    await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
    await rm(join(folder, 'assets'), { recursive: true });
    await symlink('/etc', join(folder, 'assets'));
    await changeManifest(folder, { files: ['assets/hostname'] });
    await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
    await rm(join(folder, 'README.md'));
    await changeManifest(folder, { files: [] });
    await symlink('/etc/passwd', join(folder, 'README.md'));
    await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
  });

  it.each([
    [
      'an entry that is not there',
      { runtime: { kind: 'node', entry: 'server/none.ts', protocol: '2026-07-28' } },
    ],
    ['a listed file that is not there', { files: ['assets'] }],
    ['a tool that the server does not offer', { tools: { gret: { effects: ['read'] } } }],
    [
      'a preview through an argument that the tool does not take',
      { tools: { greet: { effects: ['read'], preview: { argument: 'dryRun' } } } },
    ],
    [
      'a compensation by a tool that the server does not offer',
      { tools: { greet: { effects: ['read'], compensate: { tool: 'ungreet' } } } },
    ],
    [
      'a remote server',
      {
        runtime: { kind: 'remote', url: 'https://example.org/mcp', protocol: '2026-07-28' },
        permissions: { network: [{ host: 'example.org', ports: [443], reason: 'it runs there' }] },
      },
    ],
  ])('refuses %s', async (_what, change) => {
    const tools = 'tools' in change ? {} : { tools: {} };
    await expectCode(
      packSkill({ driver: await driver() }, await newSkill({ ...tools, ...change })),
      'pack-failed',
    );
  });

  it('refuses a folder without a manifest, and a manifest with faults', async () => {
    await expectCode(packSkill({ driver: await driver() }, await tempFolder()), 'pack-failed');
    const error = await expectCode(
      packSkill({ driver: await driver() }, await newSkill({ version: 'one', title: 7 })),
      'manifest-invalid',
    );
    expect(error.data?.['faults']).toHaveLength(2);
  });

  it('refuses instructions whose front matter is missing or of another skill', async () => {
    const folder = join(await tempFolder(), 'summary');
    await initSkill(folder, { name: 'local.me/summary', template: 'prompt' });
    for (const text of [
      '# No head\n',
      '---\nname: other\ndescription: x\n---\n',
      '---\nname: summary\n---\n',
      `---\nname: summary\ndescription: ${'x'.repeat(1025)}\n---\n`,
      '---\nname: summary\ndescription: x\nmetadata: [1]\n---\n',
    ]) {
      await writeFile(join(folder, 'SKILL.md'), text);
      await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
    }
    await writeFile(
      join(folder, 'SKILL.md'),
      '---\nname: "summary"\ndescription: >\n  folded\n  text\n---\n',
    );
    await packSkill({ driver: await driver() }, folder);
  });

  it('refuses instructions of another skill beside a program, too', async () => {
    const folder = await newSkill();
    await writeFile(join(folder, 'SKILL.md'), '---\nname: other\ndescription: x\n---\n');
    await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
  });

  it('refuses a binary that cannot be executed', async () => {
    const folder = await newSkill({ runtime: { kind: 'binary', entry: 'run', protocol: '2026-07-28' } });
    await writeFile(join(folder, 'run'), 'not a program');
    await chmod(join(folder, 'run'), 0o644);
    const error = await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
    expect(error.hint).toBe('chmod +x run');
  });

  it('tells the words of a skill that does not start', async () => {
    const folder = await newSkill();
    await writeFile(join(folder, 'server/index.ts'), `throw new Error('no database here');`);
    const error = await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
    expect(error.message + JSON.stringify(error.data)).toContain('no database here');
  });
});

describe('packing somebody’s folder', () => {
  it(
    'runs it without network, environment and files of the machine',
    verifies('cli.pack-sandboxed'),
    async () => {
      const server = createServer((socket) => socket.end());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      const connect = `new Promise((done) => net.connect(${port}, '127.0.0.1', () => done('reached')).on('error', (e) => done(e.code)))`;
      expect(await told(connect)).not.toBe('reached');
      expect(await told(`fs.existsSync(${JSON.stringify(import.meta.filename)})`)).toBe('false');
      expect(
        await told(
          `Object.keys(process.env).filter((name) => name.startsWith('npm_') || name === 'VITEST').length`,
        ),
      ).toBe('0');
    },
  );

  it('runs no install script', verifies('cli.pack-sandboxed'), async () => {
    const folder = await newSkill();
    const trace = join(folder, 'trace');
    const scripts = {
      preinstall: `touch ${trace}`,
      postinstall: `touch ${trace}`,
      prepare: `touch ${trace}`,
    };
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({ name: 'hello', version: '1.0.0', scripts }),
    );
    await packSkill({ driver: await driver() }, folder);
    await expect(readFile(trace)).rejects.toThrow('ENOENT');
  });
});

describe('an archive', () => {
  it(
    'is signed and verified without a server, and any change is found',
    verifies('cli.verify-offline'),
    async () => {
      const cwd = await tempFolder();
      const env = { BERTH_HOME: join(cwd, 'home') };
      const berth = (...argv: string[]) => runCli([...argv, '--json'], { cwd, env });
      await berth('init', 'hello', '--name', 'local.me/hello');
      await berth('keys', 'create');
      expect((await berth('pack', 'hello', '-o', 'hello.tgz')).code).toBe(0);
      expect((await berth('sign', 'hello.tgz')).code).toBe(0);
      const good = await berth('verify', 'hello.tgz');
      expect(good.data()).toMatchObject({ name: 'local.me/hello', version: '0.1.0', files: 4 });

      expect((await berth('keys', 'create', 'other')).code).toBe(0);
      const publicKey = join(cwd, 'other.json');
      const [, other] = (await berth('keys', 'ls')).data() as Record<string, string>[];
      const { keyId, algorithm, publicKey: spki } = other ?? {};
      await writeFile(publicKey, JSON.stringify({ keys: [{ keyId, algorithm, publicKey: spki }] }));
      const stranger = await berth('verify', 'hello.tgz', '--keys', publicKey);
      expect(stranger.json()).toMatchObject({ error: { code: 'signer-not-allowed' } });

      await writeFile(join(cwd, 'hello/server/greeting.ts'), `export const greeting = () => 'changed';`);
      await berth('pack', 'hello', '-o', 'changed.tgz');
      const changed = await berth('verify', 'changed.tgz', '--bundle', 'hello.tgz.sigstore.json');
      expect(changed.code).toBe(6);
      expect(changed.json()).toMatchObject({ error: { code: 'statement-mismatch' } });

      const bytes = await readFile(join(cwd, 'hello.tgz'));
      await writeFile(join(cwd, 'cut.tgz'), bytes.subarray(0, bytes.length - 100));
      expect((await berth('verify', 'cut.tgz', '--bundle', 'hello.tgz.sigstore.json')).code).toBe(6);
    },
  );

  it('is not written over without --force', async () => {
    const cwd = await tempFolder();
    const env = { BERTH_HOME: join(cwd, 'home') };
    await runCli(['init', 'hello', '--name', 'local.me/hello'], { cwd, env });
    await writeFile(join(cwd, 'hello-0.1.0.tgz'), 'mine');
    expect((await runCli(['pack', 'hello'], { cwd, env })).code).toBe(2);
    expect(await readFile(join(cwd, 'hello-0.1.0.tgz'), 'utf8')).toBe('mine');
    expect((await runCli(['pack', 'hello', '--force'], { cwd, env })).code).toBe(0);
  });
});

async function* chunks(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
