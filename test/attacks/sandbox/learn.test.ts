import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Seen } from '../../../hub/sandbox/trace-call.ts';
import { verifies } from '../../support/verifies.ts';
import { type Answer, type Attack, attackProgram } from './attack-program.ts';
import { type Form, FORM_NAMES, hubLike, openForm } from './forms.ts';

interface Given {
  hubPid: number;
  stateDir: string;
}

/** The bound that the death of who watches has to end everything. */
const GONE_WITHIN_MS = 2000;
const UNSEEN = ['ENOENT'];
const READ_ONLY = ['EROFS', 'EACCES', 'EPERM'];

/** What a watched skill might do to whoever watches, and what no skill may do, watched or not. */
const REFUSED: Readonly<Record<string, { attack: Attack<Given>; meets: readonly string[] }>> = {
  'reads /etc/shadow': { attack: ({ fs }) => fs.readFileSync('/etc/shadow'), meets: UNSEEN },
  'finds the pipe of the trace': {
    attack: ({ fs }, { stateDir }) => fs.readdirSync(stateDir),
    meets: UNSEEN,
  },
  'reads the environment of the hub': {
    attack: ({ fs }, { hubPid }) => fs.readFileSync(`/proc/${hubPid}/environ`),
    meets: UNSEEN,
  },
  'signals whoever watches': {
    attack: (_tools, { hubPid }) => process.kill(hubPid, 'SIGKILL') && 'killed',
    meets: ['ESRCH'],
  },
  'changes its own package': {
    attack: ({ fs }) => fs.writeFileSync('/skill/attack.mjs', ''),
    meets: READ_ONLY,
  },
  'rewrites core_pattern': {
    attack: ({ fs }) => fs.writeFileSync('/proc/sys/kernel/core_pattern', '|/workspace/evil'),
    meets: READ_ONLY,
  },
  'starts a shell': {
    attack: ({ childProcess }) => {
      const { error } = childProcess.spawnSync('/bin/sh', ['-c', 'id']);
      if (error !== undefined) throw error;
    },
    meets: UNSEEN,
  },
};

