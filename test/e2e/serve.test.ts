import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Berth, berth, newHome, removeHome, startBerth } from '../support/berth.ts';

const homes: string[] = [];
const running: Berth[] = [];

afterEach(async () => {
  for (const server of running.splice(0).toReversed()) await server.stop();
  for (const home of homes.splice(0)) await removeHome(home);
});

async function emptyHome(): Promise<string> {
  const home = await newHome();
  homes.push(home);
  return home;
}

async function serve(home: string, ...args: string[]): Promise<Berth> {
  const server = await startBerth(home, { args: ['serve', ...args, '--json'] });
  running.push(server);
  return server;
}

describe('one server alone', () => {
  it('is found by the commands of its home, which administer the registry, until it stops', async () => {
    const home = await emptyHome();
    const registry = await serve(home, 'registry', '--port', '0');
    expect((await registry.ok('tokens', 'ls'))['tokens']).toMatchObject([{ admin: true }]);
    const hub = await serve(home, 'hub', '--port', '0');
    expect(await hub.ok('status')).toMatchObject({ registry: registry.urls.registry });
    expect(await registry.stop()).toBe(0);
    const gone = await berth(home, ['tokens', 'ls', '--json']);
    expect(gone.json.error['code']).toBe('not-running');
  });

  it('a hub takes its skills from the registry that is named, else from that of its settings', async () => {
    const home = await emptyHome();
    await writeFile(join(home, 'hub.json'), JSON.stringify({ registry: 'http://127.0.0.1:9', port: 0 }));
    const fromFile = await serve(home, 'hub');
    expect(await fromFile.ok('status')).toMatchObject({ registry: 'http://127.0.0.1:9' });
    await fromFile.stop();
    const named = await serve(home, 'hub', '--registry', 'http://127.0.0.1:8');
    expect(await named.ok('status')).toMatchObject({ registry: 'http://127.0.0.1:8' });
    const other = await named.run('install', 'local.me/x', '--yes', '--registry', 'http://127.0.0.1:7');
    expect([other.code, other.json.error['detail']]).toEqual([2, expect.stringContaining('127.0.0.1:8')]);
  });

  it('with wrong settings does not start, and names key and source', async () => {
    const home = await emptyHome();
    await writeFile(join(home, 'registry.json'), '{"port":"x","nope":1}');
    const wrong = await berth(home, ['serve', 'registry', '--json']);
    expect([wrong.code, wrong.json.error['code']]).toEqual([2, 'config-invalid']);
    expect(wrong.json.error['faults']).toMatchObject([{ key: 'port' }, { key: 'nope' }]);
    const variable = await berth(home, ['serve', 'hub'], { env: { BERTH_HUB_PORT: 'x' } });
    expect([variable.code, variable.stderr]).toEqual([2, expect.stringContaining('BERTH_HUB_PORT')]);
  });
});
