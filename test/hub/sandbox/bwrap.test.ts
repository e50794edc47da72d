import {
  chmod,
  constants,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBwrapDriver } from '../../../hub/sandbox/bwrap.ts';
import type { SandboxDriver, SandboxPlan } from '../../../hub/sandbox/sandbox.ts';
import { expectCode } from '../../support/expect-code.ts';
import { logLines } from '../../support/log-lines.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';
import { outcomeOf } from '../../attacks/sandbox/outcome.ts';
import { plainPlan } from '../../support/plain-plan.ts';

// The driver takes its PATH as an option; the tests look where a hub on this machine would.
const { PATH: SEARCH_PATH = '' } = process.env; // oxlint-disable-line node/no-process-env

async function driverWith(path: string, home?: string): Promise<{ driver: SandboxDriver; home: string }> {
  const folder = home ?? (await tempFolder());
  const { log } = logLines();
  return {
    driver: createBwrapDriver({ path, stateDir: join(folder, 'sandbox'), forbidden: [folder], log }),
    home: folder,
  };
}

const planIn = (folder: string, source: string, more: Partial<SandboxPlan> = {}): Promise<SandboxPlan> =>
  plainPlan(join(folder, 'package'), { 'index.mjs': source }, more);

describe('without bubblewrap on the PATH', () => {
  it(
    'says so with the one command that mends it, and runs nothing',
    verifies('sandbox.fails-closed'),
    async () => {
      const { driver, home } = await driverWith('/nonexistent');
      const report = await driver.report();
      expect(report).toMatchObject({ usable: false, enforces: [] });
      expect(report.problem?.detail).toContain('bubblewrap');
      expect(report.problem?.hint).toMatch(/install.* bubblewrap$/);
      const marker = join(home, 'ran');
      const plan = await planIn(
        home,
        `import fs from 'node:fs'; fs.writeFileSync(${JSON.stringify(marker)}, '')`,
      );
      await expectCode(driver.start(plan), 'sandbox-unavailable');
      await expectCode(driver.makeOwned(join(home, 'data')), 'sandbox-unavailable');
      await expect(stat(marker)).rejects.toThrow('ENOENT');
    },
  );

  it('a bubblewrap that does not hold is not used', verifies('sandbox.fails-closed'), async () => {
    const folder = await tempFolder();
    const real = JSON.stringify(await which('bwrap'));
    // One that shows the right options and then runs the command with no sandbox at all.
    const impostor = `#!/bin/sh\nif [ "$1" = --help ]; then exec ${real} --help; fi\nwhile [ "$1" != -- ]; do shift; done\nshift\necho '{ "child-pid": '$$' }' >&5\nexec "$@"\n`;
    await writeFile(join(folder, 'bwrap'), impostor, { mode: 0o755 });
    const { driver } = await driverWith(`${folder}:${SEARCH_PATH}`);
    const report = await driver.report();
    expect(report.usable).toBe(false);
    expect(report.problem?.detail).toContain('does not hold');
    await expectCode(driver.start(await planIn(folder, '')), 'sandbox-unavailable');
  });
});

