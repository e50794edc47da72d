import { describe, expect, it } from 'vitest';
import { readClientConfig } from '../../../cli/adopt/configs.ts';
import { onlyPlace, usualPlaces } from '../../../cli/adopt/places.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';
import { join } from 'node:path';
import { writeFile, mkdir } from 'node:fs/promises';

const local = (command: string, args: string[] = [], more: object = {}) => ({
  kind: 'local',
  command,
  args,
  env: {},
  passedOn: [],
  envFiles: [],
  cwd: undefined,
  ...more,
});

describe('the settings of', () => {
  // modelcontextprotocol.io, Connect to local MCP servers.
  it('Claude Desktop name servers in mcpServers', verifies('adopt.configs'), () => {
    const text = JSON.stringify({
      mcpServers: {
        filesystem: {
          command: 'npx',
          args: ['-y', '@modelcontextprotocol/server-filesystem', '/home/ada/notes'],
        },
        weather: { command: 'weather', env: { KEY: 'x' } },
      },
    });
    const config = readClientConfig(text, '/home/ada/.config/Claude/claude_desktop_config.json');
    expect(config).toMatchObject({ client: 'claude-desktop', syntax: 'json', container: ['mcpServers'] });
    expect(config.servers).toEqual([
      {
        name: 'filesystem',
        at: ['mcpServers', 'filesystem'],
        disabled: false,
        way: local('npx', ['-y', '@modelcontextprotocol/server-filesystem', '/home/ada/notes']),
      },
      {
        name: 'weather',
        at: ['mcpServers', 'weather'],
        disabled: false,
        way: local('weather', [], { env: { KEY: 'x' } }),
      },
    ]);
  });

  // code.claude.com, MCP: scopes; ~/.claude.json has servers of the user and, by path, of projects.
  it('Claude Code name those of the user and of this one project', verifies('adopt.configs'), () => {
    const text = JSON.stringify({
      numStartups: 7,
      mcpServers: { mine: { type: 'stdio', command: 'a' } },
      projects: {
        '/projects/here': { mcpServers: { ours: { command: 'b' } } },
        '/projects/there': { mcpServers: { theirs: { command: 'c' } } },
      },
    });
    const { servers, client } = readClientConfig(text, '/home/ada/.claude.json', '/projects/here');
    expect(client).toBe('claude');
    expect(servers.map(({ at }) => at.join('>'))).toEqual([
      'mcpServers>mine',
      'projects>/projects/here>mcpServers>ours',
    ]);
    const remote = '{"mcpServers":{"x":{"type":"http","url":"https://example.com/mcp"}}}';
    expect(readClientConfig(remote, '/projects/.mcp.json').servers[0]?.way).toEqual({
      kind: 'remote',
      url: 'https://example.com/mcp',
    });
  });

  // code.visualstudio.com, MCP configuration reference: servers, inputs, envFile; comments are fine.
  it('VS Code name them in servers, with inputs and comments', verifies('adopt.configs'), () => {
    const text = `{
      // asked once
      "inputs": [{ "type": "promptString", "id": "key", "description": "API key", "password": true }],
      "servers": {
        "perplexity": {
          "type": "stdio", "command": "npx", "args": ["-y", "perplexity-mcp"],
          "env": { "KEY": "\${input:key}", "GONE": null, "COUNT": 3 }, "envFile": "\${workspaceFolder}/.env",
        },
        "github": { "type": "http", "url": "https://api.githubcopilot.com/mcp" },
      },
    }`;
    const config = readClientConfig(text, '/projects/.vscode/mcp.json');
    expect(config).toMatchObject({ client: 'vscode', lenient: true, container: ['servers'] });
    expect(config.inputs).toEqual([{ id: 'key', description: 'API key', password: true }]);
    expect(config.servers[0]?.way).toEqual(
      local('npx', ['-y', 'perplexity-mcp'], {
        env: { KEY: '${input:key}', COUNT: '3' },
        envFiles: ['${workspaceFolder}/.env'],
      }),
    );
    const settings = `{ "editor.tabSize": 2, "mcp": { "servers": { "a": { "command": "b" } }, } }`;
    expect(readClientConfig(settings, '/home/ada/.config/Code/User/settings.json')).toMatchObject({
      client: 'vscode',
      container: ['mcp', 'servers'],
    });
  });

  // cursor.com, Model Context Protocol.
  it('Cursor are read by their place, and may switch servers off', verifies('adopt.configs'), () => {
    const text = '{ "mcpServers": { "a": { "command": "b", "disabled": true }, }, } // mine';
    const config = readClientConfig(text, '/home/ada/.cursor/mcp.json');
    expect(config).toMatchObject({ client: 'cursor', lenient: true });
    expect(config.servers[0]?.disabled).toBe(true);
  });

  // developers.openai.com/codex/mcp: config.toml.
  it('Codex are TOML', verifies('adopt.configs'), () => {
    const text = `model = "o9"
[mcp_servers.docs]
command = "npx"
args = ["-y", "docs-mcp"]
env_vars = ["TOKEN", { name = "OTHER" }]
cwd = "/work"
[mcp_servers.docs.env]
LEVEL = "debug"
[mcp_servers.off]
command = "x"
enabled = false
`;
    const config = readClientConfig(text, '/home/ada/.codex/config.toml');
    expect(config).toMatchObject({ client: 'codex', syntax: 'toml', container: ['mcp_servers'] });
    expect(config.servers.map(({ name, disabled }) => [name, disabled])).toEqual([
      ['docs', false],
      ['off', true],
    ]);
    expect(config.servers[0]?.way).toEqual(
      local('npx', ['-y', 'docs-mcp'], {
        env: { LEVEL: 'debug' },
        passedOn: ['TOKEN', 'OTHER'],
        cwd: '/work',
      }),
    );
  });

  it('any other client with mcpServers are read alike', () => {
    const { client, servers } = readClientConfig('\ufeff{"mcpServers":{"a":{"command":"b"}}}', '/x/mcp.json');
    expect([client, servers.length]).toEqual(['json', 1]);
  });
});

