import { chown, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLogger, type Logger } from '../../protocol/node/logger.ts';
import type { Capability, SandboxDriver, SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import { outcomeOf } from '../attacks/sandbox/outcome.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';
import { plainPlan } from '../support/plain-plan.ts';
import { syscallProbe } from '../support/syscall-probe.ts';

const NOBODY = 65_534;
const MEGABYTE = 1024 * 1024;
const asRoot = process.getuid?.() === 0;

/** What a driver is made with here. */
export interface DriverOrder {
  home: string;
  requires?: readonly Capability[];
  log?: Logger;
}

/** proc_pid_status(5). */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** What every sandbox driver promises to the hub above it; `make` is asked for several of them. */
export function sandboxDriverContract(make: (order: DriverOrder) => SandboxDriver): void {
  let home: string;
  let outside: string;
  let driver: SandboxDriver;
  let packages = 0;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'berth-driver-'));
    outside = await mkdtemp(join(tmpdir(), 'berth-driver-'));
    driver = make({ home });
  });
  afterAll(async () => {
    await rm(home, { recursive: true, force: true });
    await rm(outside, { recursive: true, force: true });
  });

  const packageDir = () => join(home, `package-${(packages += 1)}`);
  const plan = (source: string, more: Partial<SandboxPlan> = {}): Promise<SandboxPlan> =>
    plainPlan(packageDir(), { 'index.mjs': source }, more);

  /** A folder that the skill's account owns, as one that a person grants mostly is. */
  async function grantable(name: string): Promise<string> {
    const folder = join(outside, name);
    await mkdir(folder, { mode: 0o700 });
    if (asRoot) await chown(folder, NOBODY, NOBODY);
    return folder;
  }

  it('is usable here, and says by which checks', verifies('sandbox.drivers', 'sandbox.checks'), async () => {
    const report = await driver.report();
    expect(report).toMatchObject({ driver: driver.name, usable: true, requires: [] });
    expect(report.problem).toBeUndefined();
    expect(report.enforces).toEqual(
      expect.arrayContaining(['files', 'network', 'syscalls', 'disk', 'subprocess']),
    );
    const ids = report.checks.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(['probe', 'seccomp', 'unseen', 'limit-memory']));
    expect(report.checks.filter(({ state }) => state === 'bad')).toEqual([]);
    for (const id of ['memory', 'cpu', 'pids'] as const) {
      const said = report.checks.find((check) => check.id === `limit-${id}`)?.state;
      expect(said).toBe(report.enforces.includes(id) ? 'ok' : 'note');
    }
  });

  it(
    'loses nothing of what has ended before its reader is there',
    verifies('sandbox.last-words'),
    async () => {
      const log = createLogger({ level: 'silent', name: 'test' });
      // The hub has no time for anything until the program is gone; then there is a folder to let go of.
      log.debug = (started: { pid: number }) => {
        while (isRunning(started.pid));
      };
      const program = syscallProbe([{ number: 39 }]);
      const started = await make({ home, log }).start(
        await plainPlan(
          packageDir(),
          { probe: program },
          {
            runtime: { kind: 'binary', entry: 'probe', args: [] },
            mounts: [{ source: await grantable('quick'), target: '/workspace', mode: 'r' }],
          },
        ),
      );
      const [out] = await Promise.all([text(started.stdout), text(started.stderr), started.exited]);
      expect(Buffer.byteLength(out)).toBe(8);
    },
  );

  it(
    'passes arguments, environment and secret files, and speaks over three pipes',
    verifies('sandbox.drivers', 'sandbox.environment'),
    async () => {
      const source = `
      import fs from 'node:fs';
      process.stdin.on('data', (chunk) => process.stdout.write(chunk.toString().toUpperCase()));
      process.stdin.on('end', () => {
        const { KEY, ODD, EMPTY, HOME, CERT_FILE } = process.env;
        process.stderr.write(JSON.stringify([process.argv.slice(2), KEY, ODD, EMPTY, HOME, process.cwd(), fs.readFileSync(CERT_FILE, 'utf8')]));
        process.exitCode = 7;
      });`;
      const env = {
        KEY: 'a=b #c "d"',
        ODD: "  ' $HOME \\n *",
        EMPTY: '',
        CERT_FILE: '/run/secrets/CERT',
        HOME: '/elsewhere',
      };
      const started = await driver.start(
        await plan(source, {
          env,
          files: { '/run/secrets/CERT': 'line 1\nline 2' },
          runtime: { kind: 'node', entry: 'index.mjs', args: ['--first', '-v', 'a b'] },
        }),
      );
      started.stdin.end('hello');
      const [out, err] = await Promise.all([text(started.stdout), text(started.stderr)]);
      expect(out).toBe('HELLO');
      expect(JSON.parse(err)).toEqual([
        ['--first', '-v', 'a b'],
        env.KEY,
        env.ODD,
        '',
        '/tmp',
        '/skill',
        'line 1\nline 2',
      ]);
      expect(await started.exited).toEqual({ code: 7, signal: null });
    },
  );

  it('refuses hosts where it cannot filter them', verifies('sandbox.drivers', 'sandbox.needs'), async () => {
    const { enforces } = await driver.report();
    if (enforces.includes('hostFilter')) return;
    const network = [{ host: 'api.example.com', port: 443, protocol: 'tls' as const }];
    const error = await expectCode(driver.start(await plan('', { network })), 'sandbox-cannot-enforce');
    expect(error.data).toEqual({ capability: 'hostFilter' });
  });

  it(
    'refuses every plan while it lacks what the admin requires',
    verifies('sandbox.drivers', 'sandbox.needs'),
    async () => {
      const { enforces } = await driver.report();
      const all: readonly Capability[] = ['hostFilter', 'memory', 'cpu', 'pids'];
      const [lacking] = all.filter((capability) => !enforces.includes(capability));
      if (lacking === undefined) return;
      const demanding = make({ home, requires: [lacking] });
      expect(await demanding.report()).toMatchObject({ usable: true, requires: [lacking] });
      const error = await expectCode(demanding.start(await plan('')), 'sandbox-cannot-enforce');
      expect(error.data).toEqual({ capability: lacking });
    },
  );

  it('refuses variables of the loader', verifies('sandbox.drivers', 'sandbox.environment'), async () => {
    const env = { LD_PRELOAD: '/skill/evil.so' };
    await expectCode(driver.start(await plan('', { env })), 'binding-refused');
  });

  it('holds folders to what was granted', verifies('sandbox.drivers', 'sandbox.mounts'), async () => {
    const [work, reading] = [await grantable('work'), await grantable('reading')];
    await writeFile(join(reading, 'given'), 'given', { mode: 0o644 });
    const dataDir = join(home, 'data');
    await driver.makeOwned(dataDir);
    const source = `
      import fs from 'node:fs';
      const code = (attempt) => { try { attempt(); return 'done'; } catch (error) { return error.code; } };
      process.stdout.write(JSON.stringify([
        code(() => fs.writeFileSync('/workspace/made', 'x')),
        code(() => fs.readFileSync('/grants/1/given')),
        code(() => fs.writeFileSync('/grants/1/new', 'x')),
        code(() => fs.unlinkSync('/grants/1/given')),
        code(() => fs.mkdirSync('/data/sub/more')),
        code(() => fs.writeFileSync('/skill/evil', 'x')),
      ]));`;
    const { stdout, stderr } = await outcomeOf(
      driver,
      await plan(source, {
        dataDir,
        mounts: [
          { source: join(dataDir, 'sub'), target: '/data/sub', mode: 'rw', root: dataDir },
          { source: work, target: '/workspace', mode: 'rw' },
          { source: reading, target: '/grants/1', mode: 'r' },
        ],
      }),
    );
    expect(stderr).toBe('');
    const [writes, reads, ...others] = JSON.parse(stdout.toString()) as string[];
    expect([writes, reads, others[2]]).toEqual(['done', 'done', 'done']);
    for (const refused of [others[0], others[1], others[3]]) expect(['EROFS', 'EACCES']).toContain(refused);
    expect(await readFile(join(work, 'made'), 'utf8')).toBe('x');
  });

  it(
    'refuses the hub’s home, the system, a missing folder, and a link out of what was named',
    verifies('sandbox.drivers', 'sandbox.mounts'),
    async () => {
      const folder = await grantable('links');
      await symlink(outside, join(folder, 'out'));
      const grant = (source: string, root = source) =>
        driver.describeMount({ source, target: '/workspace', mode: 'rw', root });
      for (const source of [home, join(home, 'data'), '/etc', '/proc', '/', join(folder, 'none')])
        await expectCode(grant(source), 'binding-refused');
      await expectCode(grant(join(folder, 'out'), folder), 'binding-refused');
      expect(await grant(folder)).toEqual(expect.any(String));
    },
  );

  it(
    'mounts what it looked at, however often that is exchanged meanwhile',
    verifies('sandbox.drivers', 'sandbox.mounts'),
    async () => {
      const [work, secret] = [await grantable('swapped'), await grantable('secret')];
      await writeFile(join(secret, 'key'), 'secret', { mode: 0o644 });
      const looks = await plan(
        `import fs from 'node:fs'; process.stdout.write(JSON.stringify(fs.readdirSync('/workspace')));`,
        { mounts: [{ source: join(work, 'folder'), target: '/workspace', mode: 'rw', root: work }] },
      );
      await mkdir(join(work, 'folder'), { mode: 0o755 });
      let swapping = true;
      const swaps = (async () => {
        while (swapping) {
          await rename(join(work, 'folder'), join(work, 'aside'));
          await symlink(secret, join(work, 'folder'));
          await rm(join(work, 'folder'));
          await rename(join(work, 'aside'), join(work, 'folder'));
        }
      })();
      try {
        for (let start = 0; start < 6; start += 1) {
          // A start may be refused; what it must not do is show what was never granted.
          const seen = await outcomeOf(driver, looks).then(
            ({ stdout }) => stdout.toString(),
            ({ code }: { code: string }) => code,
          );
          expect(['[]', '', 'binding-refused', 'skill-start-failed']).toContain(seen);
        }
      } finally {
        swapping = false;
        await swaps;
      }
    },
  );

  it(
    'makes no folder through a link that a skill left in its data folder',
    verifies('sandbox.drivers', 'sandbox.mounts'),
    async () => {
      const dataDir = join(home, 'data-with-link');
      await driver.makeOwned(dataDir);
      await symlink(outside, join(dataDir, 'way-out'));
      const mount = {
        source: join(dataDir, 'way-out', 'made'),
        target: '/data/way-out/made',
        mode: 'rw' as const,
        root: dataDir,
      };
      await expectCode(driver.start(await plan('', { dataDir, mounts: [mount] })), 'binding-refused');
      expect(await readdir(outside)).not.toContain('made');
    },
  );

  it('makes scratch folders that are bounded', verifies('sandbox.drivers', 'sandbox.limits'), async () => {
    const source = `
      import fs from 'node:fs';
      const fill = (path) => {
        const file = fs.openSync(path, 'w');
        let bytes = 0;
        try { for (;;) bytes += fs.writeSync(file, Buffer.alloc(1024 * 1024)); } catch (error) { return [bytes, error.code]; }
      };
      process.stdout.write(JSON.stringify([fill('/workspace/x'), fill('/tmp/x'), fill('/dev/shm/x')]));`;
    const { stdout } = await outcomeOf(driver, await plan(source, { scratch: ['/workspace'] }));
    expect(JSON.parse(stdout.toString())).toEqual([
      [8 * MEGABYTE, 'ENOSPC'],
      [8 * MEGABYTE, 'ENOSPC'],
      [16 * MEGABYTE, 'ENOSPC'],
    ]);
  });

  it(
    'bounds the memory of all processes of a skill together, where it claims to',
    verifies('sandbox.drivers', 'sandbox.whole-tree'),
    async () => {
      if (!(await driver.report()).enforces.includes('memory')) return;
      // Four processes that take little each: together too much. The first waits for all of them.
      const source = `
      import { spawn } from 'node:child_process';
      if (process.argv[2] === 'take') {
        globalThis.kept = Buffer.alloc(100 * 1024 * 1024, 1);
        process.stdout.write('t');
        setInterval(() => {}, 1000);
      } else {
        for (let count = 0; count < 4; count += 1)
          spawn(process.execPath, [process.argv[1], 'take'], { stdio: ['ignore', 'inherit', 'ignore'] })
            .on('exit', (_, signal) => { process.stdout.write(signal); process.exit(9); });
      }`;
      const limits = { memoryMb: 256, cpus: 1, pids: 128, diskMb: 8 };
      const { stdout, exit } = await outcomeOf(driver, await plan(source, { limits }));
      expect(exit).toMatchObject({ code: 9 });
      expect(stdout.toString()).toContain('SIGKILL');
      expect(stdout.toString().replace('SIGKILL', '').length).toBeLessThan(4);
    },
  );

  it(
    'ends a tree whose processes have left their group, their session and their parents',
    verifies('sandbox.drivers', 'sandbox.no-orphans', 'sandbox.whole-tree'),
    async () => {
      const token = `contract-${driver.name}-${process.pid}`;
      const source = `
      import { spawn } from 'node:child_process';
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE']) process.on(signal, () => {});
      setInterval(() => {}, 1000);
      const depth = Number(process.argv[3] ?? 2);
      if (depth === 0) process.stdout.write('ready');
      else spawn(process.execPath, [process.argv[1], ${JSON.stringify(token)}, String(depth - 1)], { detached: true, stdio: ['ignore', 'inherit', 'ignore'] });`;
      const started = await driver.start(
        await plan(source, {
          runtime: { kind: 'node', entry: 'index.mjs', args: [token] },
          limits: { memoryMb: 256, cpus: 1, pids: 96, diskMb: 8 },
        }),
      );
      await new Promise((resolve) => started.stdout.once('data', resolve));
      expect((await processesNaming(token)).length).toBeGreaterThanOrEqual(3);
      await Promise.all([started.kill(), started.kill()]);
      await started.kill();
      expect(await started.exited).toMatchObject({ code: null, signal: 'SIGKILL' });
      expect(await processesNaming(token)).toEqual([]);
    },
  );

  it('says that an entry is not there', verifies('sandbox.drivers', 'sandbox.fails-closed'), async () => {
    const none = await plan('', { runtime: { kind: 'node', entry: 'none.mjs', args: [] } });
    await expectCode(driver.start(none), 'skill-start-failed');
  });

  it(
    'starts no plan that was approved to run without a sandbox any other way than in one',
    verifies('sandbox.drivers', 'sandbox.unsandboxed'),
    async () => {
      const source = `import fs from 'node:fs'; process.stdout.write(String(fs.existsSync('/etc/shadow')));`;
      const { stdout } = await outcomeOf(driver, await plan(source, { unsandboxed: true }));
      expect(stdout.toString()).toBe('false');
    },
  );
}

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}

/** Command lines of all processes that name the token, seen from the host. */
async function processesNaming(token: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    if (command.includes(token)) found.push(`${pid} ${command.replaceAll('\0', ' ')}`);
  }
  return found;
}
