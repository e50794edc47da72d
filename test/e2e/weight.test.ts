import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { type ChaosHome, chaosHome, end, until } from '../support/chaos-home.ts';
import { verifies } from '../support/verifies.ts';
import { weightOf } from '../support/weight-of.ts';

let home: ChaosHome | undefined;
afterEach(() => home?.remove());

/** proc_pid_stat(5), field 19. */
function niceOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
}

describe('a skill that spins', () => {
  it(
    'counts less than one that answers, and that one less than the hub',
    verifies('sandbox.weight'),
    async () => {
      const here = await chaosHome();
      home = here;
      await here.install({ name: 'spinning' }, 30_000);
      await here.install({ name: 'good' });
      const [one, other] = await here.clients(2);
      const pidOf = async (skill: string) =>
        (await here.running()).find((child) => child.skill === `local.chaos/${skill}`)?.pid ?? 0;
      expect(await end(other as never, 'good', 'ok')).toBe('ok');
      const call = end(one as never, 'spinning', 'spin').catch(() => 'gone');
      await until(async () => (await pidOf('spinning')) > 0);
      const [spinning, good, hub] = [await pidOf('spinning'), await pidOf('good'), here.up.process.pid ?? 0];
      if (/bwrap enforces [A-Za-z, ]*\bcpu\b/.test(JSON.stringify(await here.up.ok('doctor')))) {
        await until(async () => (await weightOf(spinning)) / (await weightOf(hub)) < 1 / 16);
        expect((await weightOf(good)) / (await weightOf(hub))).toBe(0.5);
      } else expect([niceOf(spinning), niceOf(good)]).toEqual([niceOf(hub) + 10, niceOf(hub) + 10]);
      await here.up.kill();
      await call;
    },
  );
});
