import { describe, expect, it } from 'vitest';
import { hubRig } from '../support/hub-rig.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { verifies } from '../support/verifies.ts';

async function rig() {
  const { home } = await hubRig();
  const berth = (...argv: string[]) => runCli([...argv, '--json'], { env: { BERTH_HOME: home } });
  const human = (...argv: string[]) => runCli(argv, { env: { BERTH_HOME: home } });
  const undo = (result: CliResult) => {
    const { undo: line } = result.data() as { undo: string };
    return berth(...line.split(' ').slice(1));
  };
  const code = (result: CliResult) => {
    const answer = result.json();
    return [result.code, answer.ok ? '' : answer.error.code];
  };
  return { berth, human, undo, code };
}

describe('profiles', () => {
  it(
    'are made, replaced, shown and removed, and each change is taken back',
    verifies('cli.undo'),
    async () => {
      const { berth, human, undo, code } = await rig();
      const entries = async () =>
        ((await berth('profiles', 'show', 'small')).data() as { entries: unknown }).entries;
      expect((await human('profiles', 'ls')).stderr).toContain('berth profiles set NAME --skill SKILL');
      expect(code(await berth('profiles', 'show', 'small'))).toEqual([7, 'profile-not-found']);

      const made = await berth(
        'profiles',
        'set',
        'small',
        '--tool',
        'local.me/a:read',
        '--skill',
        'local.me/b',
      );
      expect(made.json()).toMatchObject({
        warnings: [expect.stringContaining('local.me/b'), expect.stringContaining('local.me/a')],
      });
      const first = [{ skill: 'local.me/a', tools: ['read'] }, { skill: 'local.me/b' }];
      expect(await entries()).toEqual(first);
      const replaced = await berth('profiles', 'set', 'small', '--skill', 'local.me/c');
      expect(await entries()).toEqual([{ skill: 'local.me/c' }]);
      await undo(replaced);
      expect(await entries()).toEqual(first);
      expect((await human('profiles', 'show', 'small')).stdout).toBe(
        'local.me/a: read\nlocal.me/b: all tools\n',
      );

      const removed = await berth('profiles', 'rm', 'small');
      expect((await berth('profiles', 'ls')).data()).toEqual([]);
      await undo(removed);
      expect(await entries()).toEqual(first);
      await undo(made);
      expect((await berth('profiles', 'ls')).data()).toEqual([]);
    },
  );

  it('are refused when nothing is in them, a name is odd, or an alias is nobody’s', async () => {
    const { berth, code } = await rig();
    expect(code(await berth('profiles', 'set', 'small'))).toEqual([2, 'usage-invalid']);
    expect(code(await berth('profiles', 'set', 'small', '--tool', 'read'))).toEqual([2, 'usage-invalid']);
    expect(code(await berth('profiles', 'set', 'Small!', '--skill', 'local.me/a'))).toEqual([
      2,
      'request-invalid',
    ]);
    expect(code(await berth('profiles', 'set', 'small', '--skill', 'nobody'))).toEqual([7, 'not-installed']);
    expect((await berth('profiles', 'ls')).data()).toEqual([]);
  });
});

describe('clients', () => {
  it('are shown what their admin chose, and each choice is taken back', verifies('cli.undo'), async () => {
    const { berth, human, undo, code } = await rig();
    await berth('profiles', 'set', 'small', '--skill', 'local.me/a');
    const shown = async () =>
      ((await berth('clients', 'ls')).data() as { name: string; shown: unknown }[]).map(
        (client) => client.shown,
      );
    expect(code(await berth('clients', 'add', 'agent', '--profile', 'none'))).toEqual([
      7,
      'profile-not-found',
    ]);
    await berth('clients', 'add', 'agent', '--mode', 'search', '--profile', 'small');
    expect(await shown()).toEqual([{ mode: 'search', profile: 'small' }]);

    const narrowed = await berth('clients', 'set', 'agent', '--profile', 'small');
    expect(await shown()).toEqual([{ mode: 'profile', profile: 'small' }]);
    expect((await human('clients', 'ls')).stdout).toContain('profile small');
    expect(code(await berth('profiles', 'rm', 'small'))).toEqual([8, 'profile-in-use']);
    await undo(narrowed);
    expect(await shown()).toEqual([{ mode: 'search', profile: 'small' }]);

    const widened = await berth('clients', 'set', 'agent', '--mode', 'all');
    expect(await shown()).toEqual([{ mode: 'all' }]);
    await undo(widened);
    await undo(await berth('clients', 'rm', 'agent'));
    expect(await shown()).toEqual([{ mode: 'search', profile: 'small' }]);

    const said = ((await berth('audit', 'ls')).data() as { sentence: string }[]).map(
      ({ sentence }) => sentence,
    );
    expect(said).toContain('owner chose that the client agent is shown the profile small');
  });

  it('cannot be shown what makes no sense', async () => {
    const { berth, code } = await rig();
    await berth('clients', 'add', 'agent');
    for (const flags of [
      [],
      ['--mode', 'some'],
      ['--mode', 'profile'],
      ['--mode', 'all', '--profile', 'small'],
    ])
      expect(code(await berth('clients', 'set', 'agent', ...flags)), flags.join(' ')).toEqual([
        2,
        'usage-invalid',
      ]);
    expect(code(await berth('clients', 'set', 'nobody', '--mode', 'search'))).toEqual([
      7,
      'client-not-found',
    ]);
  });
});
