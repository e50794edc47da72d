import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { verifies } from '../support/verifies.ts';

describe('a machine without bubblewrap', () => {
  let home: string;
  let up: Berth;
  beforeAll(async () => {
    home = await newHome();
    const bin = join(home, 'bin');
    await mkdir(bin);
    // Only Node: no bwrap, and nothing that could install it.
    await symlink(process.execPath, join(bin, 'node'));
    up = await startBerth(home, { env: { PATH: bin } });
  });
  afterAll(async () => {
    await up.stop();
    await removeHome(home);
  });

  it('is told so at the start, with the command that mends it', verifies('hub.no-sandbox'), async () => {
    const status = await up.ok('status');
    expect(status['sandbox']).toMatchObject({
      usable: false,
      problem: { hint: expect.stringContaining('bubblewrap') },
    });
    const doctor = await up.run('doctor');
    expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringContaining('bubblewrap')]);
  });

  it('runs no skill, and certainly not without one', verifies('hub.no-sandbox'), async () => {
    const refused = await up.run('install', 'dev.berth/memory', '--yes');
    expect([refused.code, refused.json.error['code']]).toEqual([1, 'sandbox-unavailable']);
    expect(await up.ok('list')).toEqual([]);
  });

  it('still keeps skills, and serves those that consist of instructions', async () => {
    await up.ok('info', 'dev.berth/memory');
    expect(await up.ok('install', 'dev.berth/review', '--yes')).toMatchObject({ state: 'ready' });
  });
});
