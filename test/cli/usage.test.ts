import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { saveCredential } from '../../cli/credentials.ts';
import { readSettings } from '../../cli/config.ts';
import { waysToRun } from '../../cli/ways-to-run.ts';
import { readRunFile } from '../../cli/servers.ts';
import { expectCode } from '../support/expect-code.ts';
import { runCli } from '../support/run-cli.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

/** Something that listens where a registry might, and notes what it is told. */
async function listener(): Promise<{ url: string; authorizations: string[] }> {
  const authorizations: string[] = [];
  const server = createServer((request, response) => {
    authorizations.push(request.headers.authorization ?? 'none');
    response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, authorizations };
}

describe('without a person at the terminal', () => {
  it('install names --yes and exits 2', verifies('cli.asks-only-people'), async () => {
    const { code, stderr } = await runCli(['install', 'local.me/hello']);
    expect(code).toBe(2);
    expect(stderr).toContain('berth install local.me/hello --yes');
  });

  it('login with nothing piped in exits 2', verifies('cli.asks-only-people'), async () => {
    const home = await tempFolder();
    const answer = await runCli(['login', '--registry', 'http://127.0.0.1:9', '--json'], {
      env: { BERTH_HOME: home },
    });
    expect(answer.code).toBe(2);
    expect(answer.json()).toMatchObject({ ok: false, error: { code: 'usage-invalid' } });
  });
});

describe('secrets', () => {
  it('are refused on the command line and not repeated', verifies('cli.secrets-not-argv'), async () => {
    const answer = await runCli([
      'install',
      'local.me/x',
      '--yes',
      '--secret',
      'KEY=hunter2-canary',
      '--json',
    ]);
    expect(answer.code).toBe(2);
    expect(answer.stdout + answer.stderr).not.toContain('hunter2-canary');
    expect(answer.stdout).toContain('--secret KEY=env:VARIABLE');
  });

  it('from an unset variable name the variable', async () => {
    const { code, stderr } = await runCli(['install', 'local.me/x', '--yes', '--secret', 'KEY=env:NOT_SET']);
    expect(code).toBe(2);
    expect(stderr).toContain('NOT_SET');
  });
});

describe('answers for tools', () => {
  it('that contradict each other are refused', async () => {
    const argv = ['install', 'local.me/x', '--yes', '--allow-tool', 'send', '--deny-tool', 'send'];
    const { code, stderr } = await runCli(argv);
    expect(code).toBe(2);
    expect(stderr).toContain('two answers');
  });
});

describe('arguments of a call', () => {
  it.each(['[1]', '{broken', '"text"'])('that are not one JSON object are refused: %s', async (given) => {
    const { code, stderr } = await runCli(['call', 'files', 'read', given]);
    expect(code).toBe(2);
    expect(stderr).toContain('one JSON object');
  });
});

describe('settings', () => {
  it('find the home in BERTH_HOME, then XDG_DATA_HOME when that is absolute', () => {
    expect(readSettings({ BERTH_HOME: '/a', XDG_DATA_HOME: '/b' }).home).toBe('/a');
    expect(readSettings({ XDG_DATA_HOME: '/b' }).home).toBe('/b/berth');
    expect(readSettings({ XDG_DATA_HOME: 'relative' }).home).toMatch(/\/\.local\/share\/berth$/);
  });

  it('refuse what is no address, naming the variable', async () => {
    const registry = await expectCode(
      () => readSettings({ BERTH_REGISTRY: 'registry.example' }),
      'config-invalid',
    );
    expect(registry.message).toContain('BERTH_REGISTRY');
    const hub = await expectCode(
      () => readSettings({ BERTH_HUB: 'http://127.0.0.1:4750' }),
      'config-invalid',
    );
    expect(hub.message).toContain('BERTH_HUB');
  });

  it('write the URL of a registry without a trailing slash', () => {
    expect(readSettings({ BERTH_REGISTRY: 'http://127.0.0.1:1/' }).registry).toBe('http://127.0.0.1:1');
  });
});

describe('tokens', () => {
  it('of the embedded registry are sent to that one alone', verifies('cli.token-stays'), async () => {
    const home = await tempFolder();
    const own = await listener();
    const other = await listener();
    await writeFile(join(home, 'admin.token'), 'admin-canary\n', { mode: 0o600 });
    const run = { hub: own.url, mcp: `${own.url}/mcp`, registry: own.url, pid: process.pid };
    await writeFile(join(home, 'run.json'), JSON.stringify(run));
    const env = { BERTH_HOME: home };
    await runCli(['tokens', 'ls'], { env });
    await runCli(['tokens', 'ls', '--registry', other.url], { env });
    expect(own.authorizations).toEqual(['Bearer admin-canary']);
    expect(other.authorizations).toEqual(['none']);
  });

  it('are not sent to whoever took the port of a killed registry', verifies('cli.token-stays'), async () => {
    const home = await tempFolder();
    const run = { hub: 'http://127.0.0.1:1', mcp: 'http://127.0.0.1:1/mcp', registry: 'http://127.0.0.1:1' };
    // Above the largest process id that Linux hands out.
    await writeFile(join(home, 'run.json'), JSON.stringify({ ...run, pid: 4_194_305 }));
    expect(await readRunFile(home)).toBeUndefined();
    await writeFile(join(home, 'run.json'), JSON.stringify({ ...run, pid: process.pid }));
    expect(await readRunFile(home)).toMatchObject(run);
  });

  it(
    'of a sign-in are kept for this account alone and sent to their registry',
    verifies('cli.token-stays'),
    async () => {
      const home = await tempFolder();
      const first = await listener();
      const second = await listener();
      await saveCredential(home, first.url, { token: 'first-canary', savedAt: '2026-01-01T00:00:00.000Z' });
      expect((await stat(join(home, 'credentials.json'))).mode & 0o777).toBe(0o600);
      const env = { BERTH_HOME: home };
      await runCli(['tokens', 'ls', '--registry', first.url], { env });
      await runCli(['tokens', 'ls', '--registry', second.url], { env });
      expect(first.authorizations).toEqual(['Bearer first-canary']);
      expect(second.authorizations).toEqual(['none']);
      await runCli(['login', '--forget', '--registry', first.url], { env });
      expect(await readFile(join(home, 'credentials.json'), 'utf8')).not.toContain('first-canary');
    },
  );
});

describe('keys', () => {
  it('are made once under a name and listed without their private half', async () => {
    const home = await tempFolder();
    const env = { BERTH_HOME: home };
    const made = await runCli(['keys', 'create', 'release', '--algorithm', 'p256', '--json'], { env });
    expect(made.code).toBe(0);
    expect(made.data()).toMatchObject({
      name: 'release',
      algorithm: 'p256',
      undo: `rm ${home}/keys/release.pem`,
    });
    const again = await runCli(['keys', 'create', 'release', '--json'], { env });
    expect(again.code).toBe(8);
    const listed = await runCli(['keys', 'ls', '--json'], { env });
    expect(listed.data()).toHaveLength(1);
    expect(listed.stdout).not.toContain('PRIVATE');
  });

  it('that others can read are refused', async () => {
    const home = await tempFolder();
    const env = { BERTH_HOME: home };
    await runCli(['keys', 'create'], { env });
    await chmod(join(home, 'keys', 'default.pem'), 0o644);
    expect((await runCli(['keys', 'ls', '--json'], { env })).json()).toMatchObject({
      error: { code: 'config-invalid' },
    });
  });

  it('cannot be named into another folder', async () => {
    const home = await tempFolder();
    await mkdir(join(home, 'keys'));
    const { code } = await runCli(['keys', 'create', '../outside'], { env: { BERTH_HOME: home } });
    expect(code).toBe(2);
  });
});

describe('a fault of the file system', () => {
  it('is said with its path and a remedy, and is no fault of ours', async () => {
    const { code, stderr } = await runCli(['keys', 'create'], { env: { BERTH_HOME: '/dev/null/home' } });
    expect(code).toBe(2);
    expect(stderr).toContain('/dev/null/home');
    expect(stderr).toContain('BERTH_HOME');
  });
});

describe('what a command is given', () => {
  it('is refused before anything is asked of a server when it cannot be right', async () => {
    for (const [argv, words] of [
      [['install', 'hello', '--yes'], 'full name'],
      [['clients', 'add', 'x', '--expires', '0'], 'from 1 to 3650'],
      [['search', 'x'.repeat(300)], '200 characters'],
      [['publish', 'no-such-file.tgz', '--dry-run'], 'neither a folder nor an archive'],
      [['list', '--hub', 'http://127.0.0.1:1'], '--hub'],
    ] as const) {
      const { code, stderr } = await runCli(argv, { env: { BERTH_HOME: '/nowhere' } });
      expect([code, stderr]).toEqual([2, expect.stringContaining(words)]);
    }
  });

  it('may ask for the version alone', async () => {
    expect(await runCli(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^berth \d/),
    });
    expect(await runCli(['list', '--version'])).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('the first lines of up', () => {
  it('lead another shell to this Berth and this home, when it would not find them', async () => {
    const home = await tempFolder();
    const settings = readSettings({ BERTH_HOME: home, PATH: '/nowhere' });
    const [program, exported] = await waysToRun({ settings, home });
    expect(program).toMatch(/^berth\(\) \{ node .*\/cli\/berth\.js "\$@"; \}$/);
    expect(exported).toBe(`export BERTH_HOME=${home}`);
    const { symlink } = await import('node:fs/promises');
    await symlink(new URL('../../cli/berth.js', import.meta.url), join(home, 'berth'));
    const usual = readSettings({ PATH: home });
    expect(await waysToRun({ settings: usual, home: usual.home })).toEqual([]);
  });
});
