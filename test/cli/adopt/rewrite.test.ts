import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseJsonc } from 'jsonc-parser';
import { describe, expect, it } from 'vitest';
import { replaceConfig, replacedConfig, restoreConfig } from '../../../cli/adopt/backup.ts';
import { readClientConfig } from '../../../cli/adopt/configs.ts';
import { rewritten } from '../../../cli/adopt/rewrite.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const way = { command: '/usr/bin/node', args: ['/opt/berth.js', 'proxy', '--client', 'x'] };

/** The text after its servers of these names are replaced. */
function after(text: string, path: string, names: readonly string[]): string {
  const config = readClientConfig(text, path);
  return rewritten(
    text,
    config,
    config.servers.filter(({ name }) => names.includes(name)),
    way,
  );
}

describe('settings in JSON', () => {
  it(
    'keep comments, order and the rest; the entry has the form of the client',
    verifies('adopt.replace'),
    () => {
      const text =
        '{\n\t// mine\n\t"servers": {\n\t\t"a": { "command": "x" }, // goes\n\t\t"b": { "command": "y" }, // stays\n\t},\n\t"inputs": [], /* end */\n}\n';
      const result = after(text, '/w/.vscode/mcp.json', ['a']);
      expect(result).toContain('// mine');
      expect(result).toContain('"b": { "command": "y" }, // stays');
      expect(result).toContain('"inputs": [], /* end */');
      expect(result).toContain('\n\t\t"berth": {\n\t\t\t"type": "stdio"');
      expect(parseJsonc(result)).toEqual({
        servers: { b: { command: 'y' }, berth: { type: 'stdio', ...way } },
        inputs: [],
      });
    },
  );

  it('are the same with Windows line ends and a byte order mark', verifies('adopt.replace'), () => {
    const text =
      '\ufeff{\r\n    "mcpServers": {\r\n        "a": { "command": "x" }\r\n    },\r\n    "z": 1\r\n}\r\n';
    const result = after(text, '/w/mcp.json', ['a']);
    expect(result.startsWith('\ufeff{\r\n')).toBe(true);
    expect(result.replaceAll('\r\n', '')).not.toContain('\n');
    expect(JSON.parse(result.slice(1))).toEqual({ mcpServers: { berth: { type: 'stdio', ...way } }, z: 1 });
  });

  it(
    'that hold nothing else end up with Berth alone, trailing comma or not',
    verifies('adopt.replace'),
    () => {
      for (const text of [
        '{"mcpServers":{"a":{"command":"x"}}}',
        '{ "mcpServers": { "a": { "command": "x" }, }, }',
      ]) {
        const result = parseJsonc(after(text, '/w/mcp.json', ['a'])) as unknown;
        expect(result).toEqual({ mcpServers: { berth: { type: 'stdio', ...way } } });
      }
    },
  );

  it(
    'keep an entry of Berth that is there, and replace a server of that name',
    verifies('adopt.replace'),
    () => {
      const text = '{"mcpServers":{"berth":{"command":"y"},"a":{"command":"x"}}}';
      const config = readClientConfig(text, '/w/mcp.json');
      const [own, a] = config.servers;
      expect(rewritten(text, config, a === undefined ? [] : [a], undefined)).toBe(
        '{"mcpServers":{"berth":{"command":"y"}}}',
      );
      expect(JSON.parse(rewritten(text, config, own === undefined ? [] : [own], way))).toEqual({
        mcpServers: { berth: { type: 'stdio', ...way }, a: { command: 'x' } },
      });
      expect(() => rewritten(text, config, a === undefined ? [] : [a], way)).toThrow('cannot be replaced');
    },
  );

  it('with a server twice are left alone', verifies('adopt.replace'), async () => {
    const text = '{"mcpServers":{"a":{"command":"x"},"a":{"command":"y"}}}';
    await expectCode(() => after(text, '/w/mcp.json', ['a']), 'config-invalid');
  });
});

