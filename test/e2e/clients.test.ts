import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appears } from '../support/appears.ts';
import { type Berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { verifies } from '../support/verifies.ts';

const root = join(import.meta.dirname, '../..');
const info = { name: 'e2e', version: '1.0.0' };

let home: string;
let workspace: string;
let up: Berth;
let token: string;

beforeAll(async () => {
  home = await newHome();
  workspace = await newHome();
  await writeFile(join(workspace, 'hello.txt'), 'hello from the workspace\n');
  await writeFile(join(home, 'outside.txt'), 'nobody granted this');
  await symlink(join(home, 'outside.txt'), join(workspace, 'link.txt'));
  await symlink('/etc/hostname', join(workspace, 'hostname.txt'));
  up = await startBerth(home);
  await up.ok('publish', join(root, 'test/e2e/probe'));
  await up.ok('install', 'local.e2e/probe', '--yes', '--workspace', workspace, '--allow-tool', '*');
  await up.ok('install', 'dev.berth/files', '--yes', '--workspace', workspace);
  await up.ok('install', 'dev.berth/review', '--yes');
  token = (await up.ok('clients', 'add', 'e2e'))['token'] as string;
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

const auth = () => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } });

async function v1(): Promise<Driven> {
  const client = new V1Client(info);
  await client.connect(new V1Transport(new URL(up.urls.mcp), auth()));
  return {
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (name, args, more) => client.callTool({ name, arguments: args }, undefined, more),
    close: () => client.close(),
  };
}

async function v2(mode: 'legacy' | 'auto' | { pin: string }): Promise<Driven> {
  const client = new Client(info, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(up.urls.mcp), auth()));
  return {
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (name, args, more) => client.callTool({ name, arguments: args }, more),
    close: () => client.close(),
  };
}

describe.each([
  ['v1', () => v1()],
  ['v2-legacy', () => v2('legacy')],
  ['v2-auto', () => v2('auto')],
  ['v2-modern', () => v2({ pin: '2026-07-28' })],
] as const)('the %s client', (name, connect) => {
  it(
    'lists, calls, hears progress and cancels, through to the skill',
    verifies('mcp.real-clients'),
    async () => {
      const client = await connect();
      expect(await client.list()).toEqual(expect.arrayContaining(['files__read', 'probe__count']));
      const read = await client.call('files__read', { path: 'hello.txt' });
      expect(JSON.stringify(read.content)).toContain('hello from the workspace');

      // An SDK's client forgets who listens as soon as the result is there, also where both come at once.
      const heard = `heard-${name}.heard`;
      const onprogress = () => writeFileSync(join(workspace, heard), '');
      const counted = await client.call('probe__count', { to: 5, heard }, { onprogress });
      expect(counted.content[0].text).toBe('counted to 5');

      const stop = new AbortController();
      const waiting = client.call('probe__wait', { note: name }, { signal: stop.signal });
      await appears(join(workspace, `${name}.waiting`));
      stop.abort();
      await expect(waiting).rejects.toThrow();
      await appears(join(workspace, `${name}.cancelled`));
      await client.close();
    },
  );
});

describe('a skill with raw access to the file system', () => {
  it(
    'gets what lies in its folder, and nothing else by any path',
    verifies('sandbox.only-granted-files'),
    async () => {
      const tried = async (path: string) => {
        const result = await up.ok('call', 'probe', 'raw_read', JSON.stringify({ path }));
        return result['content'][0].text as string;
      };
      expect(await tried('/workspace/hello.txt')).toContain('hello from the workspace');
      for (const path of [
        join(home, 'outside.txt'),
        join(workspace, 'hello.txt'),
        '/workspace/../../../../etc/hostname',
        '/workspace/link.txt',
        '/workspace/hostname.txt',
        join(home, 'admin.token'),
        '/etc/shadow',
        '/root/.ssh/id_rsa',
      ]) {
        expect(await tried(path), path).toMatch(/^refused: (ENOENT|EACCES|EPERM)$/);
      }
      // Bubblewrap's own first process has an environment, but not the hub's.
      expect(await tried('/proc/1/environ')).toMatch(/^(refused: E[A-Z]+|read: PATH=[/a-z:]+\0?)$/);
    },
  );
});

describe('the MCP Inspector', () => {
  const inspector = join(root, 'node_modules/@modelcontextprotocol/inspector');
  const inspect = async (...args: string[]) => {
    const child = spawn(
      process.execPath,
      [
        join(inspector, 'clients/launcher/build/index.js'),
        '--cli',
        up.urls.mcp,
        '--transport',
        'http',
        '--header',
        `Authorization: Bearer ${token}`,
        ...args,
      ],
      { env: { PATH: process.env['PATH'], HOME: home }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk));
    const code = await new Promise((resolve) => child.once('close', resolve));
    return { code, output };
  };

  for (const era of ['legacy', 'modern']) {
    it(`lists and reads as a ${era} client`, verifies('mcp.inspector'), async () => {
      const listed = await inspect('--protocol-era', era, '--method', 'tools/list');
      expect([listed.code, listed.output]).toEqual([0, expect.stringContaining('files__read')]);
      const read = await inspect(
        ...['--protocol-era', era, '--method', 'tools/call'],
        ...['--tool-name', 'files__read', '--tool-arg', 'path=hello.txt'],
      );
      expect([read.code, read.output]).toEqual([0, expect.stringContaining('hello from the workspace')]);
    });

    it(`verifies every skill as a ${era} client`, verifies('skills.inspector'), async () => {
      const { code, output } = await inspect(
        ...['--protocol-era', era, '--method', 'skills/list', '--verify', '--require-digests'],
      );
      expect([code, output]).toEqual([0, expect.stringContaining('skill://dev.berth/review/SKILL.md')]);
    });
  }
});
