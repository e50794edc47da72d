import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settingsOfProcess } from '../../cli/config.ts';
import { packSkill } from '../../cli/pack.ts';
import { openSandbox } from '../../cli/sandbox.ts';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { parseManifest } from '../../protocol/manifest.ts';
import { normalise } from '../../protocol/permissions.ts';
import { expectCode } from '../support/expect-code.ts';
import { put, repositoryOf } from '../support/git-repository.ts';
import { buildSkill, textOf } from '../support/skill-process.ts';
import { verifies } from '../support/verifies.ts';

const SKILLS = new URL('../../skills/', import.meta.url).pathname;

/** What each skill is asked to do where it really runs: a call, and what its text must say. */
const ERRANDS = {
  files: [
    ['write', { path: 'notes/a.txt', content: 'hello\n' }, 'Created'],
    ['edit', { path: 'notes/a.txt', oldText: 'hello', newText: 'bye' }, 'Replaced 1'],
    ['move', { from: 'notes/a.txt', to: 'b.txt' }, 'Moved'],
    ['delete', { path: 'b.txt' }, 'restore with id'],
    ['search', { query: 'x', glob: '*.csv' }, 'table.csv:1: x,y'],
  ],
  git: [
    ['log', {}, 'first commit'],
    ['blame', { path: 'table.csv' }, 'first commit'],
    ['branch', { name: 'topic', switch: true }, 'switched'],
    ['commit', { message: 'Nothing yet', paths: ['new.txt'], dryRun: true }, '+new'],
    ['commit', { message: 'Add a file', paths: ['new.txt'] }, 'to topic: Add a file'],
    ['show', {}, '+new'],
    ['undo_commit', { commit: 'HEAD' }, 'Took back'],
    ['diff', { staged: true }, '+new'],
    ['status', {}, 'new.txt: staged: added'],
  ],
  memory: [
    ['add', { text: 'The ferry leaves at 7:30', requestId: 'once' }, 'Added'],
    ['add', { text: 'The ferry leaves at 7:30', requestId: 'once' }, 'Already there'],
    ['search', { query: 'ferry' }, 'leaves at'],
  ],
  tables: [
    ['list', {}, 'table.csv'],
    ['query', { sql: 'SELECT x + y AS sum FROM "table.csv"' }, '3'],
  ],
} as const;

