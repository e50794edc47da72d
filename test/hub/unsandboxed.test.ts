import { mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { folderAt } from '../../hub/sandbox/folder-identity.ts';
import { createUnsandboxedDriver, UNSANDBOXED } from '../../hub/sandbox/unsandboxed.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { outcomeOf } from '../attacks/sandbox/outcome.ts';
import { expectCode } from '../support/expect-code.ts';
import { hubRig, type HubRig } from '../support/hub-rig.ts';
import { logLines } from '../support/log-lines.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';
import { plainPlan } from '../support/plain-plan.ts';

const NAME = 'local.test/subject';
const { PATH = '' } = process.env; // oxlint-disable-line node/no-process-env
const allowUnsandboxed = true;
/** Says whether it is in a sandbox: there no shell is to be found. */
const free = { free: { code: `return String(fs.existsSync('/bin/sh'))` } };

const skill = (rig: HubRig) =>
  callRoute(adminApi.skill, { ...rig.admin, params: { namespace: 'local.test', name: 'subject' } });
const status = (rig: HubRig) => callRoute(adminApi.status, { ...rig.admin });
const sentences = async (rig: HubRig) =>
  (await callRoute(adminApi.audit, { ...rig.admin, query: {} })).map(({ sentence }) => sentence);

describe('running without a sandbox', () => {
  it(
    'is refused, with the remedy, in a hub whose configuration does not allow it',
    verifies('sandbox.unsandboxed'),
    async () => {
      const rig = await hubRig();
      await rig.publish(await skillFolder({ tools: free }));
      const error = await expectCode(
        rig.install(NAME, '*', { unsandboxed: true }),
        'unsandboxed-not-allowed',
      );
      expect(error.hint).toContain('allowUnsandboxed');
      await rig.install(NAME, '*', {});
      expect(await rig.text(NAME, 'free')).toBe('false');
      expect((await status(rig)).unsandboxed).toEqual([]);
    },
  );

  it('is what no skill gets unless it was named for it', verifies('sandbox.unsandboxed'), async () => {
    const rig = await hubRig({ config: { allowUnsandboxed } });
    await rig.publish(await skillFolder({ tools: free }));
    await rig.install(NAME, '*', {});
    expect(await rig.text(NAME, 'free')).toBe('false');
    expect(await skill(rig)).toMatchObject({ unsandboxed: false, unverified: [] });
  });

  it(
    'is granted by name, said wherever the skill is shown, and taken back like any grant',
    verifies('sandbox.unsandboxed'),
    async () => {
      const rig = await hubRig({ config: { allowUnsandboxed } });
      await rig.publish(await skillFolder({ tools: free }));
      const { installed } = await rig.install(NAME, '*', { unsandboxed: true, tools: { free: 'allow' } });
      expect(installed).toMatchObject({
        unsandboxed: true,
        state: 'ready',
        cannot: [],
        can: [expect.stringContaining('without a sandbox')],
        unverified: [expect.stringContaining('WITHOUT A SANDBOX')],
      });
      expect(await rig.text(NAME, 'free')).toBe('true');
      expect((await status(rig)).unsandboxed).toEqual([NAME]);
      const said = await sentences(rig);
      expect(said.find((line) => line.includes('approved'))).toContain('without a sandbox');
      expect(said.find((line) => line.includes('started'))).toContain('WITHOUT A SANDBOX');

      const grant = installed?.grants.find(({ permission }) => permission === UNSANDBOXED);
      await callRoute(adminApi.revoke, { ...rig.admin, params: { id: grant?.id ?? '' } });
      expect(await rig.text(NAME, 'free')).toBe('false');
      expect(await skill(rig)).toMatchObject({ unsandboxed: false });
      expect((await sentences(rig))[0]).not.toContain('WITHOUT');
    },
  );

  it(
    'is asked about before each call, for nothing holds the skill to its word',
    verifies('sandbox.unsandboxed'),
    async () => {
      const rig = await hubRig({ config: { allowUnsandboxed } });
      const effects = { wipe: { effects: ['destroy'] } };
      await rig.publish(await skillFolder({ effects, tools: { ...free, wipe: { code: `return ''` } } }));
      // Held to its grants it could not destroy anything, and would be allowed to try.
      const { installed: held } = await rig.install(NAME, '*', {});
      const { installed } = await rig.install(NAME, '*', { unsandboxed: true });
      const wiping = (view: typeof installed) => view?.tools.find(({ name }) => name === 'wipe')?.effects;
      expect(wiping(held)).not.toContain('destroy');
      expect(wiping(installed)).toContain('destroy');
      const fresh = await hubRig({ config: { allowUnsandboxed } });
      await fresh.publish(await skillFolder({ tools: free }));
      const asked = await fresh.install(NAME, '*', { unsandboxed: true });
      expect(asked.installed?.tools).toMatchObject([{ name: 'free', answer: 'ask' }]);
    },
  );

  it('does not carry over to what is accepted later', verifies('sandbox.unsandboxed'), async () => {
    const rig = await hubRig({ config: { allowUnsandboxed } });
    await rig.publish(await skillFolder({ tools: free }));
    await rig.install(NAME, '*', { unsandboxed: true, tools: { free: 'allow' } });
    await rig.publish(await skillFolder({ version: '1.0.1', tools: free }));
    const { installed } = await rig.install(NAME, '1.0.1', { tools: { free: 'allow' } });
    expect(installed).toMatchObject({ version: '1.0.1', unsandboxed: false });
    expect(await rig.text(NAME, 'free')).toBe('false');
  });

  it(
    'is not what a grant from before means once it is forbidden',
    verifies('sandbox.unsandboxed'),
    async () => {
      const config: { allowUnsandboxed: boolean } = { allowUnsandboxed };
      const rig = await hubRig({ config });
      await rig.publish(await skillFolder({ tools: free }));
      await rig.install(NAME, '*', { unsandboxed: true, tools: { free: 'allow' } });
      await rig.restart({ allowUnsandboxed: false });
      expect(await skill(rig)).toMatchObject({
        state: 'blocked',
        problem: expect.stringContaining('allowUnsandboxed'),
      });
      await expectCode(rig.call(NAME, 'free'), 'sandbox-cannot-enforce');
    },
  );

  it(
    'is possible where there is no sandbox at all, and nothing of the skill runs before it is approved',
    verifies('sandbox.unsandboxed'),
    async () => {
      const bin = join(await tempFolder(), 'bin');
      await mkdir(bin);
      for (const name of ['setpriv', 'prlimit']) await symlink(`/usr/bin/${name}`, join(bin, name));
      const rig = await hubRig({ config: { allowUnsandboxed, path: bin } });
      expect((await status(rig)).sandbox.usable).toBe(false);
      const ran = join(await tempFolder(), 'ran');
      const prelude = `fs.appendFileSync(${JSON.stringify(ran)}, 'x');`;
      // Packed where there is one, in which it cannot write there.
      await rig.publish(await skillFolder({ tools: free, prelude: `try { ${prelude} } catch {}` }));
      await expectCode(rig.install(NAME, '*', {}), 'sandbox-unavailable');
      await rig.install(NAME, '*', { unsandboxed: true, tools: { free: 'allow' } });
      await expect(stat(ran)).rejects.toThrow('ENOENT');
      expect(await rig.text(NAME, 'free')).toBe('true');
      expect(await readFile(ran, 'utf8')).toBe('x');
    },
  );
});

describe('the driver that is none', () => {
  async function made(allowed: boolean) {
    const folder = await tempFolder();
    const { log, lines } = logLines();
    const driver = createUnsandboxedDriver({
      allowed,
      path: PATH,
      forbidden: [join(folder, 'home')],
      stateDir: join(folder, 'state'),
      log,
    });
    const packageDir = join(folder, 'package');
    const plan = await plainPlan(packageDir, { 'index.mjs': '' }, { unsandboxed: true });
    const source = (text: string) => writeFile(join(packageDir, 'index.mjs'), text);
    return { driver, plan, source, lines, folder };
  }

  it(
    'claims nothing, and refuses what was not approved for it',
    verifies('sandbox.unsandboxed'),
    async () => {
      const { driver, plan } = await made(true);
      expect(await driver.report()).toMatchObject({ driver: 'none', enforces: [] });
      const { unsandboxed: _, ...sandboxed } = plan;
      await expectCode(driver.start(sandboxed), 'unsandboxed-not-allowed');
      const { driver: forbidden } = await made(false);
      await expectCode(forbidden.start(plan), 'unsandboxed-not-allowed');
    },
  );

  it(
    'gives a process its own environment and secrets alone, limits, and no way to gain rights',
    verifies('sandbox.unsandboxed'),
    async () => {
      const { driver, plan, source, lines, folder } = await made(true);
      await source(`
        import fs from 'node:fs';
        const status = fs.readFileSync('/proc/self/status', 'utf8');
        process.stdout.write(JSON.stringify({
          names: Object.keys(process.env).sort(),
          secret: fs.readFileSync(process.env.KEY_FILE, 'utf8'),
          mode: fs.statSync(process.env.KEY_FILE).mode & 0o777,
          gains: /^NoNewPrivs:\\t1$/m.test(status),
          capabilities: /^CapEff:\\t0+$/m.test(status) && /^CapBnd:\\t0+$/m.test(status),
          files: /^Max open files\\s+1024/m.test(fs.readFileSync('/proc/self/limits', 'utf8')),
        }));`);
      const files = { '/run/secrets/KEY': 'hush' };
      const env = { KEY_FILE: '/run/secrets/KEY', GRANTED: 'yes' };
      const { stdout, stderr } = await outcomeOf(driver, { ...plan, files, env });
      expect(stderr).toBe('');
      expect(JSON.parse(stdout.toString())).toEqual({
        names: ['GRANTED', 'HOME', 'KEY_FILE', 'LANG', 'PATH', 'TMPDIR'],
        secret: 'hush',
        mode: 0o600,
        gains: true,
        capabilities: process.getuid?.() === 0 ? true : expect.any(Boolean),
        files: true,
      });
      expect(JSON.stringify(lines)).toContain('WITHOUT A SANDBOX');
      await expect.poll(() => readdir(join(folder, 'state'))).toEqual([]);
    },
  );

  it(
    'is not started where something else lies in the place of a granted folder, or the hub itself',
    verifies('sandbox.unsandboxed', 'folders.that-very-one'),
    async () => {
      const { driver, plan, folder } = await made(true);
      const granted = join(folder, 'granted');
      await mkdir(granted);
      const identity = await folderAt(granted);
      const mount = { source: granted, target: '/workspace', mode: 'rw', root: granted } as const;
      const mounts = [{ ...mount, ...(identity && { identity }) }];
      expect((await outcomeOf(driver, { ...plan, mounts })).exit.code).toBe(0);
      expect(await driver.describeMount(mounts[0] ?? mount)).toContain('not held at all');
      await rename(granted, join(folder, 'aside'));
      await mkdir(granted);
      await expectCode(driver.start({ ...plan, mounts }), 'binding-refused');
      await expectCode(driver.describeMount(mounts[0] ?? mount), 'binding-refused');
      const home = join(folder, 'home');
      await mkdir(home);
      await expectCode(
        driver.start({ ...plan, mounts: [{ source: home, target: '/workspace', mode: 'r', root: home }] }),
        'binding-refused',
      );
    },
  );

  it('ends with its whole group', verifies('sandbox.unsandboxed'), async () => {
    const { driver, plan, source } = await made(true);
    await source(`
      import { spawn } from 'node:child_process';
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
      process.stdout.write(String(child.pid));
      setInterval(() => {}, 1000);`);
    const started = await driver.start(plan);
    const child = Number(
      await new Promise((resolve) => started.stdout.once('data', (chunk) => resolve(String(chunk)))),
    );
    await started.kill();
    expect(await started.exited).toMatchObject({ signal: 'SIGKILL' });
    await expect
      .poll(() => readFile(`/proc/${child}/stat`, 'utf8').catch(() => 'gone'))
      .toMatch(/gone|\) [ZX] /);
  });
});
