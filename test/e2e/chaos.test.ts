import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { residentKb } from '../bench/processes.ts';
import { type BenchClient, legacyClient } from '../bench/mcp.ts';
import { appears } from '../support/appears.ts';
import { berth } from '../support/berth.ts';
import { allGone, type ChaosHome, chaosHome, end, until } from '../support/chaos-home.ts';
import { CHAOS, type ChaosSkill } from '../support/chaos-skills.ts';
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

let home: ChaosHome;

beforeEach(async () => {
  home = await chaosHome();
});
afterEach(() => home.remove());

describe('skills that misbehave', () => {
  it(
    'alone and all at once take neither the hub down nor a call of another skill with them',
    { ...verifies('hub.neighbours'), ...LONG },
    async () => {
      await home.install({ name: 'good' });
      for (const skill of CHAOS) await home.install(skill);
      const crowd = await home.clients(CLIENTS);
      const [first] = crowd as [BenchClient];
      const culprits = await home.clients(CHAOS.length * 2);
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
      const before = residentKb(home.up.process.pid ?? 0);
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
      expect(residentKb(home.up.process.pid ?? 0)).toBeLessThan(before + MOST_GROWTH_KB);

      // Each is there again once it is left alone for as long as it has to be; a deaf one never answers.
      for (const skill of CHAOS.filter(({ name }) => name !== 'never-reading'))
        await until(async () => (await end(first, skill.name, 'ok')) === 'ok');
      expect((await home.up.run('audit', 'verify')).code).toBe(0);
      const below = home.alive();
      expect(await home.up.stop()).toBe(0);
      await until(() => allGone(below));
    },
  );

  it('are never waited for by a client that connects', verifies('hub.connects-at-once'), async () => {
    const file = join(home.workspace, 'silent');
    await home.install({ name: 'silent', args: ['silent-while', '/workspace/silent'] });
    await writeFile(file, '');
    const [caller] = (await home.clients(1)) as [BenchClient];
    let answered = false;
    const call = expect(end(caller, 'silent', 'ok').finally(() => (answered = true))).rejects.toThrow();
    await appears(`${file}.seen`);
    const others = await home.clients(4);
    for (const client of others) expect(await client.prepare('tools/list', {})()).toContain('silent__ok');
    expect(answered).toBe(false);
    for (const client of [caller, ...others]) client.close();
    await home.up.kill();
    await call;
  });

  it(
    'are given only so many calls at once; the others are told that it is busy',
    verifies('hub.busy'),
    async () => {
      // Long enough for all of them to arrive while the first still wait.
      await home.install({ name: 'hung' }, 8_000);
      const crowd = await home.clients(100);
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
      await home.install({ name: 'good' });
      const files = () => readdirSync(`/proc/${home.up.process.pid}/fd`).length;
      const cycle = async () => {
        const client = await legacyClient(home.up.urls.mcp, home.token);
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
      const before = { processes: home.alive().length, files: files() };
      await cycles(1_000);
      await until(() => files() <= before.files + 16);
      expect(home.alive().length).toBe(before.processes);
    },
  );

  it(
    'that is killed under 64 busy clients leaves no process and an audit log that verifies',
    verifies('hub.killed-busy'),
    async () => {
      await home.install({ name: 'good' });
      const crowd = await home.clients(CLIENTS);
      let calls = 0;
      const busy = crowd.map(async (client) => {
        for (;;) {
          expect(await end(client, 'good', 'ok')).toBe('ok');
          calls += 1;
        }
      });
      const ended = Promise.allSettled(busy);
      await until(() => calls > 1_000);
      const below = home.alive();
      expect(below.length).toBeGreaterThan(0);
      await home.up.kill();
      await until(() => allGone(below));
      for (const one of await ended)
        expect(one).toMatchObject({ status: 'rejected', reason: { name: 'Error' } });
      expect((await berth(home.up.home, ['audit', 'verify', '--json'])).code).toBe(0);

      await home.restart();
      const [again] = (await home.clients(1)) as [BenchClient];
      expect(await end(again, 'good', 'ok')).toBe('ok');
      expect((await home.up.run('audit', 'verify')).code).toBe(0);
    },
  );
});
