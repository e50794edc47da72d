import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { chmod, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable, PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkSkill } from '../../cli/check.ts';
import { readSettings } from '../../cli/config.ts';
import type { DevEvent } from '../../cli/dev/session.ts';
import { openLearnSandbox } from '../../cli/dev/sandbox.ts';
import { run } from '../../cli/main.ts';
import { openSandbox } from '../../cli/sandbox.ts';
import { pythonSkill } from '../support/python-skill.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { skillFolder, type TestTool } from '../support/skill-folder.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { privateInternet } from '../support/tls.ts';
import { verifies } from '../support/verifies.ts';

const SAMPLE = join(import.meta.dirname, '../support/skills/reads-calls-runs');

/** The sample and a workspace that anybody may use, in a folder of the test; the one host that it calls is really there. */
async function sample() {
  const base = await tempFolder();
  await chmod(base, 0o755);
  const project = join(base, 'sample');
  const workspace = join(base, 'workspace');
  await cp(SAMPLE, project, { recursive: true });
  await mkdir(join(workspace, 'notes'), { recursive: true });
  await writeFile(join(workspace, 'notes/today.txt'), 'hello\n');
  for (const folder of [workspace, join(workspace, 'notes')]) await chmod(folder, 0o777);
  const { cert, http } = await privateInternet();
  const visits: string[] = [];
  const port = await served(
    http().on('request', ({ headers }, response) => {
      visits.push(String(headers.host));
      response.end();
    }),
  );
  const ca = join(base, 'ca.pem');
  await writeFile(ca, cert);
  const source = join(project, 'server/index.ts');
  const called = `tools.example:${port}`;
  await writeFile(source, (await readFile(source, 'utf8')).replace('api.example.test:8443', called));
  const host = ['--allow-host', `${called}/tls=127.0.0.1`];
  return {
    home: join(base, 'home'),
    project,
    workspace,
    port,
    visits,
    host,
    env: { BERTH_HUB_SANDBOX_CA: ca },
  };
}

