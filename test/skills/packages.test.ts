import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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

  it('are the four the readme speaks of, and each says what it is', async () => {
    const names = (await readdir(SKILLS)).toSorted();
    expect(names).toEqual(['files', 'memory', 'review', 'tables']);
    for (const name of names) {
      const manifest = parseManifest(await readFile(join(SKILLS, name, 'skill.json')));
      expect(manifest).toMatchObject({ name: `dev.berth/${name}`, license: 'Apache-2.0' });
      expect((await readFile(join(SKILLS, name, 'README.md'), 'utf8')).length).toBeGreaterThan(500);
    }
  });

  it('import nothing of Berth', async () => {
    for (const name of ['files', 'memory', 'tables']) {
      const server = join(SKILLS, name, 'server');
      for (const file of await readdir(server, { recursive: true })) {
        if (!file.endsWith('.ts')) continue;
        const source = await readFile(join(server, file), 'utf8');
        expect(source, file).not.toMatch(/from '[^']*(?:\.\.\/){2,}|\/(?:protocol|hub|registry|cli)\//);
      }
    }
  });

  it.each(['files', 'memory', 'tables', 'review'])(
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
      expect(normalise(manifest.permissions)).toMatchObject({
        network: [],
        secrets: [],
        subprocess: [],
        background: false,
      });
      expect(archive.length).toBeLessThan(1024 * 1024);
    },
  );

  it.each(['files', 'memory', 'tables'] as const)(
    '%s does its work in the sandbox under the limits it declares',
    { timeout: 60_000, ...verifies('skills.sandboxed') },
    async (name) => {
      const built = await buildSkill(name);
      const manifest = parseManifest(await readFile(join(SKILLS, name, 'skill.json')));
      const permissions = normalise(manifest.permissions);
      const workspace = await mkdtemp(join(tmpdir(), 'berth-granted-'));
      await writeFile(join(workspace, 'table.csv'), 'x,y\n1,2\n');
      const dataDir = join(home, `data-${name}`);
      await driver.makeOwned(dataDir);
      const sources = {
        '${workspace}': { source: workspace, target: '/workspace' },
        '${data}': { source: dataDir, target: '/data' },
      };
      const granted = permissions.filesystem.map(({ path, mode }) => ({
        ...sources[path as keyof typeof sources],
        mode,
      }));

      const running = await driver.start({
        label: name,
        packageDir: built.folder,
        runtime: { kind: 'node', entry: 'server/index.mjs', args: granted.map(({ target }) => target) },
        mounts: granted,
        dataDir,
        scratch: [],
        env: {},
        programs: [],
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
