import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createBwrapDriver } from '../../../hub/sandbox/bwrap.ts';
import { checkInterpreters, nodeAt, pythonAt, pythonOn } from '../../../hub/sandbox/interpreters.ts';
import { reservedMb } from '../../../hub/sandbox/launch.ts';
import type { SandboxDriver, SandboxPlan } from '../../../hub/sandbox/sandbox.ts';
import { outcomeOf } from '../../attacks/sandbox/outcome.ts';
import { answering } from '../../support/compile.ts';
import { expectCode } from '../../support/expect-code.ts';
import { logLines } from '../../support/log-lines.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';
import { plainPlan } from '../../support/plain-plan.ts';

const { PATH: SEARCH_PATH = '' } = process.env; // oxlint-disable-line node/no-process-env

async function driverWith(options: {
  node?: string;
  python?: string;
  path?: string;
}): Promise<SandboxDriver> {
  const { log } = logLines();
  return createBwrapDriver({
    path: SEARCH_PATH,
    stateDir: join(await tempFolder(), 's'),
    forbidden: [],
    log,
    ...options,
  });
}

const planOf = async (files: Record<string, string>, more: Partial<SandboxPlan>): Promise<SandboxPlan> =>
  plainPlan(join(await tempFolder(), 'package'), files, more);

/** A Python with a version of its own choosing. */
const pythonSaying = async (version: string, file: string) =>
  answering(JSON.stringify({ version, folders: ['/usr/lib/python3.11'] }), file);

describe('an interpreter', () => {
  it(
    'is what it says it is when it is run, and recent enough',
    verifies('sandbox.interpreters'),
    async () => {
      const folder = await tempFolder();
      expect(await nodeAt(process.execPath)).toMatchObject({ version: process.versions.node });
      for (const [version, fits] of [
        ['20.19.0', true],
        ['24.1.0', true],
        ['20.18.9', false],
        ['18.20.0', false],
        ['hello', false],
      ] as const) {
        const node = await answering(version, join(folder, `node-${version}`));
        if (fits) expect(await nodeAt(node)).toEqual({ file: node, version });
        else expect((await expectCode(nodeAt(node), 'program-missing')).message).toContain(version);
      }
      for (const version of ['3.11.0', '3.13.2'])
        expect(await pythonAt(await pythonSaying(version, join(folder, 'python')))).toMatchObject({
          version,
        });
      await expectCode(pythonAt(await pythonSaying('3.10.13', join(folder, 'old'))), 'program-missing');
      await expectCode(pythonAt(await answering('3.11.0', join(folder, 'mute'))), 'program-missing');
    },
  );

  it('is looked for behind scripts and old ones of its name', verifies('sandbox.interpreters'), async () => {
    const [shims, old, recent] = [await tempFolder(), await tempFolder(), await tempFolder()];
    await writeFile(join(shims, 'python3'), '#!/bin/sh\nexec python3.11 "$@"\n', { mode: 0o755 });
    await pythonSaying('3.9.2', join(old, 'python3'));
    await pythonSaying('3.12.1', join(recent, 'python3'));
    expect(await pythonOn(`${shims}:${old}:${recent}`)).toMatchObject({ file: join(recent, 'python3') });
    const { message, hint } = await expectCode(pythonOn(`${shims}:${old}`), 'program-missing');
    expect(message).toContain('3.9.2');
    expect(hint).toContain('hub.json');
    expect((await expectCode(pythonOn(shims), 'program-missing')).message).toContain('no python3');
  });

  it(
    'that an admin names stops the start unless skills can run with it',
    verifies('sandbox.interpreters'),
    async () => {
      const folder = await tempFolder();
      await writeFile(join(folder, 'script'), '#!/bin/sh\necho 22.0.0\n', { mode: 0o755 });
      await writeFile(join(folder, 'plain'), '22.0.0', { mode: 0o644 });
      await symlink(process.execPath, join(folder, 'link'));
      await checkInterpreters({});
      await checkInterpreters({ node: join(folder, 'link') });
      const bad = { none: 'no file', script: 'script', plain: 'no program' };
      for (const [name, why] of Object.entries(bad)) {
        for (const key of ['node', 'python'] as const) {
          const refused = await expectCode(
            checkInterpreters({ [key]: join(folder, name) }),
            'config-invalid',
          );
          expect(refused.message).toContain(`${key} = "${join(folder, name)}"`);
          expect(refused.message).toContain(why);
        }
      }
    },
  );

  it('has the memory that its version reserves', verifies('sandbox.interpreters'), () => {
    expect(reservedMb('node', '24.1.0')).toBeGreaterThan(reservedMb('node', '22.20.0'));
    expect(reservedMb('python')).toBe(reservedMb('node', '20.19.0'));
  });

  it('that an admin names is the one that skills run with', verifies('sandbox.interpreters'), async () => {
    const python = await pythonSaying('3.12.1', join(await tempFolder(), 'python'));
    const driver = await driverWith({ python });
    const plan = await planOf({ 'main.py': '' }, { runtime: { kind: 'python', entry: 'main.py', args: [] } });
    expect((await outcomeOf(driver, plan)).stdout.toString()).toContain('"3.12.1"');
    expect(await driver.hostFiles(plan)).toEqual([
      { role: 'runtime', name: 'Python', version: '3.12.1', path: python },
    ]);
  });
});

