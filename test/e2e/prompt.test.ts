import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { verifies } from '../support/verifies.ts';

const ESCAPE = '\u001b';
const DOWN = `${ESCAPE}[B`;
const CTRL_C = '\u0003';

let home: string;
let work: string;
let up: Berth;

beforeAll(async () => {
  home = await newHome();
  work = await newHome();
  up = await startBerth(home);
});

afterAll(async () => {
  await up.stop();
  await removeHome(home);
  await removeHome(work);
});

/**
 * Runs a command line on a pseudo terminal (`script` of util-linux) and types: each answer once its question is
 * on the screen. Answers with the exit code and all that was shown.
 */
async function onTerminal(
  line: string,
  answers: readonly { to: string; keys: string }[],
): Promise<{ code: number; shown: string }> {
  const program = join(import.meta.dirname, '../../cli/berth.js');
  // The pseudo terminal begins without a size.
  const command = `stty cols 120 rows 60; exec '${process.execPath}' '${program}' ${line}`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], HOME: home, BERTH_HOME: home, TERM: 'xterm' },
    cwd: home,
  });
  const left = [...answers];
  let shown = '';
  let seen = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    shown += stripVTControlCharacters(chunk.toString('utf8'));
    const [next] = left;
    const at = next === undefined ? -1 : shown.indexOf(next.to, seen);
    if (next === undefined || at < 0) return;
    seen = at + next.to.length;
    left.shift();
    child.stdin.write(next.keys);
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, shown };
}

describe('install on a terminal', () => {
  it.each([
    ['Esc', ESCAPE],
    ['Ctrl-C', CTRL_C],
  ])('grants nothing when it is left with %s', verifies('cli.asks-only-people'), async (_name, keys) => {
    const { code, shown } = await onTerminal('install dev.berth/files', [{ to: 'folder it works in', keys }]);
    expect(code).toBe(130);
    expect(shown).toContain('It can read and write files in the folder you choose');
    expect(shown).toContain('Nothing was granted');
    expect(await up.ok('list')).toEqual([]);
  });

  it('asks for the folder and for each tool, and takes what was chosen', async () => {
    const { code, shown } = await onTerminal('install dev.berth/files', [
      { to: 'folder it works in', keys: `${work}\r` },
      { to: 'Grant this', keys: `${DOWN}\r` },
      { to: 'delete (destroy)', keys: `${DOWN}\r` },
      ...['edit', 'list', 'move', 'read', 'restore', 'search', 'write'].map((tool) => ({
        to: `${tool} (`,
        keys: '\r',
      })),
      { to: 'Grant this', keys: '\r' },
    ]);
    expect(code, shown).toBe(0);
    const [skill] = (await up.ok('list')) as unknown as {
      workspace: string;
      tools: { name: string; answer: string }[];
    }[];
    expect(skill?.workspace).toBe(work);
    const answers = Object.fromEntries((skill?.tools ?? []).map(({ name, answer }) => [name, answer]));
    expect(answers).toMatchObject({ delete: 'deny', edit: 'ask', list: 'allow' });
  });

  it('that is answered with no is exit 3 and installs nothing', async () => {
    const { code } = await onTerminal('install dev.berth/memory', [
      { to: 'Grant this', keys: `${DOWN}${DOWN}${DOWN}\r` },
    ]);
    expect(code).toBe(3);
    expect(JSON.stringify(await up.ok('list'))).not.toContain('dev.berth/memory');
    expect(JSON.stringify(await up.ok('inbox'))).not.toContain('dev.berth/memory');
  });
});
