import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, upHere, type CliResult, type UpHere } from '../support/run-cli.ts';
import { verifies } from '../support/verifies.ts';

/** One home for the file: each test goes on where the one before ended, as a person would. */
let folder: string;
let home: string;
let up: UpHere;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-test-'));
  home = join(folder, 'home');
  up = await upHere(home);
});

afterAll(async () => {
  await up.stop();
  await rm(folder, { recursive: true, force: true });
});

const berth = (...argv: string[]): Promise<CliResult> =>
  runCli([...argv, '--json'], { cwd: folder, env: { BERTH_HOME: home } });

/** Runs what a command named as its undo; answers with the last of it. */
async function undo(result: CliResult): Promise<CliResult> {
  const { undo: line } = result.data() as { undo: string };
  let last: CliResult | undefined;
  for (const command of line.split(' && ')) {
    expect(command).toMatch(/^berth /);
    last = await berth(...command.split(' ').slice(1));
  }
  return last!;
}

async function skill(name: string): Promise<{ tools: unknown; grants: { permission: string }[] }> {
  const skills = (await berth('list')).data() as {
    name: string;
    tools: unknown;
    grants: { permission: string }[];
  }[];
  return skills.find((found) => found.name === name)!;
}

async function changeManifest(change: Record<string, unknown>): Promise<void> {
  const path = join(folder, 'hello/skill.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...manifest, ...change }));
}

describe('up', () => {
  it(
    'makes a home for this account alone and publishes the skills of its own',
    verifies('cli.up'),
    async () => {
      expect((await stat(home)).mode & 0o777).toBe(0o700);
      expect((await stat(join(home, 'admin.token'))).mode & 0o777).toBe(0o600);
      const { hits } = (await berth('search', 'files')).data() as { hits: { name: string }[] };
      expect(hits.map(({ name }) => name)).toContain('dev.berth/files');
    },
  );

  it('is what bare berth, status and doctor speak of', async () => {
    expect((await berth()).data()).toMatchObject({ running: true });
    expect((await berth('status')).data()).toMatchObject({ hub: up.hub, mcp: up.mcp, registry: up.registry });
    const { findings } = (await berth('doctor')).data() as { findings: { state: string }[] };
    expect(findings.filter(({ state }) => state === 'bad')).toEqual([]);
  });
});

describe('a call', () => {
  it('for a person is the text of the tool alone', async () => {
    expect((await berth('init', 'hello', '--name', 'local.me/hello')).code).toBe(0);
    expect((await berth('publish', 'hello')).code).toBe(0);
    expect((await berth('install', 'local.me/hello', '--yes')).code).toBe(0);
    const human = await runCli(['call', 'hello', 'greet', '{"name":"Ada"}'], { env: { BERTH_HOME: home } });
    expect(human).toMatchObject({ code: 0, stdout: 'Hello, Ada!\n' });
  });

  it('that is refused ends with exit 3, an unknown tool with 7, a wrong argument with 2, a failed call with 1', async () => {
    await mkdir(join(folder, 'ws'));
    await writeFile(join(folder, 'ws/a.txt'), 'text');
    expect((await berth('install', 'dev.berth/files', '--yes', '--workspace', 'ws')).code).toBe(0);
    expect((await berth('call', 'files', 'delete', '{"path":"a.txt"}')).code).toBe(3);
    expect((await berth('call', 'files', 'no_such_tool')).code).toBe(7);
    expect((await berth('call', 'files', 'read', '{"pth":1}')).code).toBe(2);
    const failed = await berth('call', 'files', 'read', '{"path":"none.txt"}');
    expect(failed.code).toBe(1);
    expect(failed.json()).toMatchObject({
      ok: false,
      error: { code: 'skill-error', result: { isError: true } },
    });
  });
});

describe('an upgrade that wants more', () => {
  it(
    'waits with exit 5 while the old version serves, until it is approved',
    verifies('cli.upgrade-waits'),
    async () => {
      const permissions = { filesystem: [{ path: '${data}', mode: 'rw', reason: 'counts' }] };
      await changeManifest({ version: '0.2.0', permissions });
      await berth('publish', 'hello');
      const waiting = await berth('install', 'local.me/hello', '--yes');
      expect(waiting.code).toBe(5);
      const { error } = waiting.json() as unknown as { error: { id: string; hint: string } };
      expect(error.hint).toBe(`berth approve ${error.id}`);
      expect((await berth('inbox')).data()).toMatchObject([{ id: error.id, from: '0.1.0' }]);
      expect((await berth('list')).data()).toContainEqual(
        expect.objectContaining({ name: 'local.me/hello', version: '0.1.0', waiting: error.id }),
      );

      const approved = await berth(...error.hint.split(' ').slice(1));
      expect(approved.data()).toMatchObject({ version: '0.2.0' });
      expect((await undo(approved)).data()).toMatchObject({ version: '0.1.0' });
      expect((await berth('deny', error.id)).code).toBe(8);
    },
  );
});

describe('the undo of', () => {
  it('remove brings the skill back with its folder and its answers', verifies('cli.undo'), async () => {
    await berth('remove', 'files');
    const argv = ['--yes', '--workspace', 'ws', '--deny-tool', 'delete', '--allow-tool', 'write'];
    const before = (await berth('install', 'dev.berth/files', ...argv)).data() as Record<string, unknown>;
    const removed = await berth('remove', 'files');
    expect((await berth('call', 'files', 'list')).code).toBe(7);
    const after = (await undo(removed)).data() as Record<string, unknown>;
    expect(after).toMatchObject({
      version: before['version'],
      workspace: before['workspace'],
      tools: before['tools'],
    });
  });

  it('other answers for an installed skill, and of what was withheld', verifies('cli.undo'), async () => {
    const before = await skill('dev.berth/files');
    const changed = await berth(
      'install',
      'dev.berth/files',
      '--yes',
      '--ask-tool',
      'list',
      '--allow-tool',
      'edit',
    );
    expect((await skill('dev.berth/files')).tools).not.toEqual(before.tools);
    expect((await undo(changed)).code).toBe(0);
    expect((await skill('dev.berth/files')).tools).toEqual(before.tools);

    await berth('remove', 'hello');
    await berth('install', 'local.me/hello@0.2.0', '--yes', '--without', 'filesystem:${data}');
    const withheld = (await skill('local.me/hello')).grants.map(({ permission }) => permission);
    expect(withheld).not.toContain('filesystem:${data}');
    const removed = (await berth('remove', 'hello')).data() as { undo: string };
    expect(removed.undo).toContain("--without 'filesystem:${data}'");
  });

  it('what changed nothing is not named', verifies('cli.undo'), async () => {
    const version = 'local.me/hello@0.1.0';
    for (const change of [
      ['unyank', version],
      ['deprecate', version, '--clear'],
      ['keys', 'register', 'local.me'],
      ['login', '--forget'],
    ]) {
      const { undo: line } = (await berth(...change)).data() as { undo?: string };
      expect(line, change.join(' ')).toBeUndefined();
    }
  });

  it('a command that named home or servers names them, too', verifies('cli.undo'), async () => {
    const named = await runCli(
      ['yank', 'local.me/hello@0.1.0', '--home', home, '--registry', up.registry, '--json'],
      { cwd: folder },
    );
    const { undo: line } = named.data() as { undo: string };
    expect(line).toBe(`berth unyank local.me/hello@0.1.0 --home ${home} --registry ${up.registry}`);
    expect((await undo(named)).code).toBe(0);
  });

  it('revoke asks for the permission again', verifies('cli.undo'), async () => {
    const [grant] = ((await berth('grants', 'files')).data() as { id: string; permission: string }[]).filter(
      ({ permission }) => permission.startsWith('filesystem:'),
    );
    const revoked = await berth('revoke', grant?.id ?? '');
    expect(revoked.code).toBe(0);
    expect((await berth('call', 'files', 'list')).code).not.toBe(0);
    const again = await undo(revoked);
    expect(again.code).toBe(5);
    const { error } = again.json() as unknown as { error: { hint: string } };
    const approved = await berth(...error.hint.split(' ').slice(1));
    expect((await berth('call', 'files', 'list')).code).toBe(0);
    // Only what was added goes again, not the skill.
    expect(approved.data()).toMatchObject({ undo: expect.stringMatching(/^berth revoke grant_\w+$/) });
  });

  it(
    'yank, deprecate, tokens add and clients add leaves things as they were',
    verifies('cli.undo'),
    async () => {
      const info = async () => (await berth('info', 'local.me/hello')).data() as { versions: unknown[] };
      const { versions } = await info();
      for (const change of [
        ['yank', 'local.me/hello@0.2.0', '--reason', 'wrong'],
        ['deprecate', 'local.me/hello@0.2.0', 'use another'],
      ]) {
        const done = await berth(...change);
        expect((await info()).versions).not.toEqual(versions);
        await undo(done);
        expect((await info()).versions).toEqual(versions);
      }
      for (const [words, add] of [
        ['tokens ls', ['tokens', 'add', 'ci', '--namespace', 'local.ci']],
        ['clients ls', ['clients', 'add', 'vscode']],
      ] as const) {
        const list = async () => (await berth(...words.split(' '))).stdout;
        const before = await list();
        const done = await berth(...add);
        expect(await list()).not.toBe(before);
        await undo(done);
        expect((await list()).replaceAll(/"lastUsedAt":"[^"]*"/g, '')).toBe(
          before.replaceAll(/"lastUsedAt":"[^"]*"/g, ''),
        );
      }
    },
  );
});

describe('a token of a publisher', () => {
  it('signs in by stdin, publishes in its namespace alone, and ends with its removal', async () => {
    const made = (await berth('tokens', 'add', 'ana', '--namespace', 'org.ana')).data() as {
      token: string;
      id: string;
    };
    const ana = join(folder, 'ana');
    const as = (argv: string[], stdin?: string) =>
      runCli([...argv, '--registry', up.registry, '--json'], {
        cwd: folder,
        env: { BERTH_HOME: ana },
        ...(stdin === undefined ? {} : { stdin }),
      });
    expect((await as(['tokens', 'ls'])).code).toBe(4);
    expect((await as(['login'], `${made.token}\n`)).code).toBe(0);
    await as(['keys', 'create']);
    await as(['init', 'ana-skill', '--name', 'org.ana/skill']);
    expect((await as(['publish', 'ana-skill'])).code).toBe(0);
    expect((await as(['publish', 'hello'])).code).toBe(3);
    const elsewhere = await runCli(['publish', 'ana-skill', '--registry', 'http://127.0.0.1:1', '--json'], {
      cwd: folder,
      env: { BERTH_HOME: ana },
    });
    expect(elsewhere.json()).toMatchObject({
      error: { code: 'not-signed-in', hint: expect.stringContaining(`--registry ${up.registry}`) },
    });
    await berth('tokens', 'rm', made.id);
    expect((await as(['publish', 'ana-skill'])).code).toBe(4);
  });
});

describe('a further key of a namespace', () => {
  it(
    'signs once an admin registered it, and nothing new once it is retired',
    verifies('cli.undo'),
    async () => {
      const namespace = 'org.keys';
      await berth('init', 'first', '--name', `${namespace}/first`);
      expect((await berth('publish', 'first')).code).toBe(0);
      const token = (
        (await berth('tokens', 'add', 'eve', '--namespace', namespace)).data() as { token: string }
      ).token;
      const asEve = (...argv: string[]) =>
        runCli([...argv, '--registry', up.registry, '--json'], {
          cwd: folder,
          env: { BERTH_HOME: join(folder, 'eve'), BERTH_TOKEN: token },
        });
      const { publicKey } = (await asEve('keys', 'create')).data() as { publicKey: string };
      await asEve('init', 'second', '--name', `${namespace}/second`);
      const refused = await asEve('publish', 'second');
      expect(refused.json()).toMatchObject({ error: { code: 'signer-not-allowed' } });
      const registered = await berth('keys', 'register', namespace, '--public-key', publicKey);
      expect((await asEve('publish', 'second')).code).toBe(0);
      await undo(registered);
      await asEve('init', 'third', '--name', `${namespace}/third`);
      expect((await asEve('publish', 'third')).json()).toMatchObject({ error: { code: 'key-retired' } });
    },
  );
});

describe('stopped', () => {
  it(
    'up says so, removes its pointer and lets the audit log be verified from disk',
    verifies('cli.up', 'cli.audit-offline'),
    async () => {
      const before = (await berth('audit', 'verify')).data() as { records: number };
      const { code, stdout } = await up.stop();
      expect(code).toBe(0);
      const [ready, ...events] = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(ready).toMatchObject({ hub: up.hub, registry: up.registry, mcp: up.mcp, ok: true });
      expect(events.map(({ event }) => event)).toEqual(['stopping', 'stopped']);
      await expect(stat(join(home, 'run.json'))).rejects.toThrow('ENOENT');
      expect((await berth('status')).json()).toMatchObject({ error: { code: 'not-running' } });
      const offline = (await berth('audit', 'verify')).data() as { records: number };
      expect(offline.records).toBeGreaterThan(before.records);
    },
  );
});