describe('a Python skill', () => {
  it(
    'sees the packages beside its entry and none of the machine, and leaves no bytecode',
    verifies('sandbox.python-apart'),
    async () => {
      const source = `import json, sys, os, subprocess
import beside, vendored
shown = [p for p in sys.path if p.startswith('/skill')]
foreign = [os.path.join(p, name) for p in sys.path if os.path.isdir(p) for name in os.listdir(p) if name.endswith(('.dist-info', '.egg-info'))]
child = subprocess.run([sys.executable, '-c', 'import vendored; print(vendored.NAME)'], capture_output=True, text=True)
print(json.dumps([shown, foreign, beside.NAME, child.stdout.strip(), sys.dont_write_bytecode, sys.flags.no_user_site]))
`;
      const plan = await planOf(
        {
          'server/main.py': source,
          'server/beside.py': 'NAME = "beside"\n',
          'server/site/vendored/__init__.py': 'NAME = "vendored"\n',
        },
        { runtime: { kind: 'python', entry: 'server/main.py', args: [] } },
      );
      const { stdout, stderr } = await outcomeOf(await driverWith({}), plan);
      expect(stderr).toBe('');
      expect(JSON.parse(stdout.toString())).toEqual([
        ['/skill/server', '/skill/server/site'],
        [],
        'beside',
        'vendored',
        true,
        1,
      ]);
    },
  );

  it(
    'does not see packages that were installed into the interpreter’s own folder',
    verifies('sandbox.python-apart'),
    async () => {
      const { stdout: real } = await promisify(execFile)((await pythonOn(SEARCH_PATH)).file, [
        '-ISc',
        'import sysconfig; print(sysconfig.get_path("stdlib"))',
      ]);
      // An installation as of python.org: its packages lie within its standard library.
      const home = await tempFolder();
      const stdlib = join(home, 'lib');
      await promisify(execFile)('cp', ['-r', real.trim(), stdlib]);
      await mkdir(join(stdlib, 'site-packages', 'machines'), { recursive: true });
      await writeFile(join(stdlib, 'site-packages', 'machines', '__init__.py'), '');
      const { machinePackages } = await pythonAt(
        await answering(JSON.stringify({ version: '3.11.2', folders: [stdlib] }), join(home, 'python3')),
      );
      expect(machinePackages).toContain(join(stdlib, 'site-packages'));
      const plan = await planOf(
        {
          'index.mjs': `import fs from 'node:fs'; process.stdout.write(JSON.stringify(${JSON.stringify(machinePackages)}.map((path) => fs.readdirSync(path))))`,
        },
        { programs: ['python3'] },
      );
      const { stdout, stderr } = await outcomeOf(await driverWith({ python: join(home, 'python3') }), plan);
      expect([stderr, stdout.toString()]).toEqual(['', JSON.stringify(machinePackages.map(() => []))]);
    },
  );
});

