import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifies } from '../../support/verifies.ts';
import { type Answer, attackProgram } from './attack-program.ts';
import { type Form, FORM_NAMES_WITH_CONTAINERS, openForm } from './forms.ts';

/** Without a folder of the host a skill has local sockets, which its neighbour must not reach. */
const onlyData = ({ dataDir }: Form) => ({
  mounts: [{ source: dataDir, target: '/data', mode: 'rw', root: dataDir } as const],
});

describe.each(FORM_NAMES_WITH_CONTAINERS)('two skills side by side, the hub being %s', (name) => {
  let form: Form;
  let other: Form;
  beforeAll(async () => {
    [form, other] = await Promise.all([openForm(name), openForm(name)]);
  });
  afterAll(async () => {
    await Promise.all([form.close(), other.close()]);
  });

  it(
    'cannot see each other’s data, scratch space, processes or sockets',
    verifies('sandbox.data-apart'),
    async () => {
      const victim = await form.plan(
        {
          'attack.mjs': `
        import fs from 'node:fs';
        import net from 'node:net';
        fs.writeFileSync('/data/diary.txt', 'private');
        fs.writeFileSync('/tmp/scratch.txt', 'private');
        fs.writeFileSync('/dev/shm/shared.txt', 'private');
        net.createServer().listen('\\0victim', () =>
          net.createServer().listen(45123, '127.0.0.1', () => fs.writeFileSync('/data/ready', '')));
        fs.watchFile('/data/stop', { interval: 10 }, () => process.exit(0));
      `,
        },
        onlyData(form),
      );
      const victimEnds = form.run(victim);
      await expect.poll(() => readdir(form.dataDir), { timeout: 10_000, interval: 10 }).toContain('ready');
      const spy = await other.plan(
        {
          'attack.mjs': attackProgram(
            {
              diary: ({ fs }) => fs.readFileSync('/data/diary.txt', 'utf8'),
              diaryByHostPath: ({ fs }, { dataDir }) => fs.readFileSync(`${dataDir}/diary.txt`, 'utf8'),
              scratch: ({ fs }) => fs.readFileSync('/tmp/scratch.txt', 'utf8'),
              shared: ({ fs }) => fs.readFileSync('/dev/shm/shared.txt', 'utf8'),
              socket: ({ net }) => new Promise((_, reject) => net.connect('\0victim').on('error', reject)),
              port: ({ net }) =>
                new Promise((_, reject) => net.connect(45123, '127.0.0.1').on('error', reject)),
            },
            { dataDir: form.dataDir },
          ),
        },
        onlyData(other),
      );
      const { stdout } = await other.run(spy);
      await writeFile(join(form.dataDir, 'stop'), '');
      expect((await victimEnds).exit).toEqual({ code: 0, signal: null });
      const answers = JSON.parse(stdout.toString()) as Record<string, Answer>;
      expect(answers).toEqual({
        diary: { refused: 'ENOENT' },
        diaryByHostPath: { refused: 'ENOENT' },
        scratch: { refused: 'ENOENT' },
        shared: { refused: 'ENOENT' },
        socket: { refused: 'ECONNREFUSED' },
        port: { refused: 'ECONNREFUSED' },
      });
      expect(await readFile(join(form.dataDir, 'diary.txt'), 'utf8')).toBe('private');
    },
  );

  it('cannot see the data of another user of the same skill', verifies('sandbox.data-apart'), async () => {
    const plan = await form.plan({
      'attack.mjs': attackProgram({ data: ({ fs }) => fs.readdirSync('/data') }, {}),
    });
    const ofAnother = {
      ...plan,
      dataDir: other.dataDir,
      mounts: [{ source: other.dataDir, target: '/data', mode: 'rw', root: other.dataDir } as const],
    };
    const { stdout } = await form.run(ofAnother);
    expect(JSON.parse(stdout.toString())).toEqual({ data: { got: [] } });
  });
});
