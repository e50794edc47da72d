import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newHome, removeHome } from '../support/berth.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { verifies } from '../support/verifies.ts';

const TERMINAL_TIMEOUT_MS = 60_000;

let home: string;

beforeAll(async () => {
  home = await newHome();
});
afterAll(() => removeHome(home));

/**
 * Runs `berth dev` on a pseudo terminal (`script` of util-linux) and types: each answer once its words are on the screen.
 * Answers with the exit code and all that was shown.
 */
async function onTerminal(
  project: string,
  options: string,
  answers: readonly { to: string; keys: string }[],
): Promise<{ code: number; shown: string; raw: string }> {
  const program = join(import.meta.dirname, '../../cli/berth.js');
  const command = `stty cols 160 rows 60; exec '${process.execPath}' '${program}' dev '${project}' ${options}`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], HOME: home, BERTH_HOME: home, TERM: 'xterm', COLOUR: 'green' },
    cwd: home,
  });
  const left = [...answers];
  let raw = '';
  let shown = '';
  let seen = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    raw += chunk.toString('utf8');
    shown = stripVTControlCharacters(raw);
    for (;;) {
      const [next] = left;
      const at = next === undefined ? -1 : shown.indexOf(next.to, seen);
      if (next === undefined || at < 0) return;
      seen = at + next.to.length;
      left.shift();
      child.stdin.write(next.keys);
    }
  });
  // What is not answered in time is shown, rather than that time is over.
  const timer = setTimeout(() => child.kill(), TERMINAL_TIMEOUT_MS);
  const [code] = (await once(child, 'close').finally(() => clearTimeout(timer))) as [number];
  expect(left, shown).toEqual([]);
  return { code, shown, raw };
}

const permissionsIn = async (project: string): Promise<unknown> =>
  (JSON.parse(await readFile(join(project, 'skill.json'), 'utf8')) as { permissions?: unknown }).permissions;

const TRIES = `
const { spawnSync } = await import('node:child_process');
const { error, stdout } = spawnSync('git', ['--version']);
try { fs.readFileSync('/data/a.txt'); } catch {}
return error === undefined ? String(stdout) : 'no git, ' + process.env.COLOUR;`;

describe('berth dev on a terminal', () => {
  it(
    'adds what was refused by one key, with a reason, and takes it back',
    verifies('dev.grants'),
    async () => {
      const project = await skillFolder({ tools: { go: { code: TRIES } } });
      const before = await readFile(join(project, 'skill.json'), 'utf8');
      const { code, shown } = await onTerminal(project, '', [
        { to: 'q quit', keys: 'c' },
        { to: 'Call which tool', keys: 'go {}\r' },
        { to: 'no git', keys: 'l' },
        { to: '3 read the variable COLOUR', keys: '1' },
        { to: 'Why does it need to run git?', keys: 'it reads the history\r' },
        { to: 'skill.json now asks to run git', keys: '' },
        { to: 'undo: u', keys: 'c' },
        { to: 'Call which tool', keys: 'go\r' },
        { to: 'git version', keys: '1' },
        { to: 'Why does it need to read ${data}?', keys: '\r' },
        { to: 'undo: u', keys: 'u' },
        { to: 'what it was before', keys: 'q' },
      ]);
      expect(code, shown).toBe(0);
      expect(shown).toContain('refused: run git');
      expect(await permissionsIn(project)).toEqual({
        subprocess: [{ exec: 'git', reason: 'it reads the history' }],
      });
      expect(shown).toContain(`undo: cp ${project}/.berth/skill.json.before ${project}/skill.json`);
      expect(await readFile(join(project, '.berth/skill.json.before'), 'utf8')).toBe(before);
    },
  );

  it('records: a key opens for the session alone', verifies('dev.records'), async () => {
    const project = await skillFolder({ tools: { go: { code: TRIES } } });
    const { code, shown } = await onTerminal(project, `--record --call go`, [
      { to: 'q quit', keys: '1' },
      { to: 'opened for this session: run git', keys: 'c' },
      { to: 'Call which tool', keys: 'go\r' },
      { to: 'git version', keys: 'q' },
    ]);
    expect(code, shown).toBe(0);
    expect(await permissionsIn(project)).toEqual({ subprocess: [{ exec: 'git' }] });
  });

  it.each([
    ['Ctrl-C', '\u0003'],
    ['Ctrl-D', '\u0004'],
  ])('ends with %s and leaves the terminal clean', verifies('learn.unforgeable'), async (_name, keys) => {
    const evil = '/data/\\u001b[2J\\u001b]0;owned\\u0007\\nok: granted\\u202e/x';
    const project = await skillFolder({
      tools: { go: { code: `try { fs.readFileSync('${evil}'); } catch {} return 1;` } },
    });
    const before = await readFile(join(project, 'skill.json'), 'utf8');
    const { code, shown, raw } = await onTerminal(project, '--call go', [{ to: 'q quit', keys }]);
    expect(code, shown).toBe(0);
    expect(raw).not.toContain('\u001b[2J');
    expect(raw).not.toContain('\u001b]0;');
    expect(raw).not.toMatch(/^ok: granted/m);
    expect(await readFile(join(project, 'skill.json'), 'utf8')).toBe(before);
  });
});
