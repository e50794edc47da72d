import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Berth, berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { repositoryOf } from '../support/git-repository.ts';
import { verifies } from '../support/verifies.ts';

describe('the first working day', () => {
  let home: string;
  let up: Berth;
  beforeAll(async () => {
    home = await newHome();
    up = await startBerth(home);
  });
  afterAll(async () => {
    await up.stop();
    await removeHome(home);
  });

  it('goes from an empty folder to a tool call', verifies('cli.first-day'), async () => {
    await up.ok('init', 'hello', '--name', 'local.me/hello');
    const published = await up.ok('publish', 'hello');
    expect(published).toMatchObject({
      name: 'local.me/hello',
      version: expect.any(String),
      digest: expect.stringMatching(/^sha256:/),
    });
    expect(published['receipt']).toMatchObject({
      purl: expect.stringContaining('pkg:berth/local.me/hello@'),
    });
    const info = await up.ok('info', 'local.me/hello');
    expect(info['tools'][0]).toMatchObject({ name: expect.any(String), effects: ['read'] });
    await up.ok('install', 'local.me/hello', '--yes');
    const result = await up.ok('call', 'local.me/hello', info['tools'][0].name, '{}');
    expect(result['content'][0]).toMatchObject({ type: 'text' });
    expect(await up.ok('audit', 'verify')).toMatchObject({ records: expect.any(Number) });
  });

  it(
    'answers the same publication with the same receipt, and refuses other bytes under the version',
    verifies('cli.publish-again'),
    async () => {
      const first = await up.ok('publish', 'hello');
      const again = await up.ok('publish', 'hello');
      expect(again['receipt']).toEqual(first['receipt']);
      const source = join(home, 'hello', 'server', 'index.ts');
      await writeFile(
        source,
        `${await readFile(source, 'utf8')}\nexport const changed = 1;\nconsole.error(changed);\n`,
      );
      const refused = await up.run('publish', 'hello');
      expect([refused.code, refused.json.ok, refused.json.error['code']]).toEqual([
        8,
        false,
        'version-exists',
      ]);
    },
  );

  it('refuses a second up on the same home, and an install that nobody agreed to', async () => {
    const second = await berth(home, ['up', '--json']);
    expect([second.code, second.json.error['code']]).toEqual([8, 'already-running']);
    const undecided = await up.run('install', 'dev.berth/memory');
    expect([undecided.code, `${undecided.json.error['detail']} ${undecided.json.error['hint']}`]).toEqual([
      2,
      expect.stringContaining('--yes'),
    ]);
    const unbound = await up.run('install', 'dev.berth/files', '--yes');
    expect([unbound.code, JSON.stringify(unbound.json.error)]).toEqual([
      2,
      expect.stringContaining('--workspace'),
    ]);
  });

  it('has its own skills, and runs each', verifies('cli.first-party'), async () => {
    const workspace = await newHome();
    await writeFile(join(workspace, 'people.csv'), 'name,age\nAda,36\nGrace,45\n');
    await up.ok('install', 'dev.berth/files', '--yes', '--workspace', workspace);
    await up.ok('install', 'dev.berth/memory', '--yes', '--allow-tool', '*');
    await up.ok('install', 'dev.berth/tables', '--yes', '--workspace', workspace);
    await up.ok('install', 'dev.berth/review', '--yes');
    const repository = await newHome();
    await repositoryOf(repository, { 'log.txt': 'left port\n' });
    await up.ok('install', 'dev.berth/git', '--yes', '--workspace', repository, '--set', 'authorName=Ada');
    expect(JSON.stringify(await up.ok('call', 'git', 'blame', '{"path":"log.txt"}'))).toContain('left port');
    await removeHome(repository);
    expect(JSON.stringify(await up.ok('call', 'files', 'read', '{"path":"people.csv"}'))).toContain('Grace');
    await up.ok('call', 'memory', 'add', '{"text":"berths are for ships"}');
    expect(JSON.stringify(await up.ok('call', 'memory', 'search', '{"query":"ships"}'))).toContain('berths');
    expect((await up.ok('list')) as unknown).toHaveLength(6);
    const asked = await up.run('call', 'files', 'delete', '{"path":"people.csv"}');
    expect([asked.code, asked.json.error['code']]).toEqual([3, 'call-needs-approval']);
    expect(await readFile(join(workspace, 'people.csv'), 'utf8')).toContain('Ada');
    await removeHome(workspace);
  });

  it(
    'shows what was decided in sentences, and finds a changed record with the hub stopped, too',
    verifies('cli.audit-offline'),
    async () => {
      const shown = (await up.ok('audit', 'ls')) as unknown as { sentence: string }[];
      expect(JSON.stringify(shown)).toContain('local.me/hello');
      expect(await up.stop()).toBe(0);
      expect((await berth(home, ['audit', 'verify', '--json'])).code).toBe(0);
      const { default: Sqlite } = await import('better-sqlite3');
      const database = new Sqlite(join(home, 'hub', 'hub.db'));
      database
        .prepare(`update audit set record = replace(record, 'local.me', 'local.you') where seq = 5`)
        .run();
      database.close();
      const broken = await berth(home, ['audit', 'verify', '--json']);
      expect([broken.code, broken.json.error['code'], broken.json.error['record']]).toEqual([
        6,
        'audit-broken',
        5,
      ]);
      up = await startBerth(home);
      const live = await up.run('audit', 'verify');
      expect([live.code, live.json.error['record']]).toEqual([6, 5]);
    },
  );
});