describe('our own skills', () => {
  let home: string;
  let driver: SandboxDriver;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'berth-skills-'));
    driver = await openSandbox({ home, settings: { ...settingsOfProcess(), home } });
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it('are those the readme speaks of, and each says what it is', async () => {
    const names = (await readdir(SKILLS)).toSorted();
    expect(names).toEqual(['files', 'git', 'memory', 'review', 'tables', 'web']);
    for (const name of names) {
      const manifest = parseManifest(await readFile(join(SKILLS, name, 'skill.json')));
      expect(manifest).toMatchObject({ name: `dev.berth/${name}`, license: 'Apache-2.0' });
      expect((await readFile(join(SKILLS, name, 'README.md'), 'utf8')).length).toBeGreaterThan(500);
    }
  });

  it('import nothing of Berth', async () => {
    for (const name of ['files', 'git', 'memory', 'tables', 'web']) {
      const server = join(SKILLS, name, 'server');
      for (const file of await readdir(server, { recursive: true })) {
        if (!file.endsWith('.ts')) continue;
        const source = await readFile(join(server, file), 'utf8');
        expect(source, file).not.toMatch(/from '[^']*(?:\.\.\/){2,}|\/(?:protocol|hub|registry|cli)\//);
      }
    }
  });

  it.each(['files', 'git', 'memory', 'tables', 'web', 'review'])(
    '%s packs, and its manifest and its server say the same of each tool',
    { timeout: 60_000, ...verifies('skills.declared') },
    async (name) => {
      const { manifest, surface, archive } = await packSkill({ driver }, join(SKILLS, name));
      expect(surface.tools.map((tool) => tool.name).toSorted()).toEqual(
        Object.keys(manifest.tools).toSorted(),
      );
      for (const tool of surface.tools) {
        const { effects } = manifest.tools[tool.name] ?? { effects: [] };
        const hints = tool.annotations as { readOnlyHint?: boolean; destructiveHint?: boolean };
        expect(hints.readOnlyHint, tool.name).toBe(effects.every((effect) => effect === 'read'));
        if (effects.includes('destroy')) expect(hints.destructiveHint, tool.name).toBe(true);
        expect(tool.outputSchema, tool.name).toBeDefined();
      }
      // Lists of resources would vary with a user's files, and then differ from what was approved.
      if (manifest.runtime.kind === 'node') expect(surface.resources).toEqual([]);
      const { network } = normalise(manifest.permissions);
      // Whoever installs the one that asks for any names the hosts.
      expect(network.map(({ host }) => host)).toEqual(name === 'web' ? ['${config.hosts}'] : []);
      expect(normalise(manifest.permissions)).toMatchObject({
        secrets: [],
        subprocess: name === 'git' ? ['git'] : [],
        background: false,
      });
      expect(archive.length).toBeLessThan(1024 * 1024);
    },
  );

  it(
    'are packed on a machine without the programs that they ask for',
    verifies('cli.first-party'),
    async () => {
      const bin = join(home, 'bin');
      await mkdir(bin);
      const { environment } = settingsOfProcess();
      const folders = (environment['PATH'] ?? '').split(':');
      for (const name of ['bwrap', 'sh', 'grep', 'prlimit', 'setpriv', 'mknod']) {
        const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
        if (found !== undefined) await symlink(found, join(bin, name));
      }
      const bare = { ...settingsOfProcess(), home, environment: { PATH: bin } };
      const without = await openSandbox({ home, settings: bare }, join(home, 'bare'));
      const { surface } = await packSkill({ driver: without }, join(SKILLS, 'git'));
      expect(surface.tools.map(({ name }) => name)).toContain('commit');
      const plan = {
        packageDir: home,
        runtime: { kind: 'node', entry: 'x', args: [] },
        programs: ['git'],
      } as const;
      await expectCode(without.hostFiles(plan), 'program-missing');
    },
  );

  it.each(['files', 'git', 'memory', 'tables'] as const)(
    '%s does its work in the sandbox under the limits it declares',
    { timeout: 60_000, ...verifies('skills.sandboxed') },
    async (name) => {
      const built = await buildSkill(name);
      const manifest = parseManifest(await readFile(join(SKILLS, name, 'skill.json')));
      const permissions = normalise(manifest.permissions);
      const workspace = await mkdtemp(join(tmpdir(), 'berth-granted-'));
      await repositoryOf(workspace, { 'table.csv': 'x,y\n1,2\n' });
      await put(workspace, { 'new.txt': 'new\n' });
      const dataDir = join(home, `data-${name}`);
      await driver.makeOwned(dataDir);
      const sources = {
        '${workspace}': { source: workspace, target: '/workspace' },
        '${data}': { source: dataDir, target: '/data' },
      };
      const granted = permissions.filesystem.map(({ path, mode }) => {
        const [root = '', ...below] = path.split('/');
        const { source, target } = sources[root as keyof typeof sources];
        return { source: join(source, ...below), target: [target, ...below].join('/'), root: source, mode };
      });

      const roots = granted.filter(({ source, root }) => source === root).map(({ target }) => target);

      const running = await driver.start({
        label: name,
        packageDir: built.folder,
        runtime: { kind: 'node', entry: 'server/index.mjs', args: roots },
        mounts: granted,
        dataDir,
        scratch: [],
        env: { BERTH_CONFIG_AUTHORNAME: 'Grace', BERTH_CONFIG_AUTHOREMAIL: 'grace@example.org' },
        programs: permissions.subprocess,
        network: [],
        limits: permissions.resources,
      });
      const client = new Client(
        { name: 'test', version: '1.0.0' },
        { versionNegotiation: { mode: { pin: '2026-07-28' } } },
      );
      await client.connect(new StdioServerTransport(running.stdout, running.stdin));
      for (const [tool, args, expected] of ERRANDS[name]) {
        const answer = await client.callTool({ name: tool, arguments: { ...args } });
        expect(textOf(answer), tool).toContain(expected);
        expect(answer.isError, tool).not.toBe(true);
      }
      await client.close();
      await running.kill();
      await built.remove();
      await rm(workspace, { recursive: true, force: true });
    },
  );

  it('review has a front matter that says when to use it, and no link of it is dead', async () => {
    const folder = join(SKILLS, 'review');
    const text = await readFile(join(folder, 'SKILL.md'), 'utf8');
    const [, front = '', body = ''] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text) ?? [];
    expect(front).toMatch(/^name: review$/m);
    expect(front).toMatch(/^description: .{100,1024}$/m);
    expect(front).toMatch(/^license: Apache-2\.0$/m);
    const linked = [...body.matchAll(/\]\((references\/[^)]+)\)/g)].map(([, path]) => `${path}`);
    const there = (await readdir(join(folder, 'references'))).map((file) => `references/${file}`);
    expect(new Set(linked)).toEqual(new Set(there));
  });
});
