import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxPlan } from '../../../hub/sandbox/sandbox.ts';
import { verifies } from '../../support/verifies.ts';
import { type Form, FORM_NAMES_WITH_CONTAINERS, hubLike, openForm } from './forms.ts';

/** The bound that a hub's death has to end everything. */
const GONE_WITHIN_MS = 2000;

/** Starts a child in a session of its own that starts another, all deaf to every signal that can be caught. */
const FAMILY = `
import { spawn } from 'node:child_process';
const [depth, token] = [Number(process.argv[2]), process.argv[3]];
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE']) process.on(signal, () => {});
setInterval(() => {}, 1000);
const ready = () => process.stdout.write('ready ' + token);
if (depth === 0) ready();
else {
  const child = spawn(process.execPath, [process.argv[1], String(depth - 1), token], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.once('data', () => {
    ready();
    if (process.argv[4] === 'leave') process.exit(0);
  });
}
`;

describe.each(FORM_NAMES_WITH_CONTAINERS)('the end of a skill, the hub being %s', (name) => {
  let form: Form;
  let base: string;

  beforeAll(async () => {
    form = await openForm(name);
    base = await mkdtemp(join(tmpdir(), 'berth-attack-'));
    await chmod(base, 0o755);
  });
  afterAll(async () => {
    await form.close();
    await rm(base, { recursive: true, force: true });
  });

  const openHub = () => hubLike(form, base);

  const family = (token: string, ...more: string[]): Promise<SandboxPlan> =>
    form.plan(
      { 'attack.mjs': FAMILY },
      { runtime: { kind: 'node', entry: 'attack.mjs', args: ['2', token, ...more] } },
    );

  it(
    'nothing remains within two seconds when the hub is killed with -9',
    verifies('sandbox.no-orphans'),
    async () => {
      const hub = await openHub();
      const token = `token-${name.length}-${hub.pid}`;
      const { said } = await hub.start(await family(token));
      expect(said).toBe(`ready ${token}`);
      // Bubblewrap has two processes of its own around the three.
      expect(await processesNaming(token)).toHaveLength(name === 'root, in containers' ? 3 : 5);

      const killedAt = performance.now();
      hub.child.kill('SIGKILL');
      await expect.poll(() => processesNaming(token), { timeout: GONE_WITHIN_MS, interval: 5 }).toEqual([]);
      expect(performance.now() - killedAt).toBeLessThan(GONE_WITHIN_MS);
    },
  );

  it('a hub that is killed while it starts skills leaves none', verifies('sandbox.no-orphans'), async () => {
    for (const delay of [0, 2, 5, 9]) {
      const hub = await openHub();
      const token = `token-early-${name.length}-${hub.pid}`;
      const plan = await family(token);
      await hub.report();
      void hub.start(plan).catch(() => undefined);
      if (delay > 0)
        await expect.poll(() => startsOf(hub.pid), { interval: 1, timeout: 5000 }).not.toEqual([]);
      const until = performance.now() + delay;
      while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
      hub.child.kill('SIGKILL');
      await hub.close();
      await expect.poll(() => processesNaming(token), { timeout: GONE_WITHIN_MS, interval: 5 }).toEqual([]);
    }
  });

  it(
    'a hub that is stopped in the middle of a start, and then killed, leaves nothing',
    verifies('sandbox.no-orphans'),
    async () => {
      const hub = await openHub();
      const token = `token-stopped-${name.length}-${hub.pid}`;
      const plan = await family(token);
      await hub.report();
      void hub.start(plan).catch(() => undefined);
      await expect.poll(() => startsOf(hub.pid), { interval: 1, timeout: 5000 }).not.toEqual([]);
      hub.child.kill('SIGSTOP');
      // What it has begun waits for it, or goes on by itself; either way it must end with it.
      hub.child.kill('SIGKILL');
      await hub.close();
      await expect.poll(() => processesNaming(token), { timeout: GONE_WITHIN_MS, interval: 5 }).toEqual([]);
      await expect.poll(() => startsOf(hub.pid), { timeout: GONE_WITHIN_MS, interval: 5 }).toEqual([]);
      // What holds a container is gone a moment later, and so is the guard.
      await expect
        .poll(() => processesNaming(`berth-${hub.pid}-`), { timeout: 10_000, interval: 20 })
        .toEqual([]);
    },
  );

  it(
    'a skill that stops all of its processes is ended all the same',
    verifies('sandbox.no-orphans'),
    async () => {
      const hub = await openHub();
      const token = `token-still-${name.length}-${hub.pid}`;
      const stopping = await form.plan(
        {
          'attack.mjs': `
          import { spawn } from 'node:child_process';
          const stop = 'process.stdout.write("ready", () => process.kill(process.pid, "SIGSTOP"))';
          spawn(process.execPath, ['-e', stop, ${JSON.stringify(token)}], { detached: true, stdio: ['ignore', 'inherit', 'ignore'] });
          process.kill(process.pid, 'SIGSTOP');
          setInterval(() => {}, 1000);`,
        },
        { runtime: { kind: 'node', entry: 'attack.mjs', args: [token] } },
      );
      await hub.start(stopping);
      hub.child.kill('SIGKILL');
      await expect.poll(() => processesNaming(token), { timeout: GONE_WITHIN_MS, interval: 5 }).toEqual([]);
    },
  );

  it('what a program leaves behind ends with it', verifies('sandbox.no-orphans'), async () => {
    const token = `token-leave-${name.length}-${process.pid}`;
    const { stdout, exit } = await form.run(await family(token, 'leave'));
    expect(stdout.toString()).toBe(`ready ${token}`);
    expect(exit).toEqual({ code: 0, signal: null });
    expect(await processesNaming(token)).toEqual([]);
  });

  // Podman names the groups of containers.
  it.runIf(name !== 'root, in containers')(
    'leaves no control group behind',
    verifies('sandbox.no-orphans'),
    async () => {
      const hub = await openHub();
      await hub.report();
      const groups = await groupsNaming('berth-');
      // The hubs that were killed above are gone, and so are their groups; those of other tests may stand.
      for (const group of groups) {
        const [, pid = ''] = group.split('-');
        expect(await exists(`/proc/${pid}`), group).toBe(true);
      }
    },
  );
});

/** Command lines of all processes that name the token: those of the sandbox, seen from outside. */
async function processesNaming(token: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    if (command.includes(token)) found.push(`${pid} ${command.replaceAll('\0', ' ')}`);
  }
  return found;
}

/** What a hub has begun to start; its guard names what it looks for, and is none of that. */
async function startsOf(pid: number): Promise<string[]> {
  const marked = await processesNaming(`:${pid}:`);
  return marked.filter((command) => /^\d+ berth-(?:sandbox|podman):/.test(command));
}

async function groupsNaming(start: string): Promise<string[]> {
  const folders = ['/sys/fs/cgroup', '/sys/fs/cgroup/pids'];
  const names = await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])));
  return names.flat().filter((entry) => entry.startsWith(start));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