/** Facts that a watched process reads of itself. */
const FACTS: Readonly<Record<string, Attack<Given>>> = {
  status: ({ fs }) => fs.readFileSync('/proc/self/status', 'utf8'),
  first: ({ fs }) =>
    fs.readFileSync('/proc/1/cmdline', 'utf8') +
    fs.readFileSync('/proc/1/environ', 'utf8').replaceAll('\0', ' '),
  descriptors: ({ fs }) =>
    fs.readdirSync('/proc/self/fd').map((name) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${name}`);
      } catch {
        return '';
      }
    }),
  processes: ({ fs }) => fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length,
};

/** Paths that would be lines, ends of strings or screens of their own, were they written as they are. */
const FORGERIES = [
  '/a\n1 execve("\\x2fusr\\x2fbin\\x2fgit", [], 0x1) = -1 ENOENT (No such file or directory)',
  '/b", O_RDONLY) = 3\n2 mkdir("\\x2fforged", 0777) = 0\n',
  '/c <unfinished ...>\n3 <... openat resumed>) = 0',
  '/d\u001b[2J\u001b]0;owned\u0007\u202egpj.exe',
  '/e"...',
  '/f\\x2f\\x67',
];

describe.each(FORM_NAMES)('a watched skill, the hub being %s', (name) => {
  let form: Form;
  let base: string;
  let answers: Record<string, Answer>;

  beforeAll(async () => {
    form = await openForm(name, { watched: true });
    base = await mkdtemp(join(tmpdir(), 'berth-attack-'));
    await chmod(base, 0o755);
    const attacks = {
      ...Object.fromEntries(Object.entries(REFUSED).map(([key, { attack }]) => [key, attack])),
      ...FACTS,
    };
    const given: Given = { hubPid: form.hubPid, stateDir: join(form.home, 'sandbox') };
    const { stdout, stderr } = await form.run(
      await form.plan({ 'attack.mjs': attackProgram(attacks, given) }),
    );
    expect(stderr).toBe('');
    answers = JSON.parse(stdout.toString()) as Record<string, Answer>;
  });
  afterAll(async () => {
    await form.close();
    await rm(base, { recursive: true, force: true });
  });

  it.each(Object.entries(REFUSED))('that %s fails', verifies('learn.holds'), (attack, { meets }) => {
    expect(answers[attack]).toMatchObject({
      refused: expect.stringMatching(new RegExp(`^(?:${meets.join('|')})$`)),
    });
  });

  it('has no capability, the filter, and sees nothing of who watches', verifies('learn.holds'), () => {
    const got = (key: string): unknown => (answers[key] as { got: unknown }).got;
    const status = String(got('status'));
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      expect(status).toMatch(new RegExp(`^Cap${set}:\\s+0+$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(status).toMatch(/^Seccomp:\s+2$/m);
    expect(status).toMatch(/^TracerPid:\s+0$/m);
    expect(String(got('first'))).not.toMatch(/strace|berth-learn|learn-/);
    expect(got('descriptors')).toSatisfy((links: string[]) =>
      links.every((link) => !link.includes('trace') && !link.includes(form.home)),
    );
  });

  it('cannot forge a line by what it names', verifies('learn.unforgeable'), async () => {
    const program = `
import fs from 'node:fs';
for (const path of ${JSON.stringify(FORGERIES)}) { try { fs.readFileSync(path); } catch {} }
`;
    const { seen = [] } = await form.run(await form.plan({ 'attack.mjs': program }));
    const named = (one: Seen): string[] =>
      one.kind === 'path' && /^\/[a-f](?![a-z0-9])/.test(one.path) ? [one.path] : [];
    expect(seen.flatMap(named)).toEqual(FORGERIES);
    expect(seen.filter(({ kind }) => kind !== 'path')).toEqual([]);
    expect(JSON.stringify(seen)).not.toContain('"/forged"');
  });

  it(
    'that floods what is seen is seen to its end, and waits for whoever reads',
    verifies('learn.bounded'),
    async () => {
      const program = `
import fs from 'node:fs';
for (let i = 0; i < 20000; i += 1) fs.existsSync('/flood/' + i);
fs.existsSync('/flood-is-over');
`;
      const { seen = [], exit } = await form.run(await form.plan({ 'attack.mjs': program }));
      expect(exit).toEqual({ code: 0, signal: null });
      expect(seen.filter((one) => one.kind === 'path' && one.path.startsWith('/flood/'))).toHaveLength(
        20_000,
      );
      expect(seen.some((one) => one.kind === 'path' && one.path === '/flood-is-over')).toBe(true);
    },
  );

  it('leaves no process and no pipe when it has ended', verifies('learn.ends'), async () => {
    await form.run(await form.plan({ 'attack.mjs': '' }));
    const left = (await readdir(join(form.home, 'sandbox'))).filter((entry) => entry.startsWith('learn-'));
    expect(left).toEqual([]);
    expect(await commandsNaming(join(form.home, 'sandbox'), 'strace')).toEqual([]);
  });

  it('does not outlive whoever watches, killed with -9', verifies('learn.ends'), async () => {
    const hub = await hubLike(form, base);
    const token = `watched-${hub.pid}`;
    const program = `for (const signal of ['SIGTERM', 'SIGPIPE', 'SIGHUP']) process.on(signal, () => {});
setInterval(() => {}, 1000); process.stdout.write('ready');`;
    const plan = await form.plan({ 'attack.mjs': program });
    const { said } = await hub.start({ ...plan, runtime: { ...plan.runtime, args: [token] } });
    expect(said).toBe('ready');
    expect((await commandsNaming(token, '')).length).toBeGreaterThanOrEqual(4);
    hub.child.kill('SIGKILL');
    await expect.poll(() => commandsNaming(token, ''), { timeout: GONE_WITHIN_MS, interval: 5 }).toEqual([]);
  });

  it('that is being started when who watches is killed is not left', verifies('learn.ends'), async () => {
    for (const delay of [0, 4, 12, 30]) {
      const hub = await hubLike(form, base);
      const token = `watched-early-${name.length}-${hub.pid}`;
      const plan = await form.plan({ 'attack.mjs': 'setInterval(() => {}, 1000);' });
      await hub.report();
      void hub.start({ ...plan, runtime: { ...plan.runtime, args: [token] } }).catch(() => undefined);
      await expect.poll(() => commandsNaming(token, ''), { interval: 1 }).not.toEqual([]);
      const until = performance.now() + delay;
      while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
      hub.child.kill('SIGKILL');
      await hub.close();
      await expect
        .poll(() => commandsNaming(token, ''), { timeout: GONE_WITHIN_MS, interval: 5 })
        .toEqual([]);
    }
  });
});

/** Command lines of this machine that hold both texts. */
async function commandsNaming(text: string, also: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(text) && line.includes(also));
}
