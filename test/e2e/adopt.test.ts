import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Berth, berth, newHome, type Ran, removeHome, startBerth } from '../support/berth.ts';
import { type NpmRegistry, npmRegistry } from '../support/npm-registry.ts';
import { verifies } from '../support/verifies.ts';

/** The four reference servers as people have them in the settings of a client, with remarks and a server besides. */
const SETTINGS = (workspace: string) => `{
  // what I work with
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", ${JSON.stringify(workspace)}],
    },
    "memory": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-memory"] },
    /* thinks */ "sequential-thinking": {
      "command": "npx", "args": ["-y", "@modelcontextprotocol/server-sequential-thinking@2026.8.31"]
    },
    "everything": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-everything"] },
    "off": { "command": "docker", "args": ["run", "x"], "disabled": true },
  },
  "theme": "dark"
}
`;

let home: string;
let project: string;
let workspace: string;
let settings: string;
let registry: NpmRegistry;
let up: Berth;
/** What adopting with \`--replace\` answered. */
let adopted: Ran;
let original: Buffer;

const adopt = (...args: string[]) =>
  berth(home, ['adopt', ...args, '--json'], {
    env: { npm_config_registry: registry.url, npm_config_cache: join(home, 'npm-cache') },
  });

beforeAll(async () => {
  [home, project, workspace] = [await newHome(), await newHome(), await newHome()];
  await writeFile(join(workspace, 'hello.txt'), 'hello from the workspace\n');
  await mkdir(join(project, '.cursor'));
  settings = join(project, '.cursor', 'mcp.json');
  await writeFile(settings, SETTINGS(workspace), { mode: 0o640 });
  original = await readFile(settings);
  registry = await npmRegistry();
  up = await startBerth(home);
  adopted = await adopt(settings, '--yes', '--replace', '--allow-tool', '*');
}, 300_000);

afterAll(async () => {
  await up.stop();
  await registry.close();
  await Promise.all([home, project, workspace].map(removeHome));
});

interface Server {
  server: string;
  state: string;
  skill: string;
  version: string;
  can: string[];
  before: string[];
  used: string[];
  summary: string;
}

const servers = () => adopted.json.data['servers'] as Server[];
const server = (name: string) => servers().find((one) => one.server === name);