describe('settings in TOML', () => {
  const text = `# of Codex
model = "o9" # the best
[mcp_servers.a]
command = "npx" # goes
args = [
  "-y",
]
# about b
[mcp_servers.b]
command = "y"
[mcp_servers.a.env]
X = "[mcp_servers.b]"

[profiles.fast]
model = "o9-mini"
`;

  it('lose the tables of the servers alone', verifies('adopt.replace'), () => {
    const result = after(text, '/h/.codex/config.toml', ['a']);
    expect(result).toBe(`# of Codex
model = "o9" # the best
# about b
[mcp_servers.b]
command = "y"

[profiles.fast]
model = "o9-mini"

[mcp_servers.berth]
command = "/usr/bin/node"
args = ["/opt/berth.js", "proxy", "--client", "x"]
`);
  });

  it.each([
    ['in one line', '[mcp_servers]\na = { command = "x" }\nb = { command = "y" }\n'],
    ['by dotted keys', 'mcp_servers.a.command = "x"\nmcp_servers.b.command = "y"\n'],
  ])('with servers %s are left alone', verifies('adopt.replace'), async (_how, other) => {
    await expectCode(() => after(other, '/h/.codex/config.toml', ['a']), 'config-invalid');
  });

  it('with a text that looks like a table are left alone', verifies('adopt.replace'), async () => {
    const tricky = '[mcp_servers.a]\ncommand = "x"\nnote = """\n[other]\nkept = 1\n"""\n[z]\ny = 1\n';
    await expectCode(() => after(tricky, '/h/.codex/config.toml', ['a']), 'config-invalid');
  });
});

describe('a replaced file', () => {
  const files = async () => {
    const [home, folder] = [await tempFolder(), await tempFolder()];
    const path = join(folder, 'mcp.json');
    await writeFile(path, '{ "a": 1 }\n');
    await chmod(path, 0o604);
    return { home, folder, path, read: await readFile(path) };
  };
  const now = new Date('2026-11-27T06:14:34.000Z');

  it(
    'comes back with the same bytes and rights, also where it is a link',
    verifies('adopt.undo'),
    async () => {
      const { home, folder, path, read } = await files();
      const link = join(folder, 'link.json');
      await symlink(path, link);
      const record = await replaceConfig({ home, now }, { path: link, read, text: '{}', client: 'x' });
      expect(record.backup).toBe(`${path}.before-berth-20261127T061434Z`);
      expect([await readFile(path, 'utf8'), (await stat(path)).mode & 0o777]).toEqual(['{}', 0o604]);
      expect((await stat(record.backup)).mode & 0o777).toBe(0o600);
      const again = await replaceConfig(
        { home, now },
        { path, read: Buffer.from('{}'), text: '[]', client: 'y' },
      );
      expect(again.backup).toBe(`${record.backup}-2`);
      await expectCode(
        restoreConfig(home, await replacedConfig(home, record.backup)),
        'client-config-changed',
      );
      await restoreConfig(home, await replacedConfig(home, again.backup));
      await restoreConfig(home, await replacedConfig(home, record.backup));
      expect([await readFile(path), (await stat(path)).mode & 0o777]).toEqual([read, 0o604]);
      expect((await readdir(folder)).toSorted()).toEqual(['link.json', 'mcp.json']);
      expect(await readdir(join(home, 'replaced-configs'))).toEqual([]);
    },
  );

  it(
    'that somebody changed meanwhile is left alone, and no backup of it',
    verifies('adopt.replace'),
    async () => {
      const { home, folder, path, read } = await files();
      await writeFile(path, 'theirs');
      await expectCode(
        replaceConfig({ home, now }, { path, read, text: '{}', client: 'x' }),
        'client-config-changed',
      );
      expect(await readFile(path, 'utf8')).toBe('theirs');
      expect(await readdir(folder)).toEqual(['mcp.json']);
      expect(await readdir(join(home, 'replaced-configs'))).toEqual([]);
    },
  );

  it('is not put back from another backup than was kept', verifies('adopt.undo'), async () => {
    const { home, path, read } = await files();
    const record = await replaceConfig({ home, now }, { path, read, text: '{}', client: 'x' });
    await writeFile(record.backup, 'forged');
    await expectCode(restoreConfig(home, record), 'files-changed');
    expect(await readFile(path, 'utf8')).toBe('{}');
    await expectCode(replacedConfig(home, path), 'usage-invalid');
    await mkdir(join(home, 'other'));
    await expectCode(replacedConfig(join(home, 'other'), record.backup), 'usage-invalid');
  });
});
