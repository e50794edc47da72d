import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appears } from '../support/appears.ts';
import { type Berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { verifies } from '../support/verifies.ts';

const root = join(import.meta.dirname, '../..');
const info = { name: 'e2e', version: '1.0.0' };
const PORTS = ['up', '--json', '--hub-port', '0', '--registry-port', '0'];

let home: string;
let workspace: string;
let up: Berth;
/** What `clients add --print` said to start. */
let entry: { command: string; args: string[] };

beforeAll(async () => {
  home = await newHome();
  workspace = await newHome();
  up = await startBerth(home, { args: PORTS });
  await up.ok('publish', join(root, 'test/e2e/probe'));
  await up.ok('install', 'local.e2e/probe', '--yes', '--workspace', workspace, '--allow-tool', '*');
  const added = await up.ok('clients', 'add', 'desktop', '--print', 'claude-desktop');
  entry = added['entry'].json.mcpServers.berth;
});

afterAll(async () => {
  await up.stop();
  await removeHome(home);
  await removeHome(workspace);
});

interface Driven {
  list(): Promise<string[]>;
  call(
    name: string,
    args: Record<string, unknown>,
    more?: { onprogress?: () => void; signal?: AbortSignal },
  ): Promise<any>;
  close(): Promise<void>;
}

const started = (more: string[] = []) => ({
  command: entry.command,
  args: [...entry.args, ...more],
  stderr: 'ignore' as const,
  // As a client with windows starts it: nothing of Berth in the environment.
  env: { PATH: '/usr/bin:/bin', HOME: home },
});

async function v1(more?: string[]): Promise<Driven> {
  const client = new V1Client(info);
  await client.connect(new V1Transport(started(more)));
  return {
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    close: () => client.close(),
  };
}

async function v2(mode: 'legacy' | 'auto' | { pin: string }, more?: string[]): Promise<Driven> {
  const client = new Client(info, { versionNegotiation: { mode } });
  await client.connect(new StdioClientTransport(started(more)));
  return {
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (name, args, options) => client.callTool({ name, arguments: args }, options),
    close: () => client.close(),
  };
}

const CLIENTS = [
  ['v1', (more?: string[]) => v1(more)],
  ['v2-legacy', (more?: string[]) => v2('legacy', more)],
  ['v2-auto', (more?: string[]) => v2('auto', more)],
  ['v2-modern', (more?: string[]) => v2({ pin: '2026-07-28' }, more)],
] as const;

describe.each(CLIENTS)('the %s client on a pipe', (name, connect) => {
  it(
    'lists, calls, hears progress and cancels, through to the skill',
    verifies('proxy.both-eras'),
    async () => {
      const client = await connect();
      expect(await client.list()).toEqual(expect.arrayContaining(['probe__count', 'probe__wait']));

      // An SDK's client forgets who listens as soon as the result is there, also where both come at once.
      const heard = `piped-${name}.heard`;
      const onprogress = () => writeFileSync(join(workspace, heard), '');
      const counted = await client.call('probe__count', { to: 5, heard }, { onprogress });
      expect(counted.content[0].text).toBe('counted to 5');

      const stop = new AbortController();
      const note = `piped-${name}`;
      const waiting = client.call('probe__wait', { note }, { signal: stop.signal });
      await appears(join(workspace, `${note}.waiting`));
      stop.abort();
      await expect(waiting).rejects.toThrow();
      await appears(join(workspace, `${note}.cancelled`));
      await client.close();
    },
  );

  it('sees one skill under its own names', verifies('proxy.both-eras'), async () => {
    const client = await connect(['--skill', 'local.e2e/probe']);
    expect(await client.list()).toContain('count');
    await client.close();
  });

  it(
    'is told that the hub is down and what became of its call, and goes on when it is up',
    verifies('proxy.hub-restarts'),
    async () => {
      const client = await connect();
      const note = `killed-${name}`;
      const waiting = client.call('probe__wait', { note });
      await appears(join(workspace, `${note}.waiting`));
      const killed = expect(waiting).rejects.toThrow(/not known whether this was done/);
      await up.kill();
      await killed;
      await expect(client.call('probe__count', { to: 1 })).rejects.toThrow(/not running.*Nothing was done/);

      up = await startBerth(home, { args: PORTS });
      const counted = await client.call('probe__count', { to: 2 });
      expect(counted.content[0].text).toBe('counted to 2');
      await client.close();
    },
  );
});

/** A proxy as a client sees it: lines in, lines out. */
function piped(...args: string[]) {
  const child = spawn(entry.command, [entry.args[0] ?? '', 'proxy', '--home', home, ...args], {
    env: { PATH: '/usr/bin:/bin', HOME: home },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    ended: once(child, 'close').then(([code]) => code as number | null),
    stderr: () => stderr,
    say: (message: unknown) => child.stdin.write(`${JSON.stringify(message)}\n`),
    hear: async () => JSON.parse((await lines.next()).value as string),
    rest: async () => {
      const all: unknown[] = [];
      for (let next = await lines.next(); next.done !== true; next = await lines.next())
        all.push(JSON.parse(next.value));
      return all;
    },
  };
}

const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': info,
  'io.modelcontextprotocol/clientCapabilities': {},
};
const call = (id: number, tool: string, args: unknown) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: `probe__${tool}`, arguments: args, _meta: modernMeta },
});

