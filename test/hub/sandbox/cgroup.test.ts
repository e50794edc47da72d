import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { controlGroups, hierarchiesOf, settingsOf } from '../../../hub/sandbox/cgroup.ts';
import { identityOf } from '../../../hub/sandbox/processes.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

describe('finding control groups', () => {
  it('takes the hub’s own group of each controller in version 1', verifies('sandbox.limits'), () => {
    const mounts = [
      '35 29 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct',
      '36 29 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
      '37 29 0:33 /docker/abc /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids',
      '38 29 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer',
      '39 29 0:35 / /sys rw,relatime - sysfs sysfs rw',
    ].join('\n');
    const own = '9:pids:/docker/abc\n4:memory:/hub\n2:cpu,cpuacct:/\n1:freezer:/x\n';
    expect(hierarchiesOf(mounts, own)).toEqual([
      { version: 1, parent: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu'] },
      { version: 1, parent: '/sys/fs/cgroup/memory/hub', controllers: ['memory'] },
      { version: 1, parent: '/sys/fs/cgroup/pids', controllers: ['pids'] },
    ]);
  });

  it('takes the place beside the hub in version 2', verifies('sandbox.limits'), () => {
    const mounts = '25 20 0:22 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw';
    expect(hierarchiesOf(mounts, '0::/system.slice/berth.service\n')).toMatchObject([
      { version: 2, parent: '/sys/fs/cgroup/system.slice' },
    ]);
    expect(hierarchiesOf(mounts, '0::/\n')).toMatchObject([{ version: 2, parent: '/sys/fs/cgroup' }]);
  });
});

describe('what a group is held to', () => {
  const limits = { memoryMb: 64, cpus: 0.5, pids: 8, diskMb: 1 };

  it(
    'is its share of the processors and its weight beside the hub, in both versions',
    verifies('sandbox.weight'),
    () => {
      expect(settingsOf(1, ['cpu'], limits)).toEqual([
        ['cpu.cfs_period_us', '100000'],
        ['cpu.cfs_quota_us', '50000'],
        ['cpu.shares', '512'],
      ]);
      expect(settingsOf(2, ['cpu'], limits)).toEqual([
        ['cpu.max', '50000 100000'],
        ['cpu.weight', '50'],
      ]);
    },
  );
});

describe('control groups of version 2', () => {
  it(
    'refuse to hold anything when a limit cannot be set, and leave nothing',
    verifies('sandbox.limits'),
    async () => {
      // A plain folder is no control group: the files that the kernel would put there are missing.
      const parent = await tempFolder();
      const hub = await identityOf(process.pid);
      const groups = controlGroups(
        [{ version: 2, parent, controllers: ['pids', 'memory', 'cpu'] }],
        hub as NonNullable<typeof hub>,
      );
      await expect(groups.create({ memoryMb: 1, cpus: 1, pids: 1, diskMb: 1 })).rejects.toThrow();
      expect(await readdir(parent)).toEqual([]);
    },
  );

  it('of dead hubs are removed, those of living ones stay', verifies('sandbox.limits'), async () => {
    const parent = await tempFolder();
    const hub = await identityOf(process.pid);
    if (hub === undefined) throw new Error('this process has no entry in /proc');
    const living = `berth-${hub.pid}-${hub.startTime}-x`;
    for (const name of [living, `berth-${hub.pid}-1-x`, 'berth-4194305-1-x', 'system.slice'])
      await mkdir(join(parent, name));
    await writeFile(join(parent, 'cgroup.procs'), '');
    await controlGroups([{ version: 2, parent, controllers: ['pids'] }], hub).sweep();
    expect((await readdir(parent)).toSorted()).toEqual([living, 'cgroup.procs', 'system.slice'].toSorted());
    expect(await readFile(join(parent, 'cgroup.procs'), 'utf8')).toBe('');
  });
});
