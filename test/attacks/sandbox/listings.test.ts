import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { verifies } from '../../support/verifies.ts';
import { type Form, FORM_NAMES_WITH_CONTAINERS, openForm } from './forms.ts';

/** An account that is neither root nor any that skills run under. */
const BYSTANDER = '65533';
const STARTS = 6;

/**
 * Reads what every account may read of every process, as fast as it can, and says where the word is. It is told
 * to look for it backwards, so that it does not find itself.
 */
const SCANNER = `
const fs = require('node:fs');
const word = process.argv[1].split('').reverse().join('');
process.stdout.write('ready\\n');
const look = () => {
  for (const pid of fs.readdirSync('/proc')) {
    if (!/^\\d+$/.test(pid)) continue;
    for (const file of ['cmdline', 'environ', 'comm', 'mountinfo', 'task/' + pid + '/cmdline']) {
      try {
        const text = fs.readFileSync('/proc/' + pid + '/' + file, 'latin1');
        if (text.includes(word)) process.stdout.write('found in ' + file + ': ' + text.replaceAll('\\0', ' ').slice(0, 300) + '\\n');
      } catch {}
    }
  }
  setImmediate(look);
};
look();
`;

describe.each(FORM_NAMES_WITH_CONTAINERS)('what other accounts see of a skill, the hub being %s', (name) => {
  let form: Form;
  beforeAll(async () => {
    form = await openForm(name);
    // The first start looks at the machine; the ones below are those of every day.
    await form.report();
  });
  afterAll(() => form.close());

  it(
    'is no secret of it, at no moment of its start',
    verifies('sandbox.nothing-in-listings', 'sandbox.environment'),
    async () => {
      const secret = `swordfish-${process.pid}-${name.length}`;
      const found = await scanning(secret, async () => {
        const plan = await form.plan(
          { 'attack.mjs': `process.stdout.write(process.env.KEY === undefined ? 'none' : 'got it');` },
          {
            env: { KEY: `env ${secret}`, KEY_FILE: '/run/secrets/KEY' },
            files: { '/run/secrets/KEY': `file ${secret}` },
          },
        );
        for (let start = 0; start < STARTS; start += 1)
          expect((await form.run(plan)).stdout.toString()).toBe('got it');
      });
      expect(found).toEqual([]);
    },
  );
});

describe('the one who looks', () => {
  it('does see what stands in a command line', verifies('sandbox.nothing-in-listings'), async () => {
    const word = `herring-${process.pid}`;
    const found = await scanning(word, async (seen) => {
      const waiting = ['-e', 'setInterval(() => {}, 1000)', word];
      const child = spawn(process.execPath, waiting, { stdio: 'ignore' });
      await seen;
      child.kill();
    });
    expect(found[0]).toContain(word);
  });
});

/** What a bystander found of the word while the work was going on; `seen` settles at the first of it. */
async function scanning(word: string, work: (seen: Promise<unknown>) => Promise<void>): Promise<string[]> {
  const backwards = word.split('').toReversed().join('');
  const program = [process.execPath, '-e', SCANNER, backwards];
  const account = ['setpriv', '--reuid', BYSTANDER, '--regid', BYSTANDER, '--clear-groups', '--'];
  const [file = '', ...args] = [...(process.getuid?.() === 0 ? account : []), ...program];
  const scanner = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], env: {} });
  onTestFinished(() => void scanner.kill('SIGKILL'));
  await once(scanner.stdout, 'data');
  let text = '';
  const seen = new Promise<void>((resolve) =>
    scanner.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      resolve();
    }),
  );
  await work(seen);
  scanner.kill('SIGKILL');
  await once(scanner, 'close');
  return text.split('\n').filter(Boolean);
}