describe('the bubblewrap driver', () => {
  let driver: SandboxDriver;
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'berth-test-'));
    ({ driver } = await driverWith(SEARCH_PATH, home));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it('reports what it holds skills to, and what it does not', verifies('sandbox.fails-closed'), async () => {
    const report = await driver.report();
    expect(report).toMatchObject({ driver: 'bwrap', usable: true });
    expect(report.problem).toBeUndefined();
    expect(report.enforces).toEqual(
      expect.arrayContaining(['files', 'network', 'syscalls', 'disk', 'subprocess']),
    );
    expect(report.enforces).not.toContain('hostFilter');
  });

  it(
    'refuses a grant of hosts, which it cannot hold a skill to',
    verifies('sandbox.fails-closed'),
    async () => {
      const folder = await tempFolder();
      const network = [{ host: 'api.example.com', port: 443, protocol: 'tls' as const }];
      const error = await expectCode(
        driver.start(await planIn(folder, '', { network })),
        'sandbox-cannot-enforce',
      );
      expect(error.data).toEqual({ capability: 'hostFilter' });
      expect(error.message).toContain('hostFilter');
    },
  );

  it.each(['LD_PRELOAD', 'LD_LIBRARY_PATH', 'GLIBC_TUNABLES', 'GCONV_PATH'])(
    'refuses the variable %s, which changes how programs are loaded',
    verifies('sandbox.environment'),
    async (name) => {
      const folder = await tempFolder();
      await expectCode(
        driver.start(await planIn(folder, '', { env: { [name]: '/skill/evil.so' } })),
        'binding-refused',
      );
    },
  );

  it(
    'passes arguments, environment and secret files, and speaks over three pipes',
    verifies('sandbox.environment'),
    async () => {
      const folder = await tempFolder();
      const source = `
      import fs from 'node:fs';
      process.stdin.on('data', (chunk) => process.stdout.write(chunk.toString().toUpperCase()));
      process.stdin.on('end', () => {
        process.stderr.write([process.argv[2], process.env.KEY, fs.readFileSync(process.env.CERT_FILE)].join(' '));
        process.exitCode = 7;
      });`;
      const plan = await planIn(folder, source, {
        env: { KEY: 'value', CERT_FILE: '/run/secrets/CERT', HOME: '/elsewhere' },
        files: { '/run/secrets/CERT': 'the certificate' },
        runtime: { kind: 'node', entry: 'index.mjs', args: ['--first'] },
      });
      const started = await driver.start(plan);
      started.stdin.end('hello');
      const [out, err] = await Promise.all([text(started.stdout), text(started.stderr)]);
      expect([out, err]).toEqual(['HELLO', '--first value the certificate']);
      expect(await started.exited).toEqual({ code: 7, signal: null });
    },
  );

  it('puts no secret into a command line', verifies('sandbox.environment'), async () => {
    const folder = await tempFolder();
    const plan = await planIn(folder, 'process.stdin.resume(); process.stdout.write("ready")', {
      env: { KEY: 'swordfish-in-env' },
      files: { '/run/secrets/KEY': 'swordfish-in-file' },
    });
    const started = await driver.start(plan);
    await new Promise((resolve) => started.stdout.once('data', resolve));
    expect(await readFile(`/proc/${started.pid}/cmdline`, 'latin1')).not.toContain('swordfish');
    expect(await readFile(`/proc/${started.pid}/environ`, 'latin1')).not.toContain('swordfish');
    await started.kill();
  });

  it('ends a process tree as often as it is told to', verifies('sandbox.no-orphans'), async () => {
    const folder = await tempFolder();
    const started = await driver.start(await planIn(folder, 'setInterval(() => {}, 1000)'));
    await Promise.all([started.kill(), started.kill()]);
    await started.kill();
    expect(await started.exited).toMatchObject({ code: null, signal: 'SIGKILL' });
    await expect(stat(`/proc/${started.pid}`)).rejects.toThrow('ENOENT');
  });

  it('runs a program that was granted, and no other', verifies('sandbox.no-programs'), async () => {
    const folder = await tempFolder();
    const source = `
      import { spawnSync } from 'node:child_process';
      const run = (name, ...args) => { const { error, stdout } = spawnSync(name, args); return error?.code ?? stdout.toString().trim(); };
      process.stdout.write(JSON.stringify([run('grep', '-c', 'skill', '/etc/passwd'), run('cat', '/etc/passwd')]));`;
    const plan = await planIn(folder, source, { programs: ['grep'] });
    const { stdout } = await outcomeOf(driver, plan);
    expect(JSON.parse(stdout.toString())).toEqual(['1', 'ENOENT']);
    const missing = await expectCode(
      driver.start({ ...plan, programs: ['no-such-program'] }),
      'program-missing',
    );
    expect(missing.hint).toContain('Install no-such-program');
    await expectCode(driver.start({ ...plan, programs: ['../bin/sh'] }), 'program-missing');
  });

  it('runs Node from wherever it is installed', verifies('sandbox.runtimes'), async () => {
    const folder = await tempFolder();
    const node = join(folder, 'versions', 'v20', 'bin', 'node');
    await mkdir(dirname(node), { recursive: true });
    await copyFile(process.execPath, node, constants.COPYFILE_FICLONE);
    const { log } = logLines();
    const other = createBwrapDriver({
      path: SEARCH_PATH,
      stateDir: join(folder, 'state'),
      forbidden: [],
      log,
      node,
    });
    expect(await other.report()).toMatchObject({ usable: true });
    const plan = await planIn(folder, 'process.stdout.write(process.execPath + process.version)');
    expect((await outcomeOf(other, plan)).stdout.toString()).toBe(`/usr/bin/node${process.version}`);
  });

  it(
    'runs Python with its standard library, or says that it is missing',
    verifies('sandbox.runtimes'),
    async () => {
      const folder = await tempFolder();
      const plan = await planIn(folder, '', { runtime: { kind: 'python', entry: 'main.py', args: ['x'] } });
      const source =
        'import json, sqlite3, ssl, sys, os\nprint(json.dumps([sys.argv[1], os.getcwd(), sorted(os.listdir("/usr/bin"))]))\n';
      await writeFile(join(plan.packageDir, 'main.py'), source, { mode: 0o644 });
      const installed = await outcomeOf(driver, plan).catch((error: Error) => error);
      if (installed instanceof Error) {
        expect(installed).toMatchObject({
          code: 'program-missing',
          message: expect.stringContaining('python3'),
        });
      } else {
        expect(installed.stderr).toBe('');
        expect(JSON.parse(installed.stdout.toString())).toMatchObject([
          'x',
          '/skill',
          expect.not.arrayContaining(['sh', 'env']),
        ]);
      }
    },
  );

  it('runs a program that needs libraries', verifies('sandbox.runtimes'), async () => {
    const folder = await tempFolder();
    const plan = await planIn(folder, '', {
      runtime: { kind: 'binary', entry: 'program', args: ['-c', 'nobody', '/etc/passwd'] },
    });
    await copyFile(await which('grep'), join(plan.packageDir, 'program'));
    await chmod(join(plan.packageDir, 'program'), 0o755);
    expect(await outcomeOf(driver, plan)).toMatchObject({ stderr: '', exit: { code: 0 } });
    await writeFile(join(plan.packageDir, 'program'), '#!/bin/sh\n');
    await expectCode(driver.start(plan), 'skill-start-failed');
  });

  it('says that an entry is not there', verifies('sandbox.fails-closed'), async () => {
    const folder = await tempFolder();
    const plan = await planIn(folder, '', { runtime: { kind: 'node', entry: 'none.mjs', args: [] } });
    await expectCode(driver.start(plan), 'skill-start-failed');
  });

  describe('asked for a folder', () => {
    const grant = (source: string, root?: string) =>
      driver.describeMount({
        source,
        target: '/workspace',
        mode: 'rw',
        ...(root === undefined ? {} : { root }),
      });

    it('says how it would be held', verifies('sandbox.mounts'), async () => {
      const folder = await tempFolder();
      const expected = process.getuid?.() === 0 ? "with root's file ownership" : 'account that runs the hub';
      expect(await grant(folder)).toContain(expected);
    });

    it.each(['/', '/proc', '/sys', '/dev', '/etc', '/etc/ssl', '/proc/self', '/sys/fs'])(
      'refuses %s',
      verifies('sandbox.mounts'),
      async (path) => {
        const error = await expectCode(grant(path), 'binding-refused');
        expect(error.hint).not.toBe('');
      },
    );

    it('refuses the hub’s home, what lies in it and what holds it', verifies('sandbox.mounts'), async () => {
      for (const path of [home, join(home, 'sandbox'), dirname(home)]) {
        const error = await expectCode(grant(path), 'binding-refused');
        expect(error.message).toContain(home);
      }
    });

    it(
      'refuses a file, a missing folder, and a link out of the folder that was named',
      verifies('sandbox.mounts'),
      async () => {
        const folder = await tempFolder();
        const other = await tempFolder();
        await writeFile(join(folder, 'file'), '');
        await symlink(other, join(folder, 'link'));
        await symlink(home, join(folder, 'home'));
        await expectCode(grant(join(folder, 'file')), 'binding-refused');
        await expectCode(grant(join(folder, 'none')), 'binding-refused');
        await expectCode(grant(join(folder, 'link'), folder), 'binding-refused');
        await expectCode(grant(join(folder, 'home')), 'binding-refused');
        // A link that the admin named is what the admin meant.
        await expect(grant(join(folder, 'link'))).resolves.toEqual(expect.any(String));
      },
    );

    it(
      'mounts what it checked, although the name leads elsewhere by then',
      verifies('sandbox.mounts'),
      async () => {
        const folder = await tempFolder();
        await mkdir(join(folder, 'work'));
        await chmod(join(folder, 'work'), 0o777);
        const mounts = [
          { source: join(folder, 'work'), target: '/workspace', mode: 'r' as const, root: folder },
        ];
        const plan = await planIn(
          folder,
          'import fs from "node:fs"; process.stdout.write(fs.readdirSync("/workspace").join())',
          { mounts },
        );
        await writeFile(join(folder, 'work', 'here'), '');
        expect((await outcomeOf(driver, plan)).stdout.toString()).toBe('here');
      },
    );
  });

  it('holds a folder that was granted for reading to that', verifies('sandbox.mounts'), async () => {
    const folder = await tempFolder();
    const workspace = join(folder, 'work');
    await mkdir(workspace);
    await writeFile(join(workspace, 'given'), 'x');
    const source = `
      import fs from 'node:fs';
      const code = (work) => { try { work(); return 'done'; } catch (error) { return error.code; } };
      process.stdout.write(JSON.stringify([
        code(() => fs.readFileSync('/workspace/given')),
        code(() => fs.writeFileSync('/workspace/given', 'y')),
        code(() => fs.writeFileSync('/workspace/new', 'y')),
        code(() => fs.unlinkSync('/workspace/given')),
        code(() => fs.chmodSync('/workspace/given', 0o600)),
      ]));`;
    const plan = await planIn(folder, source, {
      mounts: [{ source: workspace, target: '/workspace', mode: 'r' }],
    });
    const { stdout } = await outcomeOf(driver, plan);
    const [reading, ...writing] = JSON.parse(stdout.toString()) as string[];
    expect(reading).toBe('done');
    for (const code of writing) expect(['EROFS', 'EACCES', 'EPERM']).toContain(code);
  });

  it.runIf(process.getuid?.() === 0)(
    'hands the data folder to whoever runs in it',
    verifies('sandbox.account'),
    async () => {
      const folder = await tempFolder();
      const dataDir = join(folder, 'data');
      await driver.makeOwned(dataDir);
      expect(await stat(dataDir)).toMatchObject({ uid: 65_534, mode: 0o40700 });
      const workspace = join(folder, 'work');
      await mkdir(workspace, { mode: 0o700 });
      const data = { source: dataDir, target: '/data', mode: 'rw' as const, root: dataDir };
      const source =
        'import fs from "node:fs"; fs.appendFileSync("/data/log", "x"); process.stdout.write(fs.readFileSync("/data/log"))';
      const alone = await planIn(folder, source, { dataDir, mounts: [data] });
      expect((await outcomeOf(driver, alone)).stdout.toString()).toBe('x');
      const withRoot = {
        ...alone,
        mounts: [data, { source: workspace, target: '/workspace', mode: 'rw' as const }],
      };
      expect((await outcomeOf(driver, withRoot)).stdout.toString()).toBe('xx');
      expect((await stat(join(dataDir, 'log'))).uid).toBe(0);
      await driver.makeOwned(dataDir);
      expect((await outcomeOf(driver, alone)).stdout.toString()).toBe('xxx');
      expect((await stat(join(dataDir, 'log'))).uid).toBe(65_534);
    },
  );
});

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}

async function which(name: string): Promise<string> {
  for (const folder of SEARCH_PATH.split(':')) {
    const file = join(folder, name);
    if (
      await stat(file).then(
        (found) => found.isFile(),
        () => false,
      )
    )
      return file;
  }
  throw new Error(`${name} is not on the PATH`);
}
