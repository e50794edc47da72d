import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { childrenOf, residentKb } from '../bench/processes.ts';
import { type BenchClient, legacyClient, modernClient } from '../bench/mcp.ts';
import { openWire } from '../bench/wire.ts';
import { type Berth, berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { appears } from '../support/appears.ts';
import { CHAOS, chaosFolder, type ChaosSkill, endOf } from '../support/chaos-skills.ts';
import { verifies } from '../support/verifies.ts';

const CLIENTS = 64;
/** Some answers of the greatest size at once; what is asked and answered here comes to much more. */
const MOST_GROWTH_KB = 400 * 1024;
const LONG = { timeout: 300_000 };

/** What a call of a skill may end as; anything else would be a fault of the hub. */
const FAILURES_OF_A_SKILL = [
  'skill-start-failed',
  'skill-crashed',
  'skill-timeout',
  'skill-output-invalid',
  'skill-output-too-large',
  'skill-busy',
];

let up: Berth;
let token: string;
let workspace: string;
let open: BenchClient[];
let sources: string;

beforeEach(async () => {
  open = [];
  workspace = await newHome();
  sources = await newHome();
  up = await startBerth(await newHome());
  token = (await up.ok('clients', 'add', 'crowd'))['token'];
});

afterEach(async () => {
  for (const client of open) client.close();
  await up.kill();
  await removeHome(up.home);
  await removeHome(workspace);
  await removeHome(sources);
});

async function install(skill: Pick<ChaosSkill, 'name' | 'args'>, timeoutMs?: number): Promise<void> {
  const folder = await chaosFolder(sources, skill, {
    workspace: true,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  await up.ok('publish', folder);
  await up.ok('install', `local.chaos/${skill.name}`, '--yes', '--workspace', workspace, '--allow-tool', '*');
}

/** Clients of both eras, in turns. */
async function clients(count: number): Promise<BenchClient[]> {
  for (let n = 0; n < count; n += 1)
    open.push(await (n % 2 === 0 ? legacyClient : modernClient)(up.urls.mcp, token));
  return open.slice(-count);
}

/** One call, answered with how it ended. */
async function end(client: BenchClient, skill: string, tool: string, args = {}): Promise<string> {
  return endOf(await client.prepare('tools/call', { name: `${skill}__${tool}`, arguments: args })());
}

/** Settles once it holds; a deadline of the test ends what never does. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

function alive(): number[] {
  return childrenOf(up.process.pid ?? 0);
}

describe('skills that misbehave', () => {
  it(
    'alone and all at once take neither the hub down nor a call of another skill with them',
    { ...verifies('hub.neighbours'), ...LONG },
    async () => {
      await install({ name: 'good' });
      for (const skill of CHAOS) await install(skill);
      const crowd = await clients(CLIENTS);
      const [first] = crowd as [BenchClient];
      const culprits = await clients(CHAOS.length * 2);
      const good = (callers: readonly BenchClient[], times: number) =>
        Promise.all(
          callers.map(async (client) => {
            const ends = new Set<string>();
            for (let n = 0; n < times; n += 1) ends.add(await end(client, 'good', 'ok'));
            return [...ends];
          }),
        );
      const onlyOk = (callers: readonly BenchClient[]) => callers.map(() => ['ok']);
      const bad = async (skill: ChaosSkill, callers: readonly BenchClient[], times: number) => {
        const ends = await Promise.all(
          callers.map(async (client) => {
            const all: string[] = [];
            for (let n = 0; n < times; n += 1) all.push(await end(client, skill.name, skill.tool));
            return all;
          }),
        );
        return ends.flat();
      };

      await good(crowd, 5);
      const before = residentKb(up.process.pid ?? 0);
      for (const [n, skill] of CHAOS.entries()) {
        const [ends, answered] = await Promise.all([
          bad(skill, culprits.slice(n * 2, n * 2 + 2), 2),
          good(crowd.slice(0, 8), 10),
        ]);
        expect(answered, skill.name).toEqual(onlyOk(crowd.slice(0, 8)));
        if (skill.name === 'slow') expect(ends).toEqual(['ok', 'ok', 'ok', 'ok']);
        else for (const one of ends) expect(FAILURES_OF_A_SKILL, skill.name).toContain(one);
      }
      const [answered] = await Promise.all([
        good(crowd, 20),
        ...CHAOS.map((skill, n) => bad(skill, culprits.slice(n * 2, n * 2 + 2), 4)),
      ]);
      expect(answered).toEqual(onlyOk(crowd));
      expect(residentKb(up.process.pid ?? 0)).toBeLessThan(before + MOST_GROWTH_KB);

      // Each is there again once it is left alone for as long as it has to be; a deaf one never answers.
      for (const skill of CHAOS.filter(({ name }) => name !== 'never-reading'))
        await until(async () => (await end(first, skill.name, 'ok')) === 'ok');
      expect((await up.run('audit', 'verify')).code).toBe(0);
      const below = alive();
      expect(await up.stop()).toBe(0);
      await until(() => !below.some((pid) => readdirSync('/proc').includes(String(pid))));
    },
  );

  it('are never waited for by a client that connects', verifies('hub.connects-at-once'), async () => {
    const file = join(workspace, 'silent');
    await install({ name: 'silent', args: ['silent-while', '/workspace/silent'] });
    await writeFile(file, '');
    const [caller] = (await clients(1)) as [BenchClient];
    let answered = false;
    const call = expect(end(caller, 'silent', 'ok').finally(() => (answered = true))).rejects.toThrow();
    await appears(`${file}.seen`);
    for (const client of await clients(4))
      expect(await client.prepare('tools/list', {})()).toContain('silent__ok');
    expect(answered).toBe(false);
    for (const client of open) client.close();
    await up.kill();
    await call;
  });

  it(
    'are given only so many calls at once; the others are told that it is busy',
    verifies('hub.busy'),
    async () => {
      // Long enough for all of them to arrive while the first still wait.
      await install({ name: 'hung' }, 8_000);
      const crowd = await clients(100);
      const ends = await Promise.all(crowd.map((client) => end(client, 'hung', 'hang')));
      const count = (code: string) => ends.filter((one) => one === code).length;
      expect({ busy: count('skill-busy'), late: count('skill-timeout') }).toEqual({ busy: 36, late: 64 });
    },
  );
});

describe('a hub', () => {
  it(
    'has as many processes and open files after 1,000 sessions as before',
    { ...verifies('hub.sessions-flat'), ...LONG },
    async () => {
      await install({ name: 'good' });
      const files = () => readdirSync(`/proc/${up.process.pid}/fd`).length;
      const cycle = async () => {
        const client = await legacyClient(up.urls.mcp, token);
        expect(await end(client, 'good', 'ok')).toBe('ok');
        client.close();
      };
      const cycles = async (count: number) => {
        let left = count;
        await Promise.all(
          Array.from({ length: 16 }, async () => {
            for (; left > 0;) {
              left -= 1;
              await cycle();
            }
          }),
        );
      };
      await cycles(50);
      const before = { processes: alive().length, files: files() };
      await cycles(1_000);
      await until(() => files() <= before.files + 16);
      expect(alive().length).toBe(before.processes);
    },
  );

  it(
    'that is told to stop finishes the calls in flight and leaves no process',
    verifies('hub.drain'),
    async () => {
      await install({ name: 'patient' }, 30_000);
      const crowd = await clients(8);
      const path = '/workspace/go';
      const ends = crowd.map((client) => end(client, 'patient', 'until', { path }));
      await until(() => readdirSync(workspace).length === crowd.length);
      const below = alive();
      const gone = up.stop();
      await until(() =>
        openWire(up.urls.mcp).then(
          (wire) => (wire.close(), false),
          () => true,
        ),
      );
      await writeFile(join(workspace, 'go'), '');
      expect(await Promise.all(ends)).toEqual(crowd.map(() => 'ok'));
      expect(await gone).toBe(0);
      await until(() => !below.some((pid) => readdirSync('/proc').includes(String(pid))));
      expect((await berth(up.home, ['audit', 'verify', '--json'])).code).toBe(0);
    },
  );

  it(
    'that is killed under 64 busy clients leaves no process and an audit log that verifies',
    verifies('hub.killed-busy'),
    async () => {
      await install({ name: 'good' });
      const crowd = await clients(CLIENTS);
      let calls = 0;
      const busy = crowd.map(async (client) => {
        for (;;) {
          expect(await end(client, 'good', 'ok')).toBe('ok');
          calls += 1;
        }
      });
      const ended = Promise.allSettled(busy);
      await until(() => calls > 1_000);
      const below = alive();
      expect(below.length).toBeGreaterThan(0);
      await up.kill();
      await until(() => !below.some((pid) => readdirSync('/proc').includes(String(pid))));
      for (const one of await ended)
        expect(one).toMatchObject({ status: 'rejected', reason: { name: 'Error' } });
      expect((await berth(up.home, ['audit', 'verify', '--json'])).code).toBe(0);

      up = await startBerth(up.home);
      const [again] = (await clients(1)) as [BenchClient];
      expect(await end(again, 'good', 'ok')).toBe('ok');
      expect((await up.run('audit', 'verify')).code).toBe(0);
    },
  );
});