describe('berth proxy', () => {
  it('ends after the last answer when the client closes its side', verifies('proxy.ends'), async () => {
    const proxy = piped('--client', 'desktop');
    proxy.say(call(1, 'count', { to: 3 }));
    proxy.say({
      jsonrpc: '2.0',
      id: 2,
      method: 'subscriptions/listen',
      params: { notifications: { toolsListChanged: true }, _meta: modernMeta },
    });
    proxy.child.stdin.end();
    const heard = await proxy.rest();
    expect(heard).toContainEqual(expect.objectContaining({ id: 1, result: expect.anything() }));
    expect([await proxy.ended, proxy.stderr()]).toEqual([0, '']);
  });

  it('ends at once on SIGTERM, and cancels what is open', verifies('proxy.ends'), async () => {
    const proxy = piped('--client', 'desktop');
    proxy.say(call(1, 'wait', { note: 'terminated' }));
    await appears(join(workspace, 'terminated.waiting'));
    proxy.child.kill('SIGTERM');
    expect(await proxy.ended).toBe(0);
    await appears(join(workspace, 'terminated.cancelled'));
  });

  it(
    'keeps its token in the home, and forgets it with the client',
    verifies('proxy.token-in-home'),
    async () => {
      const added = await up.ok('clients', 'add', 'other', '--proxy', '--print', 'vscode');
      const path = join(home, 'clients', 'other.token');
      const token = (await readFile(path, 'utf8')).trim();
      expect(JSON.stringify(added)).not.toContain(token);
      expect((await stat(path)).mode & 0o777).toBe(0o600);

      // Two tokens are kept now: which one has to be said.
      expect((await up.run('proxy')).json.error['code']).toBe('usage-invalid');
      const proxy = piped('--client', 'other');
      proxy.say(call(1, 'count', { to: 1 }));
      expect(await proxy.hear()).toMatchObject({ id: 1, result: {} });
      await up.ok('clients', 'rm', 'other');
      await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
      proxy.say(call(2, 'count', { to: 1 }));
      const refused = await proxy.hear();
      expect(refused).toMatchObject({ id: 2, error: { data: { code: 'not-signed-in' } } });
      // An agent reads this; the command is for the person at standard error.
      expect(refused.error.message).not.toContain('berth ');
      proxy.child.stdin.end();
      await proxy.ended;
      expect(proxy.stderr()).toContain('berth clients add other --proxy');
      expect(proxy.stderr()).not.toContain(token);
    },
  );

  it('is refused with a token that the hub no longer knows', verifies('proxy.token-in-home'), async () => {
    await up.ok('clients', 'add', 'removed', '--proxy');
    const path = join(home, 'clients', 'removed.token');
    const token = await readFile(path, 'utf8');
    await up.ok('clients', 'rm', 'removed');
    const { writeFile } = await import('node:fs/promises');
    await writeFile(path, token, { mode: 0o600 });
    const proxy = piped('--client', 'removed');
    proxy.say(call(1, 'count', { to: 1 }));
    expect(await proxy.hear()).toMatchObject({ id: 1, error: { data: { code: 'not-signed-in' } } });
    proxy.child.stdin.end();
    expect(await proxy.ended).toBe(0);
  });
});
