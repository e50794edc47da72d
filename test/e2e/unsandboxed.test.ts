import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { verifies } from '../support/verifies.ts';

interface Finding {
  id: string;
  what: string;
  state: string;
  detail: string;
  fix?: string;
}

describe('a skill without a sandbox, at the command line', () => {
  let home: string;
  let up: Berth;
  beforeAll(async () => {
    home = await newHome();
    up = await startBerth(home, { env: { BERTH_HUB_ALLOW_UNSANDBOXED: 'true' } });
  });
  afterAll(async () => {
    await up.stop();
    await removeHome(home);
  });

  it(
    'starts only where it was named for it, is loud everywhere, and ends with the hub',
    verifies('sandbox.unsandboxed'),
    async () => {
      const installed = await up.ok(
        'install',
        'dev.berth/memory',
        '--yes',
        '--unsandboxed',
        '--allow-tool',
        '*',
      );
      expect(installed).toMatchObject({ unsandboxed: true });
      await up.ok('call', 'memory', 'add', '{"text":"berths are for ships"}');
      const said = async (...words: string[]) => {
        const { stdout } = await up.run(...words);
        return stdout;
      };
      expect(await said('info', 'dev.berth/memory')).toContain('WITHOUT A SANDBOX');
      expect(await said('list')).toContain('"unsandboxed":true');
      expect(await said('status')).toContain('"unsandboxed":["dev.berth/memory"]');
      expect(await said('audit', 'ls')).toContain('without a sandbox');
      const { data } = (await up.run('doctor')).json as unknown as { data: { findings: Finding[] } };
      expect(data.findings.find(({ id }) => id === 'hub.unsandboxed.dev.berth/memory')).toMatchObject({
        state: 'note',
        fix: expect.stringContaining('revoke'),
      });
    },
  );

  it(
    'every check of doctor has an id, a state, and a remedy where it is bad',
    verifies('sandbox.checks'),
    async () => {
      const doctor = await up.run('doctor');
      const { data } = doctor.json as unknown as { data: { findings: Finding[] } };
      const ids = data.findings.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).toEqual(
        expect.arrayContaining(['node', 'home', 'sandbox.driver', 'sandbox.seccomp', 'sandbox.limit-memory']),
      );
      for (const { state, fix } of data.findings)
        if (state === 'bad') expect(fix).toEqual(expect.any(String));
    },
  );

  it('a killed hub takes it along', verifies('sandbox.unsandboxed'), async () => {
    const running = (await up.ok('status'))['running'] as { skill: string; pid: number }[];
    const pid = running.find(({ skill }) => skill === 'dev.berth/memory')?.pid ?? 0;
    expect(pid).toBeGreaterThan(0);
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(/^NoNewPrivs:\s+1$/m);
    await up.kill();
    // Somebody has yet to ask for the exit status of what is left of it.
    const left = () => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ') X ');
    await expect.poll(left, { timeout: 5000 }).toMatch(/\) [ZX] /);
  });
});

describe('a hub that requires something of its sandbox', () => {
  it(
    'what the admin requires and this sandbox lacks is bad, and keeps every skill from running',
    verifies('sandbox.needs'),
    async () => {
      const ofItsOwn = await newHome();
      const up = await startBerth(ofItsOwn, { env: { BERTH_HUB_REQUIRES: 'files,hostFilter' } });
      onTestFinished(async () => {
        await up.stop();
        await removeHome(ofItsOwn);
      });
      const { enforces } = (await up.ok('status'))['sandbox'] as { enforces: string[] };
      if (enforces.includes('hostFilter')) return;
      const doctor = await up.run('doctor');
      expect(doctor.code).toBe(1);
      const { data } = doctor.json as unknown as { data: { findings: Finding[] } };
      expect(data.findings.find(({ id }) => id === 'sandbox.requires-hostFilter')).toMatchObject({
        state: 'bad',
      });
      const refused = await up.run('install', 'dev.berth/files', '--yes', '--workspace', ofItsOwn);
      expect(refused.json.error['code']).toBe('sandbox-cannot-enforce');
    },
  );
});
