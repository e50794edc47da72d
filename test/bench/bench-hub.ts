import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { packSkill } from '../../cli/pack.ts';
import { publishArchive } from '../../cli/publish.ts';
import { type Acceptance, adminApi } from '../../hub/admin-api.ts';
import { createBwrapDriver } from '../../hub/sandbox/bwrap.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { createLogger } from '../../protocol/node/logger.ts';

const root = join(import.meta.dirname, '../..');
const berth = join(root, 'cli/berth.js');
const collectOnSignal = join(import.meta.dirname, 'collect-on-signal.mjs');

/** A registry and a hub, each in a process of its own, in a fresh home. */
export interface BenchHub {
  mcp: string;
  home: string;
  pid: number;
  /** The folder of the echo skill that the benchmarks call. */
  echo: string;
  /** Runs a command and answers with its `data`. */
  cli(...args: string[]): unknown;
  /** Adds a client and answers with its token. */
  client(name: string): Promise<string>;
  /** Packs, publishes and installs the skill of a folder without a command each, for there may be many. */
  install(folder: string, accept?: Acceptance): Promise<void>;
  stop(): Promise<void>;
}

/** Starts both servers with fresh state and waits until they answer. */
export async function startBenchHub(): Promise<BenchHub> {
  const home = await mkdtemp(join(tmpdir(), 'berth-bench-'));
  const env = { ...process.env, BERTH_HOME: home };
  const registry = await serve('registry', env);
  const hub = await serve('hub', env);
  const admin = { socketPath: join(home, 'hub', 'admin.sock') };
  const key = createKey();
  const driver = createBwrapDriver({
    path: process.env['PATH'] ?? '',
    stateDir: join(home, 'bench-pack'),
    forbidden: [],
    log: createLogger({ level: 'silent', name: 'bench' }),
  });
  const token = (await readFile(join(home, 'admin.token'), 'utf8')).trim();
  return {
    mcp: hub.urls.mcp,
    home,
    pid: hub.process.pid ?? 0,
    echo: join(root, 'test/bench/echo'),
    cli(...args) {
      const output = execFileSync(process.execPath, [berth, ...args, '--json'], {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
        maxBuffer: 64 * 1024 * 1024,
      });
      return (JSON.parse(output.toString('utf8')) as { data: unknown }).data;
    },
    client: async (name) => (await callRoute(adminApi.addClient, { ...admin, body: { name } })).token,
    async install(folder, accept = { tools: { '*': 'allow' } }) {
      const { archive } = await packSkill({ driver }, folder);
      const { name } = await publishArchive(
        { registry: { baseUrl: registry.urls.registry, token } },
        archive,
        { key },
      );
      await callRoute(adminApi.install, { ...admin, body: { name, accept } });
    },
    async stop() {
      for (const server of [hub, registry]) {
        server.process.kill('SIGTERM');
        if (server.process.exitCode === null) await once(server.process, 'exit');
      }
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function serve(
  what: 'hub' | 'registry',
  env: NodeJS.ProcessEnv,
): Promise<{ process: ChildProcess; urls: { registry: string; mcp: string } }> {
  const collectable = ['--expose-gc', '--import', pathToFileURL(collectOnSignal).href];
  const server = spawn(process.execPath, [...collectable, berth, 'serve', what, '--json', '--port', '0'], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  process.once('exit', () => server.kill('SIGKILL'));
  const { data } = JSON.parse(await firstLine(server)) as { data: { registry: string; mcp: string } };
  return { process: server, urls: data };
}

/** What a server says once it is ready; its later words are let go by. */
export async function firstLine(server: ChildProcess): Promise<string> {
  const { stdout } = server;
  if (stdout === null) throw new Error('the server has no standard output');
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: stdout }).once('line', resolve);
    server.once('exit', (code) => reject(new Error(`${server.spawnargs.join(' ')} ended with ${code}`)));
  });
  stdout.resume();
  return line;
}