describe('adopting the four reference servers', () => {
  it('makes a skill of each, and leaves what is switched off', verifies('adopt.four'), () => {
    expect(adopted.code, adopted.stdout + adopted.stderr).toBe(0);
    expect(servers().map(({ server: name, state }) => [name, state])).toEqual([
      ['filesystem', 'adopted'],
      ['memory', 'adopted'],
      ['sequential-thinking', 'adopted'],
      ['everything', 'adopted'],
      ['off', 'left'],
    ]);
  });

  it('grants each what it needs and nothing else', verifies('adopt.least'), async () => {
    const skills = (await up.ok('list')) as unknown as {
      name: string;
      state: string;
      grants: { permission: string }[];
      workspace?: string;
    }[];
    const granted = Object.fromEntries(
      skills.map(({ name, state, grants }) => [
        name.replace('local.adopted/', ''),
        [state, ...grants.map(({ permission }) => permission).filter((id) => !id.startsWith('resources'))],
      ]),
    );
    expect(granted).toEqual({
      filesystem: ['ready', 'filesystem:${workspace}'],
      memory: ['ready', 'filesystem:${data}'],
      'sequential-thinking': ['ready'],
      // Where one of its tools goes unless it is told otherwise.
      everything: [
        ...['ready', 'network:raw.githubusercontent.com:443'],
        ...['mcp:sampling', 'mcp:elicitation', 'mcp:roots'],
      ],
    });
    expect(skills.find(({ name }) => name.endsWith('/filesystem'))?.workspace).toBe(workspace);
  });

  it('says what each could reach before, what was seen, and how', verifies('adopt.report'), () => {
    expect(server('filesystem')?.before.join(' ')).toMatch(/outside of any sandbox.*whichever version/);
    expect(server('sequential-thinking')?.before.join(' ')).not.toContain('whichever version');
    expect(server('filesystem')?.used.join(' ')).toContain('It was watched while 14 tools ran');
    expect(server('filesystem')?.summary).toMatch(
      /could read and change .*one folder and no host\. Lock it to that\?/,
    );
    expect(server('filesystem')?.can.join(' ')).toContain(`It can read and write files in ${workspace}`);
  });

  it(
    'puts Berth in their place, through which they work',
    verifies('adopt.four', 'adopt.replace'),
    async () => {
      const text = await readFile(settings, 'utf8');
      expect(text).toContain('// what I work with');
      expect(text).toContain('"theme": "dark"');
      expect(text).toContain('"off"');
      expect(text).not.toContain('server-filesystem');
      const entry = /"berth": (\{[^}]*\})/.exec(text)?.[1] ?? '';
      const { command, args } = JSON.parse(entry) as { command: string; args: string[] };

      const client = new Client({ name: 'e2e', version: '1.0.0' });
      await client.connect(
        new StdioClientTransport({
          command,
          args,
          env: { PATH: process.env['PATH'] ?? '', HOME: home },
          stderr: 'ignore',
        }),
      );
      const call = async (name: string, given: Record<string, unknown>) =>
        JSON.stringify(await client.callTool({ name, arguments: given }));
      expect(await call('filesystem__read_text_file', { path: '/workspace/hello.txt' })).toContain(
        'hello from',
      );
      expect(await call('filesystem__read_text_file', { path: '/etc/hostname' }).catch(String)).toMatch(
        /denied|outside/,
      );
      const entities = [{ name: 'Ada', entityType: 'person', observations: ['wrote the first program'] }];
      await call('memory__create_entities', { entities });
      expect(await call('memory__search_nodes', { query: 'Ada' })).toContain('wrote the first program');
      const thought = { thought: 'First.', thoughtNumber: 1, totalThoughts: 1, nextThoughtNeeded: false };
      expect(await call('sequential-thinking__sequentialthinking', thought)).toContain(
        'thoughtHistoryLength',
      );
      expect(await call('everything__get-sum', { a: 2, b: 3 })).toContain('is 5');
      // It reads that file beside its code, where it lay in its own package.
      const document = await client.readResource({ uri: 'demo://resource/static/document/features.md' });
      expect(JSON.stringify(document)).toContain('Everything Server');
      await client.close();
    },
  );

  it(
    'keeps a backup for this account alone, and the rights of the settings',
    verifies('adopt.replace'),
    async () => {
      const { backup } = adopted.json.data['replaced'] as { backup: string };
      expect(await readFile(backup)).toEqual(original);
      expect((await stat(backup)).mode & 0o777).toBe(0o600);
      expect((await stat(settings)).mode & 0o777).toBe(0o640);
      expect(adopted.json.data['undo']).toContain(`berth adopt --undo ${backup}`);
    },
  );

  it(
    'is not taken back over a later change, and else byte for byte, with the token',
    verifies('adopt.undo'),
    async () => {
      const { backup, client } = adopted.json.data['replaced'] as { backup: string; client: string };
      const replaced = await readFile(settings);
      await writeFile(settings, `${replaced.toString('utf8')}\n`);
      const refused = await adopt('--undo', backup);
      expect([refused.code, refused.json.error['code']]).toEqual([8, 'client-config-changed']);
      await writeFile(settings, replaced);
      expect((await adopt('--undo', backup)).code).toBe(0);
      expect(await readFile(settings)).toEqual(original);
      expect((await stat(settings)).mode & 0o777).toBe(0o640);
      expect(await readdir(join(project, '.cursor'))).toEqual(['mcp.json']);
      expect(JSON.stringify(await up.ok('clients', 'ls'))).not.toContain(`"${client}"`);
      expect((await adopt('--undo', backup)).code).toBe(2);
    },
  );
});
