import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { verifies } from '../../support/verifies.ts';
import { type Answer, type Attack, attackProgram } from './attack-program.ts';
import { weightOf } from '../../support/weight-of.ts';
import { type Form, FORM_NAMES_WITH_CONTAINERS, hubLike, openForm } from './forms.ts';
import { reservedMb } from '../../../hub/sandbox/launch.ts';

const MEGABYTE = 1024 * 1024;

/** Writes zeros until the folder is full; answers with the bytes that went in. */
const fill: Attack<{ path: string }> = ({ fs }, { path }) => {
  const file = fs.openSync(path, 'w');
  const chunk = Buffer.alloc(1024 * 1024);
  let bytes = 0;
  try {
    while (bytes < 1024 * 1024 * 1024) bytes += fs.writeSync(file, chunk);
  } catch (error) {
    return { bytes, code: (error as NodeJS.ErrnoException).code };
  }
  return { bytes, code: 'no end' };
};

/** Starts children that wait, each with many threads, until the kernel says no. */
const multiply: Attack<unknown> = async ({ childProcess }) => {
  const started = [];
  for (let count = 0; count < 300; count += 1) {
    const child = childProcess.spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      stdio: 'ignore',
    });
    const fault = await new Promise<string | undefined>((resolve) => {
      child.once('spawn', () => resolve(undefined));
      child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    if (fault !== undefined) return { started: started.length, fault };
    started.push(child);
  }
  return { started: started.length, fault: 'none' };
};

/** Takes memory and uses it, outside of the JavaScript heap. */
const swell: Attack<unknown> = ({ fs }) => {
  const taken: Buffer[] = [];
  for (let megabytes = 0; megabytes < 4096; megabytes += 32) {
    taken.push(Buffer.alloc(32 * 1024 * 1024, 1));
    fs.writeSync(2, `${megabytes + 32}\n`);
  }
  return taken.length;
};

/** The same, inside of the heap. */
const swellTheHeap: Attack<unknown> = ({ fs }) => {
  const taken: number[][] = [];
  for (let megabytes = 0; megabytes < 4096; megabytes += 32) {
    for (let row = 0; row < 32; row += 1)
      taken.push(Array.from({ length: 131_072 }, (_, index) => index + 0.5));
    fs.writeSync(2, `${megabytes + 32}\n`);
  }
  return taken.length;
};

describe.each(FORM_NAMES_WITH_CONTAINERS)('a greedy skill, the hub being %s', (name) => {
  let form: Form;
  beforeAll(async () => {
    form = await openForm(name);
  });
  afterAll(() => form.close());

  async function attempt<Given>(attack: Attack<Given>, given: Given) {
    const plan = await form.plan({ 'attack.mjs': attackProgram({ attack }, given) });
    const { stdout, stderr, exit } = await form.run(plan);
    const answer =
      stdout.length === 0 ? undefined : (JSON.parse(stdout.toString()) as { attack: Answer }).attack;
    return { answer, stderr, exit };
  }

  it.each([
    ['/tmp/fill', 8 * MEGABYTE],
    ['/dev/shm/fill', 16 * MEGABYTE],
  ])('fills %s to its bound and no further', verifies('sandbox.limits'), async (path, bound) => {
    const { answer } = await attempt(fill, { path });
    expect(answer).toEqual({ got: { bytes: bound, code: 'ENOSPC' } });
  });

  it('starts processes to its bound and no further', verifies('sandbox.limits'), async () => {
    const { answer, exit } = await attempt(multiply, {});
    // A runtime that cannot start its threads may give up by itself; either way the bomb is over.
    if (answer !== undefined) {
      const { started, fault } = (answer as { got: { started: number; fault: string } }).got;
      expect(fault).toBe('EAGAIN');
      expect(started).toBeLessThan(48);
    } else {
      expect(exit).not.toEqual({ code: 0, signal: null });
    }
  });

  it.each([
    ['buffers', swell],
    ['the heap', swellTheHeap],
  ])('takes memory in %s to its bound and no further', verifies('sandbox.limits'), async (_, attack) => {
    const { answer, stderr, exit } = await attempt(attack, {});
    expect(answer === undefined || 'refused' in answer, JSON.stringify({ answer, exit })).toBe(true);
    const reached = Math.max(
      ...stderr
        .split('\n')
        .filter((line) => /^\d+$/.test(line))
        .map(Number),
      0,
    );
    expect(reached).toBeLessThanOrEqual(256 + reservedMb('node'));
  });

  it('may open a thousand files, and no more', verifies('sandbox.limits'), async () => {
    const { answer } = await attempt(({ fs }) => {
      let opened = 0;
      try {
        for (; opened < 100_000; opened += 1) fs.openSync('/dev/null', 'r');
      } catch (error) {
        return { code: (error as NodeJS.ErrnoException).code, bounded: opened < 1024 };
      }
      return 'no end';
    }, {});
    expect(answer).toEqual({ got: { code: 'EMFILE', bounded: true } });
  });

  it(
    'counts less than the hub where processors are short, and cannot change that',
    verifies('sandbox.weight'),
    async () => {
      const attack = attackProgram(
        {
          attack: ({ os, fs }) => {
            const before = os.getPriority();
            try {
              os.setPriority(0, before - 1);
            } catch (error) {
              fs.writeSync(1, `nice ${before} ${(error as { info: { code: string } }).info.code}`);
            }
            // It stays, and spins.
            for (;;);
          },
        },
        {},
      );
      const base = await mkdtemp(join(tmpdir(), 'berth-attack-'));
      onTestFinished(() => rm(base, { recursive: true, force: true }));
      await chmod(base, 0o755);
      const hub = await hubLike(form, base);
      const { pid, said } = await hub.start(await form.plan({ 'attack.mjs': attack }));
      const [, nice] = /^nice (\d+) (?:EACCES|EPERM)/.exec(said) ?? [];
      expect(said).toMatch(/^nice \d+ (?:EACCES|EPERM)/);
      const [skills, hubs] = [await weightOf(pid), await weightOf(hub.pid)];
      // Either its group counts half, or it has a priority that comes to less.
      expect([skills / hubs, Number(nice)]).toEqual(skills === hubs ? [1, 10] : [0.5, 0]);
      const { enforces, notes } = await form.report();
      expect(enforces.includes('cpu')).toBe(skills !== hubs);
      expect(notes.join(' ')).toContain('the hub comes before its skills');
    },
  );

  it('leaves no core file behind and cannot ask for one', verifies('sandbox.limits'), async () => {
    const { answer } = await attempt(({ fs }) => fs.readFileSync('/proc/self/limits', 'utf8'), {});
    expect((answer as { got: string }).got).toMatch(/^Max core file size\s+0\s+0\s/m);
  });
});
