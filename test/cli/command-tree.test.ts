import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../cli/commands.ts';
import { buildProgram } from '../../cli/program.ts';
import { runCli } from '../support/run-cli.ts';
import { verifies } from '../support/verifies.ts';

/** Words of an example as a shell would split them; pipes and redirections end it. */
function wordsOf(example: string): string[] {
  const line = example.slice(example.indexOf('berth '));
  const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '');
  const end = words.findIndex((word) => ['|', '<', '>'].includes(word));
  return words.slice(1, end < 0 ? words.length : end);
}

describe.each(
  COMMANDS.map((command) => [command.name === '' ? 'berth' : `berth ${command.name}`, command] as const),
)('%s', (_title, command) => {
  const words = command.name === '' ? [] : command.name.split(' ');

  it('has a summary and examples that parse as this command', verifies('cli.help'), async () => {
    expect(command.summary).toMatch(/^[A-Z].{8,90}[^.]$/);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const example of command.examples) {
      if (example === 'berth') continue;
      const invocation = await buildProgram().parse(wordsOf(example));
      expect('command' in invocation && invocation.command.name, example).toBe(command.name);
    }
  });

  it('shows its help with --json and its examples', verifies('cli.help'), async () => {
    const { code, stdout } = await runCli([...words, '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--json');
    if (words.length > 0) for (const example of command.examples) expect(stdout).toContain(example);
  });

  it(
    'refuses an unknown flag with exit 2, as JSON when asked',
    verifies('cli.help', 'cli.json'),
    async () => {
      const human = await runCli([...words, '--no-such-flag']);
      expect(human.code).toBe(2);
      expect(human.stdout).toBe('');
      const machine = await runCli([...words, '--no-such-flag', '--json']);
      expect(machine.code).toBe(2);
      expect(machine.json()).toMatchObject({ ok: false, error: { code: 'usage-invalid' } });
    },
  );
});

describe('the command line', () => {
  it('suggests the word that was meant', async () => {
    const { code, stderr } = await runCli(['instal', 'local.me/hello']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean install?');
  });

  it('names what stands behind a word that only leads to others', async () => {
    const { code, stderr } = await runCli(['audit']);
    expect(code).toBe(2);
    expect(stderr).toContain('berth audit --help');
  });

  it('takes --home before and behind the command', async () => {
    for (const argv of [
      ['--home', '/nowhere/a', '--json'],
      ['--home', '/nowhere/b', 'list', '--home', '/nowhere/a', '--json'],
    ]) {
      const { stdout } = await runCli(argv);
      expect(stdout).not.toContain('/nowhere/b');
    }
    const { stdout } = await runCli(['--home', '/nowhere/a', 'list', '--json']);
    expect(stdout).toContain('/nowhere/a/hub/admin.sock');
  });

  it('treats words behind -- as arguments', async () => {
    const invocation = await buildProgram().parse(['search', '--', '--json']);
    expect('given' in invocation && invocation.given['words']).toBe('--json');
  });

  it('lists the exit codes', async () => {
    const { code, stdout } = await runCli(['help', 'exit-codes']);
    expect(code).toBe(0);
    expect(stdout).toContain('waiting for approval');
  });
});