describe('a granted program', () => {
  it(
    'git works with its helpers and templates, and brings no shell',
    verifies('sandbox.granted-programs'),
    async () => {
      const source = `
      import { spawnSync } from 'node:child_process';
      import fs from 'node:fs';
      const git = (...args) => { const { error, stdout, stderr } = spawnSync('git', args, { cwd: '/tmp', encoding: 'utf8' }); return error?.code ?? (stdout + stderr).trim(); };
      const home = git('--exec-path');
      git('init', '-q', 'r');
      fs.writeFileSync('/tmp/r/a', 'x');
      git('-C', 'r', 'add', 'a');
      const made = git('-C', 'r', '-c', 'user.name=a', '-c', 'user.email=a@example.org', 'commit', '-qm', 'first');
      const programs = [fs.readdirSync('/usr/bin'), fs.readdirSync(home)].flat();
      process.stdout.write(JSON.stringify({
        made,
        log: git('-C', 'r', 'log', '--format=%s'),
        templates: fs.existsSync('/tmp/r/.git/info/exclude'),
        programs,
        shells: ['sh', 'bash', 'dash', 'perl'].filter((name) => spawnSync(name, ['-c', 'true']).error === undefined),
        remote: git('ls-remote', 'https://127.0.0.1:1/'),
      }));`;
      const plan = await planOf({ 'index.mjs': source }, { programs: ['git'] });
      const { stdout, stderr } = await outcomeOf(await driverWith({}), plan);
      expect(stderr).toBe('');
      const seen = JSON.parse(stdout.toString()) as Record<string, any>;
      expect(seen).toMatchObject({ made: '', log: 'first', templates: true, shells: [] });
      expect(seen['remote']).toContain('Failed to connect');
      const allowed = ['git', 'git-remote-http', 'git-remote-https', 'node', 'prlimit', 'setpriv'];
      expect((seen['programs'] as string[]).filter((name) => !allowed.includes(name))).toEqual([]);
    },
  );

  it(
    'Python works under each of its names, with its standard library',
    verifies('sandbox.granted-programs'),
    async () => {
      const { file } = await pythonOn(SEARCH_PATH);
      const bin = await tempFolder();
      for (const name of ['python', 'python3.99']) await symlink(file, join(bin, name));
      const names = ['python', 'python3', 'python3.99'];
      const source = `
      import { spawnSync } from 'node:child_process';
      const run = (name) => spawnSync(name, ['-c', 'import sqlite3, json; print(json.dumps([6 * 7]))'], { encoding: 'utf8' });
      process.stdout.write(JSON.stringify(${JSON.stringify(names)}.map((name) => run(name).stdout.trim())));`;
      const driver = await driverWith({ path: `${bin}:${SEARCH_PATH}` });
      const plan = await planOf({ 'index.mjs': source }, { programs: names });
      expect(JSON.parse((await outcomeOf(driver, plan)).stdout.toString())).toEqual(names.map(() => '[42]'));
    },
  );

  it('is named with its path and digest', verifies('sandbox.programs-recorded'), async () => {
    const bin = await tempFolder();
    await answering('tool 1', join(bin, 'tool'));
    const driver = await driverWith({ path: `${SEARCH_PATH}:${bin}` });
    const plan = await planOf({}, { programs: ['tool'] });
    const digest = async () =>
      `sha256:${createHash('sha256')
        .update(await readFile(join(bin, 'tool')))
        .digest('hex')}`;
    const before = await digest();
    const found = async () => (await driver.hostFiles(plan)).find(({ role }) => role === 'program');
    expect(await found()).toEqual({ role: 'program', name: 'tool', path: join(bin, 'tool'), digest: before });
    await answering('tool 2', join(bin, 'tool'));
    expect((await found())?.digest).toBe(await digest());
    expect(await digest()).not.toBe(before);
  });

  it.each(['a-script', 'none', '../tool', '.hidden'])(
    '%s is refused',
    verifies('sandbox.granted-programs'),
    async (name) => {
      const bin = await tempFolder();
      await writeFile(join(bin, 'a-script'), '#!/bin/sh\n', { mode: 0o755 });
      const driver = await driverWith({ path: `${SEARCH_PATH}:${bin}` });
      const plan = await planOf({ 'index.mjs': '' }, { programs: [name] });
      await expectCode(driver.hostFiles(plan), 'program-missing');
      await expectCode(driver.start(plan), 'program-missing');
    },
  );
});