/** Serves on this machine until the test is over; the port. */
async function served(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function dev(
  { home, project, env = {} }: { home: string; project: string; env?: Record<string, string> },
  ...options: string[]
): Promise<CliResult & { events: (DevEvent | { event: 'result'; result?: unknown; error?: unknown })[] }> {
  const ran = await runCli(['dev', project, ...options], { env: { BERTH_HOME: home, ...env } });
  const events = ran.stdout
    .split('\n')
    .filter((line) => line.startsWith('{"event"'))
    .map((line) => JSON.parse(line) as DevEvent);
  return { ...ran, events };
}

/** What it says that a skill was refused. */
const wishesIn = (events: readonly { event: string; wish?: unknown }[]): unknown[] =>
  events.flatMap(({ event, wish }) => (event === 'refused' ? [wish] : []));

const permissionsIn = async (project: string): Promise<unknown> =>
  (JSON.parse(await readFile(join(project, 'skill.json'), 'utf8')) as { permissions: unknown }).permissions;

/** A skill with one tool, `go`. */
async function skillThat(
  code: string,
  more: {
    permissions?: Record<string, unknown>;
    prelude?: string;
    config?: Record<string, unknown>;
  } = {},
) {
  const go: TestTool = { code };
  const project = await skillFolder({ tools: { go }, ...more });
  return { project, home: join(await tempFolder(), 'home') };
}

describe('berth dev --record', () => {
  it(
    'on a skill that reads one file, calls one host and runs one program writes exactly that manifest',
    verifies('dev.records'),
    async () => {
      const { workspace, host, port, visits, ...given } = await sample();
      const { project } = given;
      const options = ['--workspace', workspace, '--record', '--allow-seen', ...host, '--call', 'report'];
      const { code, events, stderr } = await dev(given, ...options);
      expect(code, stderr).toBe(0);
      const exactly = {
        network: [{ host: 'tools.example', ports: [port], protocol: 'tls' }],
        filesystem: [{ path: '${workspace}/notes', mode: 'r' }],
        subprocess: [{ exec: 'git' }],
        mcp: { elicitation: true },
      };
      expect(await permissionsIn(project)).toEqual(exactly);
      expect(events.filter(({ event }) => event === 'result')).toMatchObject([
        { result: { content: [{ text: expect.stringMatching(/^hello\ngit version [\d.]+\n200$/) }] } },
      ]);
      expect(new Set(visits)).toEqual(new Set([`tools.example:${port}`]));
      expect(stderr).toContain(`undo: cp ${project}/.berth/skill.json.before ${project}/skill.json`);
      const before = await readFile(join(project, '.berth/skill.json.before'), 'utf8');
      expect(before).toBe(await readFile(join(SAMPLE, 'skill.json'), 'utf8'));

      // Recorded again, from what was recorded, nothing changes.
      const written = await readFile(join(project, 'skill.json'), 'utf8');
      const again = await dev(given, ...options);
      expect(again.code).toBe(0);
      expect(await readFile(join(project, 'skill.json'), 'utf8')).toBe(written);
      expect(wishesIn(again.events)).toEqual([]);
    },
  );

  it(
    'opens nothing that was not named, and keeps what cannot be watched',
    verifies('dev.records'),
    async () => {
      const { workspace, port, visits, ...given } = await sample();
      const { project } = given;
      const options = ['--workspace', workspace, '--record', '--call', 'report'];
      const { code, events } = await dev(given, ...options);
      expect(code).toBe(0);
      expect(wishesIn(events)).toContainEqual({ kind: 'program', name: 'git' });
      expect(wishesIn(events)).toContainEqual({ kind: 'host', host: 'tools.example', port, protocol: 'tcp' });
      expect(visits).toEqual([]);
      expect(events.some(({ event }) => event === 'opened')).toBe(false);
      expect(await permissionsIn(project)).toEqual({
        filesystem: [{ path: '${workspace}/notes', mode: 'r' }],
        mcp: { elicitation: true },
      });
    },
  );

  it('takes a host, a program and a variable that are named', verifies('dev.records'), async () => {
    const port = await served(createServer((_request, response) => response.end('reached')));
    const { home, project } = await skillThat(
      `const { spawnSync } = await import('node:child_process');
       const text = await fetch('http://db.example.test:${port}').then((answer) => answer.text(), String);
       return [spawnSync('git', ['--version']).status, process.env.COLOUR, text].join();`,
    );
    const open = [
      ...['--allow-host', `db.example.test:${port}/http=127.0.0.1`],
      ...['--allow-program', 'git', '--allow-env', 'COLOUR'],
    ];
    const { code, events } = await dev(
      { home, project, env: { COLOUR: 'green', OTHER: 'x' } },
      ...['--record', ...open, '--allow-host', 'unused.example.test', '--call', 'go'],
    );
    expect(code).toBe(0);
    expect(events.find(({ event }) => event === 'result')).toMatchObject({
      result: { content: [{ text: '0,green,reached' }] },
    });
    expect(await permissionsIn(project)).toEqual({
      network: [{ host: 'db.example.test', ports: [port], protocol: 'http' }],
      subprocess: [{ exec: 'git' }],
      env: ['COLOUR'],
    });
  });

  it('counts a host only when it was reached, and says why it was not', verifies('dev.records'), async () => {
    const port = await served(createServer((_request, response) => response.end('reached')));
    const { home, project } = await skillThat(
      `const got = (url) => fetch(url).then((answer) => answer.text(), () => 'no');
         return [await got('https://none.example.test:8443'), await got('http://local.example.test:${port}')].join();`,
    );
    const { events } = await dev(
      { home, project },
      ...['--record', '--allow-seen', '--allow-host', `local.example.test:${port}/tls=127.0.0.1`],
      ...['--call', 'go'],
    );
    expect(events).toContainEqual({
      event: 'opened',
      wish: { kind: 'host', host: 'none.example.test', port: 8443, protocol: 'tls' },
    });
    const notes = events.flatMap((event) => (event.event === 'note' ? [event.text] : []));
    expect(notes).toEqual([
      expect.stringMatching(/local\.example\.test .* did not speak TLS there/),
      expect.stringMatching(/none\.example\.test .* leads to no address/),
    ]);
    expect(await permissionsIn(project)).toBeUndefined();
  });

  it('keeps a host that a config value stands for', verifies('dev.records'), async () => {
    const port = await served(createServer((_request, response) => response.end('reached')));
    const { home, project } = await skillThat(
      `return fetch('http://site.example.test:${port}').then((answer) => answer.text(), String);`,
      {
        permissions: { network: [{ host: '${config.site}', ports: [port], protocol: 'http' }] },
        config: { site: { type: 'string', title: 'Site' } },
      },
    );
    const before = await permissionsIn(project);
    const { code, events, stderr } = await dev(
      { home, project },
      ...['--record', '--set', 'site=site.example.test=127.0.0.1', '--call', 'go'],
    );
    expect(code, stderr).toBe(0);
    expect(events.find(({ event }) => event === 'result')).toMatchObject({
      result: { content: [{ text: 'reached' }] },
    });
    expect(await permissionsIn(project)).toEqual(before);
  });

  it('grants a folder to write only where something was written', verifies('dev.records'), async () => {
    const { home, project } = await skillThat(
      `fs.mkdirSync('/data/out', { recursive: true }); fs.writeFileSync('/data/out/a.txt', 'x');
       fs.readdirSync('/workspace/docs'); fs.existsSync('/workspace/docs/none'); return 'done';`,
    );
    const workspace = await tempFolder();
    await mkdir(join(workspace, 'docs'));
    for (const folder of [workspace, join(workspace, 'docs')]) await chmod(folder, 0o777);
    expect((await dev({ home, project }, '--workspace', workspace, '--record', '--call', 'go')).code).toBe(0);
    expect(await permissionsIn(project)).toEqual({
      filesystem: [
        { path: '${data}', mode: 'rw' },
        { path: '${workspace}/docs', mode: 'r' },
      ],
    });
  });

  it('of no call writes nothing and says so', verifies('dev.records'), async () => {
    const { home, project, workspace } = await sample();
    const before = await readFile(join(project, 'skill.json'), 'utf8');
    const ran = await dev({ home, project }, '--workspace', workspace, '--record', '--json');
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain('"learn-incomplete"');
    expect(await readFile(join(project, 'skill.json'), 'utf8')).toBe(before);
  });

  it('of a skill that answered no call writes nothing either', verifies('dev.records'), async () => {
    const permissions = { subprocess: [{ exec: 'git' }] };
    for (const prelude of ['process.exit(3);', '']) {
      const { home, project } = await skillThat('process.exit(4);', { permissions, prelude });
      const ran = await dev({ home, project }, '--record', '--call', 'go', '--json');
      expect(ran.code).toBe(1);
      expect(ran.stdout).toContain('"learn-incomplete"');
      expect(await permissionsIn(project)).toEqual(permissions);
    }
  });

  it('tells a script by its exit code what did not work', verifies('dev.exit'), async () => {
    const { home, project } = await skillThat('return 1;');
    expect((await dev({ home, project }, '--call', 'go')).code).toBe(0);
    const crashing = await skillThat('process.exit(4);');
    expect((await dev(crashing, '--call', 'go')).code).toBe(1);
    expect((await dev({ home, project }, '--call', 'go {bad')).code).toBe(1);
    const nowhere = await dev({ home, project: join(project, 'nowhere') }, '--call', 'go');
    expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringContaining('berth init')]);
    await writeFile(join(project, 'skill.json'), '{');
    expect((await dev({ home, project }, '--call', 'go')).code).toBe(1);
  });

  it('without --record opens nothing: that is a faulty command line', async () => {
    const { home, project } = await skillThat('return 1;');
    const { code, stderr } = await dev({ home, project }, '--allow-program', 'git');
    expect(code).toBe(2);
    expect(stderr).toContain('--record');
  });
});

