import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EchoPackage } from './echo-package.ts';
import { echoing, legacyClient, MESSAGE, sseClient } from './mcp.ts';
import type { Target } from './targets.ts';
import { openWire } from './wire.ts';

/** Names of the rows, for the bars. */
export const MCP_HUB_REST = 'mcp-hub 4.2.1, REST';
export const MCP_PROXY = 'mcp-proxy 6.7.19';

/** Each session of supergateway has processes of its own; more of them would measure the machine's memory. */
const MOST_CLIENTS = 16;
const START_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 100;

/** The peers, installed and started for as long as the work takes. */
export async function withPeers<T>(
  echo: EchoPackage,
  work: (peers: readonly Target[]) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-peers-'));
  const started: ChildProcess[] = [];
  try {
    await installLocked('peers', folder);
    const start = startIn(folder, echo, started);
    return await work([
      ...(await mcpHub(start, folder, echo)),
      await mcpProxy(start),
      await supergateway(start),
    ]);
  } finally {
    for (const peer of started) await end(peer);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Exactly what the lock file names, and no program of theirs is run by the installation. */
export async function installLocked(locked: 'peers' | 'sandbox-peer', folder: string): Promise<void> {
  for (const file of ['package.json', 'package-lock.json'])
    await cp(join(import.meta.dirname, locked, file), join(folder, file));
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Starts a peer's program on a free port; `skill` is the command of the echo skill. */
type Start = (
  program: string,
  args: (at: { port: string; skill: readonly string[] }) => readonly string[],
) => Promise<{ pid: number; url: string }>;

function startIn(folder: string, echo: EchoPackage, started: ChildProcess[]): Start {
  const skill = [process.execPath, join(echo.folder, echo.entry)];
  return async (program, args) => {
    const port = String(await freePort());
    const peer = spawn(
      process.execPath,
      [join(folder, 'node_modules', program), ...args({ port, skill })],
      // Nothing of this machine's settings, and a group of its own, so that none of its children stays.
      { cwd: folder, env: { PATH: process.env['PATH'], HOME: folder }, stdio: 'ignore', detached: true },
    );
    started.push(peer);
    process.once('exit', () => killGroup(peer));
    return { pid: peer.pid ?? 0, url: `http://127.0.0.1:${port}` };
  };
}

async function mcpHub(start: Start, folder: string, echo: EchoPackage): Promise<Target[]> {
  const config = join(folder, 'mcp-hub.json');
  const server = { command: process.execPath, args: [join(echo.folder, echo.entry)] };
  await writeFile(config, JSON.stringify({ mcpServers: { echo: server } }));
  const { pid, url } = await start('mcp-hub/dist/cli.js', ({ port }) => ['--port', port, '--config', config]);
  const common = { pid, clients: MOST_CLIENTS, stop: async () => undefined };
  const rest = { ...common, name: MCP_HUB_REST, connect: () => restClient(`${url}/api/servers/tools`) };
  const sse = {
    ...common,
    name: 'mcp-hub 4.2.1, SSE',
    connect: async () => echoing(await sseClient(`${url}/mcp`), 'echo__echo'),
  };
  await answering(rest);
  return [rest, sse];
}

/** It has an HTTP API of its own beside MCP, which is its fastest way. */
async function restClient(url: string): Promise<() => Promise<void>> {
  const wire = await openWire(url);
  const body = JSON.stringify({ server_name: 'echo', tool: 'echo', arguments: { message: MESSAGE } });
  return async () => {
    const answer = await wire.post('', body);
    if (!answer.body.includes(MESSAGE))
      throw new Error(`no echo: ${answer.status} ${answer.body.slice(0, 500)}`);
  };
}

async function mcpProxy(start: Start): Promise<Target> {
  const { pid, url } = await start('mcp-proxy/dist/bin/mcp-proxy.mjs', ({ port, skill }) => [
    '--host',
    '127.0.0.1',
    '--port',
    port,
    '--server',
    'stream',
    '--',
    ...skill,
  ]);
  return answering(overMcp(MCP_PROXY, pid, url));
}

async function supergateway(start: Start): Promise<Target> {
  const { pid, url } = await start('supergateway/dist/index.js', ({ port, skill }) => [
    '--stdio',
    skill.join(' '),
    '--outputTransport',
    'streamableHttp',
    '--stateful',
    '--logLevel',
    'none',
    '--port',
    port,
  ]);
  return answering(overMcp('supergateway 4.0.0, stateful', pid, url));
}

function overMcp(name: string, pid: number, url: string): Target {
  return {
    name,
    pid,
    clients: MOST_CLIENTS,
    connect: async () => echoing(await legacyClient(`${url}/mcp`), 'echo'),
    stop: async () => undefined,
  };
}

/** Settles once a call goes through: some listen before they can do anything. */
async function answering(target: Target): Promise<Target> {
  const until = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      await (
        await target.connect()
      )();
      return target;
    } catch (error) {
      if (Date.now() > until) throw new Error(`${target.name} did not start`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

async function end(peer: ChildProcess): Promise<void> {
  killGroup(peer);
  if (peer.exitCode === null && peer.signalCode === null) await once(peer, 'exit');
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended by itself.
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
