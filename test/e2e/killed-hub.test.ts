import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { appears } from '../support/appears.ts';
import { type Berth, berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { verifies } from '../support/verifies.ts';

const root = join(import.meta.dirname, '../..');
const killer = join(root, 'test/support/kill-at.mjs');

let home: string;
let workspace: string;

beforeAll(async () => {
  home = await newHome();
  workspace = await newHome();
});
afterAll(async () => {
  await removeHome(home);
  await removeHome(workspace);
});

/** Processes of this machine whose command line holds the text. */
function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
}

/** Children, grandchildren and so on of a process. */
function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])] as const];
      } catch {
        return [];
      }
    });
  const below = (of: number): number[] =>
    parents.filter(([, parent]) => parent === of).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** From now on the process counts its steps. */
async function arm(up: Berth): Promise<void> {
  up.process.kill('SIGUSR2');
  await until(() => up.log().includes('armed'));
}

/** The hub alone, which kills itself before its `at`-th step once armed. */
function killedHub(folder: string, registry: string, at: number): Promise<Berth> {
  return startBerth(folder, {
    nodeArgs: ['--import', killer],
    args: ['serve', 'hub', '--json', '--port', '0', '--registry', registry],
    env: { KILL_AT: String(at) },
  });
}

async function until(holds: () => boolean, withinMs = 10_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('it did not come to hold');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a hub that is killed', () => {
  it(
    'takes every process of its skills with it, and says afterwards that a call has no known end',
    verifies('hub.killed-mid-call'),
    async () => {
      const up = await startBerth(home);
      await up.ok('publish', join(root, 'test/e2e/probe'));
      await up.ok('install', 'local.e2e/probe', '--yes', '--workspace', workspace, '--allow-tool', '*');
      const call = berth(home, ['call', 'probe', 'wait', '{"note":"killed"}', '--json']);
      await appears(join(workspace, 'killed.waiting'));
      const children = descendants(up.process.pid ?? 0);
      expect(children.length).toBeGreaterThan(0);
      await up.kill();
      await until(() => !children.some(isAlive), 2_000);
      expect((await call).code).not.toBe(0);

      const again = await startBerth(home);
      const records = (await again.ok('audit', 'ls')) as unknown as {
        event: string;
        record: Record<string, unknown>;
      }[];
      const finished = records.find((entry) => entry.event === 'call.finished');
      expect(finished?.record['outcome']).toBe('unknown');
      expect((await again.run('audit', 'verify')).code).toBe(0);
      const counted = await again.ok('call', 'probe', 'count', '{"to":2}');
      expect(counted['content'][0].text).toBe('counted to 2');
      expect(await again.stop()).toBe(0);
    },
  );

  it(
    'at any step of an install is whole after the restart',
    { ...verifies('hub.killed-install'), timeout: 300_000 },
    async () => {
      const up = await startBerth(home);
      const folder = await newHome();
      const name = 'dev.berth/review';
      const params = { namespace: 'dev.berth', name: 'review' };
      let at = 0;
      for (let installed = false; !installed;) {
        at += 1;
        const hub = await killedHub(folder, up.urls.registry, at);
        // The restart after the kill before: nothing is half there.
        await callRoute(adminApi.verifyAudit, hub.admin);
        expect(readdirSync(join(folder, 'hub', 'staging'))).toEqual([]);
        const skills = await callRoute(adminApi.skills, hub.admin);
        for (const skill of skills) expect(skill).toMatchObject({ name, state: 'ready' });
        if (skills.length > 0) await callRoute(adminApi.removeSkill, { ...hub.admin, params, query: {} });

        await arm(hub);
        installed = await callRoute(adminApi.install, { ...hub.admin, body: { name, accept: {} } }).then(
          () => true,
          () => false,
        );
        if (installed) await hub.kill();
        else await hub.gone;
        expect(installed || hub.log().includes(`killed before step ${at}`)).toBe(true);
      }
      expect(at).toBeGreaterThan(10);
      await removeHome(folder);
      await up.stop();
    },
  );

  it(
    'at any step of a call leaves it undone, done or said to be unknown',
    { ...verifies('hub.killed-call'), timeout: 300_000 },
    async () => {
      const up = await startBerth(home);
      const folder = await newHome();
      const first = await killedHub(folder, up.urls.registry, Number.MAX_SAFE_INTEGER);
      await callRoute(adminApi.install, {
        ...first.admin,
        body: { name: 'local.e2e/probe', accept: { workspace, tools: { '*': 'allow' } } },
      });
      await first.kill();
      const body = { skill: 'probe', tool: 'count', arguments: { to: 1 } };
      const outcomes = new Set<unknown>();
      for (let [at, called] = [1, false]; !called; at += 1) {
        const hub = await killedHub(folder, up.urls.registry, at);
        await callRoute(adminApi.verifyAudit, hub.admin);
        const records = (await callRoute(adminApi.audit, { ...hub.admin, query: { limit: 1000 } })).map(
          (entry) => entry.record,
        );
        const ended = new Map(
          records.filter((r) => r['event'] === 'call.finished').map((r) => [r['call'], r['outcome']]),
        );
        for (const record of records.filter((r) => r['event'] === 'call.decided')) {
          expect([...ended.keys()]).toContain(record['call']);
        }
        for (const outcome of ended.values()) outcomes.add(outcome);
        await arm(hub);
        called = await callRoute(adminApi.call, { ...hub.admin, body }).then(
          () => true,
          () => false,
        );
        if (called) await hub.kill();
        else await hub.gone;
      }
      expect(outcomes).toContain('unknown');
      await removeHome(folder);
      expect(await up.stop()).toBe(0);
      await until(() => processesWith(folder).length === 0, 2_000);
    },
  );
});
