import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { childrenOf } from '../bench/processes.ts';
import { type BenchClient, legacyClient, modernClient } from '../bench/mcp.ts';
import { adminApi } from '../../hub/admin-api.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { type Berth, newHome, removeHome, startBerth } from './berth.ts';
import { chaosFolder, type ChaosSkill, endOf } from './chaos-skills.ts';

/** A real hub in a home of its own with skills that misbehave, and clients that call them. */
export interface ChaosHome {
  up: Berth;
  token: string;
  /** The folder that every skill is granted. */
  workspace: string;
  /** Publishes and installs one; `timeoutMs` is the longest time for a call of it. */
  install(skill: Pick<ChaosSkill, 'name' | 'args'>, timeoutMs?: number): Promise<void>;
  /** Clients of both eras, in turns. */
  clients(count: number): Promise<BenchClient[]>;
  /** The hub again, after it has ended; with other settings, where given. */
  restart(env?: Record<string, string>): Promise<void>;
  /** Every process below the hub. */
  alive(): number[];
  /** What runs of skills, as the hub says. */
  running(): Promise<readonly { skill: string; pid: number; calls: number }[]>;
  remove(): Promise<void>;
}

export async function chaosHome(env: Record<string, string> = {}): Promise<ChaosHome> {
  const open: BenchClient[] = [];
  const [home, workspace, sources] = [await newHome(), await newHome(), await newHome()];
  const up = await startBerth(home, { env });
  const token = String((await up.ok('clients', 'add', 'crowd'))['token']);
  const here: ChaosHome = {
    up,
    token,
    workspace,
    async install(skill, timeoutMs) {
      const own = timeoutMs === undefined ? {} : { timeoutMs };
      const folder = await chaosFolder(sources, skill, { workspace: true, ...own });
      await here.up.ok('publish', folder);
      await here.up.ok(
        ...['install', `local.chaos/${skill.name}`, '--yes', '--workspace', workspace, '--allow-tool', '*'],
      );
      await rm(folder, { recursive: true });
    },
    async clients(count) {
      for (let n = 0; n < count; n += 1)
        open.push(await (n % 2 === 0 ? legacyClient : modernClient)(here.up.urls.mcp, token));
      return open.slice(-count);
    },
    async restart(changed = env) {
      here.up = await startBerth(home, { env: changed });
    },
    alive: () => childrenOf(here.up.process.pid ?? 0),
    running: async () => (await callRoute(adminApi.status, here.up.admin)).running,
    async remove() {
      for (const client of open) client.close();
      await here.up.kill();
      for (const folder of [home, workspace, sources]) await removeHome(folder);
    },
  };
  return here;
}

/** One call, answered with how it ended. */
export async function end(client: BenchClient, skill: string, tool: string, args = {}): Promise<string> {
  return endOf(await client.prepare('tools/call', { name: `${skill}__${tool}`, arguments: args })());
}

/** Settles once it holds; a deadline of the test ends what never does. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

export function allGone(pids: readonly number[]): boolean {
  return !pids.some((pid) => readdirSync('/proc').includes(String(pid)));
}

/** Settles with the names of a folder once there are so many in it, beside what stands in for what is held back. */
export async function filesIn(folder: string, count: number): Promise<string[]> {
  const names = () => readdirSync(folder).filter((name) => !name.startsWith('.'));
  await until(() => names().length >= count);
  return names().map((name) => join(folder, name));
}
