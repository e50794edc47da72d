import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adoptableServer } from '../support/adoptable-server.ts';
import { type Berth, berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { type NpmRegistry, npmRegistry } from '../support/npm-registry.ts';
import { verifies } from '../support/verifies.ts';

const TERMINAL_TIMEOUT_MS = 60_000;

let home: string;
let work: string;
let up: Berth;
let registry: NpmRegistry;

beforeAll(async () => {
  [home, work] = [await newHome(), await newHome()];
  registry = await npmRegistry();
  up = await startBerth(home);
}, 120_000);

afterAll(async () => {
  await up.stop();
  await registry.close();
  await Promise.all([home, work].map(removeHome));
});

const adopt = (args: string[], env: Record<string, string> = {}) =>
  berth(home, ['adopt', ...args], {
    env: { npm_config_registry: registry.url, npm_config_cache: join(home, 'npm-cache'), ...env },
  });

/** Writes settings as Cursor has them. */
async function settingsOf(name: string, servers: Record<string, unknown>): Promise<string> {
  const path = join(work, name, 'mcp.json');
  await mkdir(join(work, name), { recursive: true });
  await writeFile(path, JSON.stringify({ mcpServers: servers }, undefined, 2));
  return path;
}

const backwards = (text: string) => text.split('').toReversed().join('');

describe('secrets of the settings', () => {
  const canaries = {
    variable: 'canary-variable-hunter2',
    argument: 'canary-argument-hunter2',
    file: 'canary-file-hunter2',
    plain: 'Plain Value 77',
  };

  it(
    'reach the server through the hub alone, and stand nowhere else',
    verifies('adopt.secrets'),
    async () => {
      const script = await adoptableServer(join(work, 'secretive'), {
        tools: {
          // Backwards, for the hub takes secrets out of what skills say.
          seen: `const back = (text) => [...text].reverse().join(''); return JSON.stringify({ argv: process.argv.slice(1).map(back), key: back(process.env.API_KEY), token: back(process.env.FILE_TOKEN), plain: process.env.PLAIN, cmdline: fs.readFileSync('/proc/self/cmdline', 'utf8'), node: process.env.NODE_OPTIONS ?? null, extra: Object.keys(process.env).filter((name) => name.startsWith('ARGUMENT')) });`,
        },
      });
      const settings = await settingsOf('secretive-settings', {
        secretive: {
          command: 'node',
          args: [script, '--token', canaries.argument],
          env: { API_KEY: canaries.variable, PLAIN: canaries.plain, NODE_OPTIONS: '--no-deprecation' },
          envFile: '.env',
        },
      });
      await writeFile(join(work, 'secretive-settings', '.env'), `FILE_TOKEN="${canaries.file}"\n`);
      const told = [await adopt([settings, '--dry-run']), await adopt([settings, '--yes', '--json'])];
      expect(told.map(({ code, stderr }) => [code, code === 0 ? '' : stderr])).toEqual([
        [0, ''],
        [0, ''],
      ]);
      const seen = JSON.parse((await berth(home, ['call', 'secretive', 'seen'])).stdout) as Record<
        string,
        string
      >;
      expect(seen).toEqual({
        argv: ['/skill/vendor/server.js', '--token', canaries.argument].map(backwards),
        key: backwards(canaries.variable),
        token: backwards(canaries.file),
        plain: canaries.plain,
        cmdline: expect.not.stringContaining('canary'),
        node: null,
        extra: [],
      });
      const secrets = [canaries.argument, canaries.variable, canaries.file];
      const said = told.map(({ stdout, stderr }) => stdout + stderr).join('\n') + up.log();
      for (const secret of [...secrets, canaries.plain]) expect(said).not.toContain(secret);
      // Packages, their rows and the log of the registry; the hub's own database and what it unpacked.
      for (const [path, text] of await everythingBelow(home)) {
        if (path.includes('/npm-cache/') || path.includes('/secrets')) continue;
        for (const secret of secrets) expect(text.includes(secret), `${path} holds ${secret}`).toBe(false);
        if (path.includes('/registry/')) expect(text.includes(canaries.plain), path).toBe(false);
      }
    },
  );
});

describe('a script for Python', () => {
  it('is started by the hub as its client started it', verifies('adopt.secrets'), async () => {
    const script = join(work, 'snake.py');
    await writeFile(script, PYTHON_SERVER);
    await mkdir(join(work, 'snake-notes'));
    await writeFile(join(work, 'snake-notes', 'a.txt'), '');
    const settings = await settingsOf('snake-settings', {
      snake: {
        command: 'python3',
        args: [script, join(work, 'snake-notes'), '--token=canary-argument-hunter2'],
        env: { API_KEY: 'canary-variable-hunter2', NOTES: join(work, 'snake-notes', 'a.txt') },
      },
    });
    const told = await adopt([settings, '--yes', '--json']);
    expect(told.code, told.stderr).toBe(0);
    expect(JSON.parse((await berth(home, ['call', 'snake', 'seen'])).stdout)).toEqual({
      argv: ['/skill/server/program/snake.py', '/workspace', '--token=canary-argument-hunter2'].map(
        backwards,
      ),
      key: backwards('canary-variable-hunter2'),
      notes: expect.stringMatching(/^\/.*\/a\.txt$/),
      there: true,
      extra: [],
    });
  });
});

const PYTHON_SERVER = `
import json, os, sys
def seen():
    return json.dumps({
        'argv': [word[::-1] for word in sys.argv], 'key': os.environ['API_KEY'][::-1], 'notes': os.environ['NOTES'],
        'there': os.path.exists(os.environ['NOTES']), 'extra': [name for name in os.environ if name.startswith('ARGUMENT')]})
for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get('method'), message.get('id')
    if id is None: continue
    result = {}
    if method == 'initialize': result = {'protocolVersion': '2025-11-25', 'capabilities': {'tools': {}}, 'serverInfo': {'name': 'p', 'version': '1'}}
    if method == 'tools/list': result = {'tools': [{'name': 'seen', 'inputSchema': {'type': 'object'}, 'annotations': {'readOnlyHint': True}}]}
    if method == 'tools/call': result = {'content': [{'type': 'text', 'text': seen()}]}
    print(json.dumps({'jsonrpc': '2.0', 'id': id, 'result': result}), flush=True)
`;

/** All files, those that are compressed also as they were. */
async function everythingBelow(folder: string): Promise<[string, string][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    files.map(async (path): Promise<[string, string]> => {
      const bytes = await readFile(path);
      return [path, (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString('latin1')];
    }),
  );
}

describe('what cannot be made a skill', () => {
  it(
    'is refused by itself with the reason, and the settings stay as they are',
    verifies('adopt.refuses', 'adopt.replace'),
    async () => {
      const fine = await adoptableServer(join(work, 'fine'), { tools: { hello: `return 'hello';` } });
      const native = await adoptableServer(join(work, 'native'), {
        prelude: `import addon from './addon.node'; addon;`,
        tools: {},
      });
      await writeFile(join(work, 'native', 'addon.node'), 'compiled');
      const shell = join(work, 'script.sh');
      await writeFile(shell, '#!/bin/sh\nexit 0\n');
      await chmod(shell, 0o755);
      const settings = await settingsOf('mixed', {
        fine: { command: 'node', args: [fine] },
        python: { command: 'uvx', args: ['mcp-server-git'] },
        far: { url: 'https://mcp.example.com/mcp?key=canary' },
        native: { command: 'node', args: [native] },
        absent: { command: 'npx', args: ['-y', 'no-such-package-here'] },
        shell: { command: shell },
        silent: {
          command: 'node',
          args: [await adoptableServer(join(work, 'silent'), { prelude: 'process.exit(3);', tools: {} })],
        },
      });
      const before = await readFile(settings);
      const { code, json } = await adopt([settings, '--yes', '--replace', '--json']);
      expect(code).toBe(1);
      const states = Object.fromEntries(
        (json.data['servers'] as { server: string; state: string; error?: { detail: string } }[]).map(
          ({ server, state, error }) => [server, [state, error?.detail ?? '']],
        ),
      );
      expect(states).toEqual({
        fine: ['adopted', ''],
        python: ['refused', expect.stringContaining('Python')],
        far: ['refused', expect.stringContaining('https://mcp.example.com/mcp:')],
        native: ['refused', expect.stringContaining('native addon')],
        absent: ['refused', expect.stringContaining('npm could not install')],
        shell: ['refused', expect.stringContaining('neither a script for Node nor a binary')],
        silent: ['refused', expect.stringContaining('failed')],
      });
      expect(JSON.stringify(json)).not.toContain('canary');
      expect(json.warnings.join(' ')).toContain('--except python --except far');
      expect(await readFile(settings)).toEqual(before);
      expect(await readdir(join(work, 'mixed'))).toEqual(['mcp.json']);
      expect((await berth(home, ['call', 'fine', 'hello'])).stdout).toBe('hello\n');
      expect(JSON.stringify(await up.ok('clients', 'ls'))).not.toContain('adopted');
    },
  );

  it(
    'alone is an error, and without a person --yes is named',
    verifies('adopt.refuses', 'cli.asks-only-people'),
    async () => {
      const settings = await settingsOf('snake', { snake: { command: 'python', args: ['-m', 'x'] } });
      const refused = await adopt([settings, '--yes', '--json']);
      expect([refused.code, refused.json.error['code']]).toEqual([1, 'not-adoptable']);
      const unasked = await adopt([settings]);
      expect([unasked.code, unasked.stderr]).toEqual([2, expect.stringContaining('--yes')]);
      expect((await adopt([settings, '--yes', '--except', 'nobody'])).stderr).toContain('nobody');
    },
  );
});

describe('what a server wants', () => {
  let listener: Server;
  let visits = 0;

  beforeAll(async () => {
    listener = createServer((_request, response) => {
      visits += 1;
      response.end();
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => void listener.close());

  it(
    'is seen with the calls of the user, without any of it being granted meanwhile',
    verifies('adopt.least', 'adopt.report'),
    async () => {
      const script = await adoptableServer(join(work, 'wanting'), {
        tools: {
          read: `return fs.readFileSync(args.path, 'utf8');`,
          fetch: `try { return await (await fetch(args.url)).text(); } catch (error) { throw new Error(error.cause?.message ?? error.message); }`,
          run: `const { spawn } = await import('node:child_process'); return new Promise((_done, fail) => spawn('git', ['--version']).on('error', fail));`,
        },
      });
      await mkdir(join(work, 'notes'));
      await writeFile(join(work, 'notes', 'a.txt'), 'a note');
      const port = (listener.address() as { port: number }).port;
      const calls = join(work, 'calls.json');
      await writeFile(
        calls,
        JSON.stringify([
          { tool: 'read', arguments: { path: '/etc/hostname' } },
          { tool: 'fetch', arguments: { url: `http://127.0.0.1:${port}/` } },
          { server: 'wanting', tool: 'fetch', arguments: { url: 'https://api.berth.test/' } },
          { tool: 'run' },
        ]),
      );
      const settings = await settingsOf('wanting-settings', {
        wanting: { command: 'node', args: [script, join(work, 'notes')] },
      });
      const { code, json, stdout } = await adopt([settings, '--dry-run', '--calls', calls, '--json']);
      expect(code, stdout).toBe(0);
      const [report] = json.data['servers'] as { can: string[]; used: string[]; summary: string }[];
      // Every tool of it only reads, so the folder that its settings name is not to be written.
      expect(report?.can).toContain(`It can read files in ${join(work, 'notes')}`);
      expect(report?.can).toContain('It can connect to api.berth.test:443 (encrypted)');
      expect(report?.can).toContain('It can run the program git');
      expect(report?.used.join(' ')).toContain(
        'It was watched while 4 tools ran, with nothing granted; 0 of them answered',
      );
      expect(report?.summary).toContain('one folder and one host');
      expect(visits).toBe(0);
      expect(JSON.stringify(await up.ok('list'))).not.toContain('wanting');
    },
  );

  it(
    'and is called alike, with other folders, does not take the place of another',
    verifies('adopt.least'),
    async () => {
      const script = await adoptableServer(join(work, 'twin'), {
        tools: { list: `return fs.readdirSync(process.argv[2]).join();` },
      });
      for (const name of ['one', 'two']) {
        await mkdir(join(work, name));
        await writeFile(join(work, name, `${name}.txt`), '');
        const settings = await settingsOf(`twin-${name}`, {
          twin: { command: 'node', args: [script, join(work, name)] },
        });
        expect((await adopt([settings, '--yes'])).code).toBe(0);
      }
      // The same again changes nothing.
      expect((await adopt([join(work, 'twin-two', 'mcp.json'), '--yes'])).code).toBe(0);
      expect((await berth(home, ['call', 'local.adopted/twin', 'list'])).stdout).toBe('one.txt\n');
      expect((await berth(home, ['call', 'local.adopted/twin-2', 'list'])).stdout).toBe('two.txt\n');
      expect(JSON.stringify(await up.ok('list'))).not.toContain('twin-3');
    },
  );
});

describe('at a terminal', () => {
  const asked = async (line: string, answers: readonly { to: string; keys: string }[]) => {
    const program = join(import.meta.dirname, '../../cli/berth.js');
    const command = `stty cols 160 rows 60; exec '${process.execPath}' '${program}' ${line}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { PATH: process.env['PATH'], HOME: home, BERTH_HOME: home, TERM: 'xterm', MY_KEY: 'x' },
      cwd: home,
    });
    const left = [...answers];
    let [shown, at] = ['', 0];
    child.stdout.on('data', (chunk: Buffer) => {
      shown += stripVTControlCharacters(chunk.toString('utf8'));
      for (;;) {
        const [next] = left;
        const found = next === undefined ? -1 : shown.indexOf(next.to, at);
        if (next === undefined || found < 0) return;
        at = found + next.to.length;
        left.shift();
        child.stdin.write(next.keys);
      }
    });
    // What is not answered in time is shown, rather than that time is over.
    const timer = setTimeout(() => child.kill(), TERMINAL_TIMEOUT_MS);
    const [code] = (await once(child, 'close').finally(() => clearTimeout(timer))) as [number];
    expect(left, shown).toEqual([]);
    return { code, shown };
  };

  it(
    'one screen says all, and Esc changes nothing',
    verifies('adopt.report', 'cli.asks-only-people'),
    async () => {
      const script = await adoptableServer(join(work, 'asked'), {
        tools: { hello: `return [...process.env.KEY].reverse().join('');` },
      });
      const path = join(work, 'asked-settings', '.vscode', 'mcp.json');
      await mkdir(join(work, 'asked-settings', '.vscode'), { recursive: true });
      await writeFile(
        path,
        JSON.stringify({
          inputs: [
            { id: 'key', type: 'promptString', description: 'The key of the service', password: true },
          ],
          servers: {
            asked: { type: 'stdio', command: 'node', args: [script], env: { KEY: '${input:key}' } },
          },
        }),
      );
      const key = { to: 'The key of the service', keys: 'typed-canary\r' };
      const left = await asked(`adopt ${path}`, [
        key,
        { to: 'Lock it to that?', keys: '' },
        { to: 'Yes, exactly that', keys: '\u001b' },
      ]);
      expect(left.code, left.shown).toBe(130);
      expect(left.shown).toMatch(/Until now[\s\S]*Seen[\s\S]*Proposed[\s\S]*It can read the secret KEY/);
      expect(left.shown).not.toContain('typed-canary');
      expect(JSON.stringify(await up.ok('list'))).not.toContain('adopted/asked');
      const taken = await asked(`adopt ${path}`, [key, { to: 'Yes, exactly that', keys: '\r' }]);
      expect(taken.code, taken.shown).toBe(0);
      expect((await berth(home, ['call', 'asked', 'hello'])).stdout).toBe(`${backwards('typed-canary')}\n`);
    },
  );
});