describe('settings that cannot be right', () => {
  it.each([
    ['comments where the client reads none', '/x/.mcp.json', '{ /* no */ "mcpServers": {} }', 'strict JSON'],
    ['half a file', '/x/mcp.json', '{ "mcpServers": ', 'line 1'],
    ['TOML that is none', '/x/config.toml', '[mcp_servers', 'not TOML'],
    ['no servers', '/x/mcp.json', '{ "mcpServers": {} }', 'no MCP servers'],
    [
      'a name that steers a terminal',
      '/x/mcp.json',
      '{"mcpServers":{"a\\u001b[2J":{"command":"b"}}}',
      'invisible',
    ],
    ['a list', '/x/mcp.json', '[]', 'no object'],
    ['a server without a way', '/x/mcp.json', '{"mcpServers":{"a":{}}}', 'mcpServers.a'],
    [
      'arguments that are no list',
      '/x/mcp.json',
      '{"mcpServers":{"a":{"command":"b","args":"c"}}}',
      'mcpServers.a.args',
    ],
    [
      'too many servers',
      '/x/mcp.json',
      JSON.stringify({
        mcpServers: Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`s${at}`, { command: 'x' }])),
      }),
      '100',
    ],
  ])('are refused with the place: %s', verifies('adopt.configs'), async (_what, path, text, words) => {
    const error = await expectCode(() => readClientConfig(text, path), 'config-invalid');
    expect(error.message).toContain(words);
  });
});

describe('without a file', () => {
  it('the usual places are looked through, and several are listed', verifies('adopt.configs'), async () => {
    const [userHome, project] = [await tempFolder(), await tempFolder()];
    const places = usualPlaces({ userHome, configHome: undefined, codexHome: undefined, project });
    const none = await expectCode(() => onlyPlace(places, () => true), 'usage-invalid');
    expect(none.hint).toContain('berth adopt -- ');
    await writeFile(join(project, '.mcp.json'), '{}');
    expect(onlyPlace(places, () => true)).toBe(join(project, '.mcp.json'));
    await mkdir(join(userHome, '.cursor'));
    await writeFile(join(userHome, '.cursor', 'mcp.json'), '{}');
    const several = await expectCode(() => onlyPlace(places, () => true), 'usage-invalid');
    expect(several.data?.['found']).toEqual([
      join(project, '.mcp.json'),
      join(userHome, '.cursor', 'mcp.json'),
    ]);
    expect(onlyPlace(places, (path) => path.includes('.cursor'))).toContain('.cursor');
  });
});