describe('berth dev', () => {
  it(
    'shows each refused folder, host, program and variable, and nothing else',
    verifies('dev.refused'),
    async () => {
      const outside = await tempFolder();
      await writeFile(join(outside, 'a.txt'), 'x');
      const { home, project } = await skillThat(
        `const tries = [
         () => fs.readFileSync('/workspace/notes/a.txt'),
         () => fs.writeFileSync('/data/state.json', '{}'),
         () => fs.readFileSync(${JSON.stringify(join(outside, 'a.txt'))}),
         () => fs.readFileSync('/nowhere/at/all'),
         () => fs.writeFileSync('/skill/cache', ''),
         () => fs.readFileSync('/etc/hostname'),
       ];
       for (const go of tries) try { go(); } catch {}
       const { spawnSync, execSync } = await import('node:child_process');
       spawnSync('git'); spawnSync('no-such-program');
       try { execSync('git status', { stdio: 'ignore' }); } catch {}
       await fetch('https://a.example.test/').catch(() => 0);
       return [process.env.COLOUR, process.env.NOT_THERE, 'SIZE' in process.env].join();`,
      );
      const env = { COLOUR: 'green', SIZE: '1', HOME: '/root', UNASKED: 'x' };
      const { code, events } = await dev({ home, project, env }, '--call', 'go', '--call', 'go');
      expect(code).toBe(0);
      expect(wishesIn(events)).toEqual([
        { kind: 'path', path: '${workspace}/notes', mode: 'r' },
        { kind: 'path', path: '${data}', mode: 'rw' },
        {
          kind: 'path',
          path: expect.stringMatching(/^\$\{config\.berth_test_\w+\}$/),
          mode: 'r',
          folder: outside,
        },
        { kind: 'program', name: 'git' },
        { kind: 'host', host: 'a.example.test', port: 443, protocol: 'tls' },
        { kind: 'variable', name: 'COLOUR' },
        { kind: 'variable', name: 'SIZE' },
      ]);
      const notes = events.flatMap((event) => (event.event === 'note' ? [event.text] : []));
      expect(notes).toEqual([
        expect.stringContaining('its own package (/skill/cache)'),
        expect.stringContaining('/etc/hostname, which can never be granted'),
        expect.stringContaining('/bin/sh by its path'),
      ]);
    },
  );

  it('shows a write to a folder that may only be read', verifies('dev.refused'), async () => {
    const { home, project } = await skillThat(
      `try { fs.writeFileSync('/data/sub/x', ''); } catch (e) { return e.code; }`,
      {
        permissions: { filesystem: [{ path: '${data}', mode: 'r' }] },
      },
    );
    const { events } = await dev({ home, project }, '--call', 'go');
    // There is no such folder, which is no matter of grants.
    expect(wishesIn(events)).toEqual([]);
    const other = await skillThat(`try { fs.writeFileSync('/data/x', ''); } catch (e) { return e.code; }`, {
      permissions: { filesystem: [{ path: '${data}', mode: 'r' }] },
    });
    expect(wishesIn((await dev(other, '--call', 'go')).events)).toEqual([
      { kind: 'path', path: '${data}', mode: 'rw' },
    ]);
  });

  it('sees what a Python skill asks for, variables too', verifies('dev.refused'), async () => {
    const { home, project } = await skillThat('return 1;');
    await writeFile(join(project, 'server/index.py'), PYTHON_SKILL);
    const manifest = JSON.parse(await readFile(join(project, 'skill.json'), 'utf8')) as Record<
      string,
      object
    >;
    const runtime = { ...manifest['runtime'], kind: 'python', entry: 'server/index.py' };
    await writeFile(join(project, 'skill.json'), JSON.stringify({ ...manifest, runtime }));
    const { events, stderr } = await dev(
      { home, project, env: { COLOUR: 'green', SIZE: '1' } },
      '--call',
      'go',
    );
    expect(wishesIn(events), stderr).toEqual([
      { kind: 'path', path: '${workspace}', mode: 'r' },
      { kind: 'program', name: 'git' },
      { kind: 'host', host: 'a.example.test', port: 443, protocol: 'tls' },
      { kind: 'variable', name: 'COLOUR' },
    ]);
  });

  it(
    'is bounded when a skill floods it, and clean on a terminal',
    verifies('learn.bounded', 'learn.unforgeable'),
    async () => {
      const { home, project } = await skillThat(
        `for (let i = 0; i < 3000; i += 1) try { fs.readFileSync('/workspace/' + i + '/\\u001b[2J\\nok: nothing was refused\\u202e'); } catch {}
       return 'flooded';`,
      );
      const { code, stdout, events } = await dev({ home, project }, '--call', 'go');
      expect(code).toBe(0);
      expect(wishesIn(events).length).toBeLessThanOrEqual(300);
      expect(stdout.split('\n').length).toBeLessThan(400);
      const seen = await runCli(['dev', project, '--call', 'go'], {
        env: { BERTH_HOME: home },
        terminal: true,
      });
      expect(seen.stderr).not.toMatch(/^ok: nothing/m);
      // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
      expect(seen.stderr.replaceAll(/\u001b\[\d+m/g, '')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    },
  );

  it('starts again when a source changes', verifies('dev.reloads'), async () => {
    const { home, project } = await skillThat(`return 'one';`);
    const session = liveDev(home, project);
    await session.until((line) => line.includes('"started"'));
    session.type('go\n');
    await session.until((line) => line.includes('"one"'));
    const source = join(project, 'server/index.js');
    await writeFile(source, (await readFile(source, 'utf8')).replaceAll("'one'", "'two'"));
    await session.until((line) => line.includes('"started"'));
    session.type('go\n');
    await session.until((line) => line.includes('"two"'));
    await writeFile(source, 'this is no JavaScript');
    await session.until((line) => line.includes('"failed"') && line.includes('pack-failed'));
    // What ran before runs on, until it builds again.
    session.type('go\n');
    await session.until((line) => line.includes('"two"'));
    await writeFile(source, 'process.exit(3);');
    await session.until((line) => line.includes('"failed"') && line.includes('skill-start-failed'));
    session.type('go\n');
    await session.until((line) => line.includes('"result"') && line.includes('skill-start-failed'));
    session.end();
    expect(await session.code).toBe(0);
  });

  it('--stdio is an MCP server for a client, across restarts', verifies('dev.serves'), async () => {
    const { home, project } = await skillThat(`return 'one';`);
    const session = liveDev(home, project, '--stdio');
    const ask = (id: number, method: string, params = {}) =>
      session.type(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    ask(1, 'initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'c', version: '1' },
    });
    expect(await session.until((line) => line.includes('"id":1'))).toMatchObject({
      result: { protocolVersion: '2025-11-25', capabilities: { tools: {} } },
    });
    ask(2, 'tools/list');
    expect(await session.until((line) => line.includes('"id":2'))).toMatchObject({
      result: { tools: [{ name: 'go' }] },
    });
    const source = join(project, 'server/index.js');
    await writeFile(source, (await readFile(source, 'utf8')).replaceAll("'one'", "'two'"));
    await session.until((line) => line.includes('notifications/tools/list_changed'));
    ask(3, 'tools/call', { name: 'go' });
    expect(await session.until((line) => line.includes('"id":3'))).toMatchObject({
      result: { content: [{ text: 'two' }] },
    });
    session.type('nonsense\n');
    expect(await session.until((line) => line.includes('"id":null'))).toMatchObject({
      error: { code: -32700 },
    });
    ask(4, 'no/such/method');
    expect(await session.until((line) => line.includes('"id":4'))).toMatchObject({ error: { code: -32601 } });
    session.end();
    expect(await session.code).toBe(0);
  });

  it(
    'where no hosts can be opened sees which are wanted, at which port from the second call on',
    verifies('dev.refused', 'dev.records'),
    async () => {
      const { home, project } = await skillThat(
        `return fetch('https://a.example.test:8443/').then(() => 'reached', ({ cause }) => cause.code);`,
      );
      const env = { PATH: await pathWith('strace') };
      const { code, events } = await dev({ home, project, env }, '--record', '--allow-seen', '--call', 'go');
      expect(code).toBe(0);
      expect(wishesIn(events)).toEqual([
        { kind: 'host', host: 'a.example.test' },
        { kind: 'host', host: 'a.example.test', port: 8443, protocol: 'tls' },
      ]);
      expect(JSON.stringify(events)).toContain('none is reached');
      expect(await permissionsIn(project)).toEqual({
        network: [{ host: 'a.example.test', ports: [8443], protocol: 'tls' }],
      });
    },
  );

  it('without strace says which command installs it', verifies('learn.unavailable'), async () => {
    const { home, project } = await skillThat('return 1;');
    const env = { PATH: await pathWith('apt-get') };
    const ran = await dev({ home, project, env }, '--call', 'go', '--json');
    expect(ran.code).toBe(1);
    expect(JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      ok: false,
      error: { code: 'learn-unavailable', hint: expect.stringMatching(/apt-get install -y strace$/) },
    });
  });
});

describe('berth check', () => {
  it(
    'names what was asked and never used in the recorded session and its tests',
    verifies('dev.unused'),
    async () => {
      const { workspace, host, ...given } = await sample();
      const { home, project } = given;
      const options = ['--workspace', workspace, '--record', '--allow-seen', ...host, '--call', 'report'];
      const recorded = await dev(given, ...options);
      expect(recorded.code, recorded.stderr).toBe(0);
      const settings = readSettings({ PATH: process.env['PATH'] });
      const context = { home, settings };
      const check = async () =>
        (
          await checkSkill(
            { driver: await openSandbox(context), learn: await openLearnSandbox(context) },
            project,
          )
        ).advice.filter((line) => line.startsWith('It asks to'));
      expect(await check()).toEqual([]);

      const path = join(project, 'skill.json');
      const manifest = JSON.parse(await readFile(path, 'utf8')) as { permissions: Record<string, unknown[]> };
      manifest.permissions['network']?.push({ host: 'unused.example.test' }, { host: 'tested.example.test' });
      manifest.permissions['subprocess']?.push({ exec: 'curl' });
      manifest.permissions['env'] = ['TZ'];
      manifest.permissions['filesystem'] = [
        { path: '${workspace}', mode: 'rw' },
        { path: '${data}', mode: 'r' },
      ];
      await writeFile(path, JSON.stringify(manifest));
      await mkdir(join(project, 'test'));
      await writeFile(
        join(project, 'test/uses.test.ts'),
        `import dns from 'node:dns/promises'; await dns.lookup('tested.example.test').catch(() => 0); void process.env.TZ;`,
      );
      expect(await check()).toEqual([
        expect.stringMatching(/connect to unused\.example\.test:443 .* never used/),
        expect.stringMatching(/read files in \$\{data\}, which was never used/),
        expect.stringMatching(/write \$\{workspace\}, which was only read/),
        expect.stringMatching(/run the program curl, which was never used/),
      ]);
    },
  );
});

describe('berth check of a Python skill', () => {
  it('sees what its tests try to use, variables too', verifies('dev.unused'), async () => {
    const permissions = { env: ['TZ', 'COLOUR'], network: [{ host: 'tested.example.test' }] };
    const test = `import os, socket, unittest
class Uses(unittest.TestCase):
    def test(self):
        self.assertIsNone(os.environ.get('TZ'))
        with self.assertRaises(OSError): socket.getaddrinfo('tested.example.test', 443)
`;
    const project = await pythonSkill(
      'TOOLS = {"go": lambda given: "done"}',
      { 'test/test_uses.py': test },
      { permissions },
    );
    const given = { home: join(await tempFolder(), 'home'), project };
    expect((await dev(given, '--record', '--call', 'go')).code).toBe(0);
    // What was recorded is what it needed; the author asks for more.
    const path = join(project, 'skill.json');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...manifest, permissions }));
    const context = { home: given.home, settings: readSettings({ PATH: process.env['PATH'] }) };
    const learn = await openLearnSandbox(context);
    const { advice, tests } = await checkSkill({ driver: await openSandbox(context), learn }, project);
    expect(tests).toMatchObject([{ file: 'test/test_uses.py', passed: true }]);
    expect(advice.filter((line) => line.startsWith('It asks to'))).toEqual([
      expect.stringMatching(/COLOUR, which was never used/),
    ]);
  });
});

