import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

async function stopSignal(up: Berth): Promise<void> {
  up.process.kill('SIGUSR2');
  await until(() => up.log().includes('armed'));
}

async function until(holds: () => boolean, withinMs = 10_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('it did not come to hold');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a hub that is killed', () => {
  it('takes every process of its skills with it, and says afterwards that a call has no known end', verifies('hub.killed-mid-call'), async () => {
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
    const records = (await again.ok('audit', 'ls')) as unknown as { event: string; record: Record<string, unknown> }[];
    const finished = records.find((entry) => entry.event === 'call.finished');
    expect(finished?.record['outcome']).toBe('unknown');
    expect((await again.run('audit', 'verify')).code).toBe(0);
    const counted = await again.ok('call', 'probe', 'count', '{"to":2}');
    expect(counted['content'][0].text).toBe('counted to 2');
    expect(await again.stop()).toBe(0);
  });

  it('at any step of an install is whole after the restart', { ...verifies('hub.killed-install'), timeout: 300_000 }, async () => {
    let killedAt = 0;
    for (let at = 1; ; at += 1) {
      const up = await startBerth(home, { nodeArgs: ['--import', killer], env: { KILL_AT: String(at) } });
      const before = ((await up.ok('list')) as unknown as { name: string }[]).map((skill) => skill.name);
      if (before.includes('dev.berth/review')) await up.ok('remove', 'dev.berth/review');
      await stopSignal(up);
      const install = await up.run('install', 'dev.berth/review', '--yes');
      if (install.code === 0) {
        expect(await up.stop()).toBe(0);
        break;
      }
      await until(() => up.process.exitCode !== null || up.process.signalCode !== null);
      expect(up.log()).toContain(`killed before step ${at}`);
      killedAt = at;

      const again = await startBerth(home);
      expect((await again.run('audit', 'verify')).code).toBe(0);
      const skills = (await again.ok('list')) as unknown as { name: string; state: string }[];
      const found = skills.find((skill) => skill.name === 'dev.berth/review');
      if (found !== undefined) expect(found.state).toBe('ready');
      await again.ok('install', 'dev.berth/review', '--yes');
      expect(readdirSync(join(home, 'hub', 'staging'))).toEqual([]);
      await again.ok('remove', 'dev.berth/review');
      expect(await again.stop()).toBe(0);
    }
    expect(killedAt).toBeGreaterThan(10);
  });

  it('at any step of a call leaves it undone, done or said to be unknown', { ...verifies('hub.killed-call'), timeout: 300_000 }, async () => {
    const seen = new Set<string>();
    for (let at = 1; ; at += 1) {
      const up = await startBerth(home, { nodeArgs: ['--import', killer], env: { KILL_AT: String(at) } });
      await stopSignal(up);
      const called = await up.run('call', 'probe', 'count', '{"to":1}');
      if (called.code === 0) {
        await up.stop();
        break;
      }
      await until(() => up.process.exitCode !== null || up.process.signalCode !== null);
      const again = await startBerth(home);
      expect((await again.run('audit', 'verify')).code).toBe(0);
      const records = (await again.ok('audit', 'ls')) as unknown as { record: Record<string, unknown> }[];
      const open = records.filter(
        ({ record }) =>
          record['event'] === 'call.decided' &&
          record['answer'] === 'allow' &&
          !records.some((other) => other.record['event'] === 'call.finished' && other.record['call'] === record['call']),
      );
      expect(open).toEqual([]);
      for (const { record } of records) if (record['event'] === 'call.finished') seen.add(String(record['outcome']));
      expect((await again.ok('call', 'probe', 'count', '{"to":1}'))['content'][0].text).toBe('counted to 1');
      expect(await again.stop()).toBe(0);
    }
    expect(seen).toContain('unknown');
    expect(processesWith(home)).toEqual([]);
  });
});
