import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  controlGroups,
  hierarchiesOf,
  limitsInForce,
  settingsOf,
  usableHierarchies,
} from '../../../hub/sandbox/cgroup.ts';
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

/** What the kernel of a machine with version 2 (systemd 252, Linux 6.1) puts into the folder of a group, by controller. */
const FILES_OF_VERSION_2 = {
  always: ['cgroup.procs', 'cgroup.kill', 'cgroup.events', 'cgroup.controllers', 'cgroup.subtree_control'],
  pids: ['pids.max', 'pids.current', 'pids.events'],
  memory: ['memory.max', 'memory.swap.max', 'memory.oom.group', 'memory.events', 'memory.current'],
  cpu: ['cpu.max', 'cpu.weight', 'cpu.stat'],
} as const;

/** Does what such a kernel does when a folder is made, for the controllers that were delegated. */
const version2 = (delegated: readonly ('pids' | 'memory' | 'cpu')[]) => async (folder: string) => {
  await mkdir(folder);
  for (const name of [...FILES_OF_VERSION_2.always, ...delegated.flatMap((one) => FILES_OF_VERSION_2[one])])
    await writeFile(join(folder, name), '');
};

/** Trees of machines with version 2: what `/proc/self/mountinfo` and `/proc/self/cgroup` say, and where groups are made. */
const TREES_OF_VERSION_2 = {
  'a service of the system': ['/', '/system.slice/berth.service', '/system.slice'],
  'a scope of a user, delegated': [
    '/',
    '/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope',
    '/user.slice/user-1000.slice/user@1000.service/app.slice',
  ],
  'a session of a user': ['/', '/user.slice/user-1000.slice/session-2.scope', '/user.slice/user-1000.slice'],
  'a container with its own namespace': ['/', '/', ''],
  'a container that sees a part of the tree': ['/docker/abc', '/docker/abc/init', ''],
} as const;

describe('a tree of version 2', () => {
  const mount = (root: string) =>
    `25 20 0:22 ${root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate`;

  it.each(Object.entries(TREES_OF_VERSION_2))(
    '%s: groups are made where limits can be set',
    verifies('sandbox.limits'),
    (_, [root, own, parent]) => {
      expect(hierarchiesOf(mount(root), `0::${own}\n`)).toEqual([
        { version: 2, parent: `/sys/fs/cgroup${parent}`, controllers: ['pids', 'memory', 'cpu'] },
      ]);
    },
  );

  it.each([[['pids', 'memory', 'cpu']], [['pids', 'memory']], [[]]] as const)(
    'limits what was delegated and nothing else: %s',
    verifies('sandbox.whole-tree'),
    async (delegated) => {
      const parent = await tempFolder();
      const hub = { pid: process.pid, startTime: '1' };
      const asked = [{ version: 2 as const, parent, controllers: ['pids', 'memory', 'cpu'] as const }];
      await writeFile(join(parent, 'cgroup.subtree_control'), '');
      const found = await usableHierarchies(asked, hub, version2(delegated));
      expect(found.flatMap(({ controllers }) => controllers)).toEqual(delegated);
    },
  );

  it('is used as its kernel wants it', verifies('sandbox.whole-tree'), async () => {
    const parent = await tempFolder();
    const hub = { pid: process.pid, startTime: '1' };
    const hierarchy = { version: 2 as const, parent, controllers: ['pids', 'memory', 'cpu'] as const };
    const groups = controlGroups([hierarchy], hub, version2(hierarchy.controllers));
    const group = await groups.create({ memoryMb: 64, cpus: 0.5, pids: 8, diskMb: 1 });
    const [name = ''] = await readdir(parent);
    const text = (file: string) => readFile(join(parent, name, file), 'utf8');
    expect(name).toMatch(new RegExp(`^berth-${process.pid}-1-`));
    expect(await text('pids.max')).toBe('10');
    expect(await text('memory.max')).toBe(String(64 * 1024 * 1024));
    expect(await text('memory.swap.max')).toBe('0');
    expect(await text('memory.oom.group')).toBe('1');
    expect(await text('cpu.max')).toBe('50000 100000');
    await group.add(4_194_304);
    expect(await text('cgroup.procs')).toBe('4194304');
    await group.weigh('background');
    // A file that is no kernel's keeps what stood behind.
    expect(await text('cpu.weight')).toMatch(/^3/);
    await writeFile(join(parent, name, 'cgroup.procs'), '');
    await group.kill();
    expect(await text('cgroup.kill')).toBe('1');
    expect(await group.ranOutOfMemory()).toBe(false);
    await writeFile(join(parent, name, 'memory.events'), 'low 0\noom 1\noom_kill 1\n');
    expect(await group.ranOutOfMemory()).toBe(true);
  });
});

describe('limits of a process', () => {
  it('are those that some group of it has', verifies('sandbox.whole-tree'), async () => {
    // Whatever they are here, they are of the kinds that there are, and none is named twice.
    const found = await limitsInForce(process.pid);
    expect(new Set(found).size).toBe(found.length);
    expect(await limitsInForce(4_194_305)).toEqual([]);
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