const PYTHON_SKILL = `
import json, os, socket, subprocess, sys
def go():
    try: open('/workspace/a.txt').read()
    except OSError: pass
    try: subprocess.run(['git'])
    except OSError: pass
    try: socket.getaddrinfo('a.example.test', 443)
    except OSError: pass
    return '%s %s' % (os.environ.get('COLOUR'), os.getenv('NOT_THERE'))
for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get('method'), message.get('id')
    if id is None: continue
    result = {}
    if method == 'initialize': result = {'protocolVersion': '2025-11-25', 'capabilities': {'tools': {}}, 'serverInfo': {'name': 'p', 'version': '1'}}
    if method == 'tools/list': result = {'tools': [{'name': 'go', 'inputSchema': {'type': 'object'}}]}
    if method == 'tools/call': result = {'content': [{'type': 'text', 'text': go()}]}
    print(json.dumps({'jsonrpc': '2.0', 'id': id, 'result': result}), flush=True)
`;

/** A folder with the programs that the sandbox cannot do without, and these. */
async function pathWith(...more: string[]): Promise<string> {
  const bin = await tempFolder();
  const folders = (process.env['PATH'] ?? '').split(':');
  for (const name of ['bwrap', 'sh', 'grep', 'prlimit', 'setpriv', 'mknod', 'mkfifo', ...more]) {
    const file = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
    await symlink(file ?? '', join(bin, name));
  }
  return bin;
}

/** `berth dev` that is spoken to while it runs. */
function liveDev(home: string, project: string, ...options: string[]) {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  stderr.resume();
  const stop = new AbortController();
  const code = run({
    argv: ['dev', project, ...options],
    env: { PATH: process.env['PATH'] ?? '', BERTH_HOME: home },
    cwd: '/',
    stdin: Readable.from(stdin),
    stdout,
    stderr,
    signal: stop.signal,
    hasten: stop.signal,
  });
  let text = '';
  const waiting: (() => void)[] = [];
  stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    for (const look of waiting.splice(0)) look();
  });
  onTestFinished(async () => {
    stdin.end();
    stop.abort();
    await code;
  });
  return {
    code,
    type: (line: string) => void stdin.write(line),
    end: () => void stdin.end(),
    /** The next line of this kind, parsed; what came before it is forgotten. */
    async until(fits: (line: string) => boolean): Promise<unknown> {
      for (;;) {
        const lines = text.split('\n');
        const at = lines.slice(0, -1).findIndex(fits);
        if (at >= 0) {
          text = lines.slice(at + 1).join('\n');
          return JSON.parse(lines[at] ?? '');
        }
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  };
}
