import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { identityOf, isAlive, type ProcessIdentity, signal } from './processes.ts';
import type { Capability, SandboxPlan, Weight } from './sandbox.ts';

/** What control groups can hold here: a controller is `pids`, `memory` or `cpu`. */
export type Controller = Extract<Capability, 'pids' | 'memory' | 'cpu'>;

/** The control groups of one machine: each sandbox gets one of its own. */
export interface ControlGroups {
  enforces: readonly Controller[];
  /** @throws what the kernel says when a limit cannot be set: then nothing may run in it. */
  create(limits: SandboxPlan['limits']): Promise<ControlGroup>;
  /** Ends what is left in groups of hubs that are gone, and removes these. */
  sweep(): Promise<void>;
}

/** The group of one sandbox. */
export interface ControlGroup {
  /** The process and what it starts from now on. */
  add(pid: number): Promise<void>;
  /** What it counts where processors are short; of no effect without the `cpu` controller. */
  weigh(weight: Weight): Promise<void>;
  kill(): Promise<void>;
  /** Whether the kernel ended something in it for want of memory. */
  ranOutOfMemory(): Promise<boolean>;
  /** Waits until it is empty, and removes it. */
  remove(): Promise<void>;
}

/** One tree of groups: version 1 has one for each controller, version 2 one for all. */
export interface Hierarchy {
  version: 1 | 2;
  /** The folder in which our groups are made. */
  parent: string;
  controllers: readonly Controller[];
}

const CPU_PERIOD_US = 100_000;
/**
 * What a skill counts beside the hub where processors are short. The hub has the kernel's default, 1024 shares in version
 * 1 and a weight of 100 in version 2; it works for everybody, and for moments only.
 */
const CPU_WEIGHTS = {
  1: { file: 'cpu.shares', answering: '512', background: '32' },
  2: { file: 'cpu.weight', answering: '50', background: '3' },
} as const satisfies Record<1 | 2, Record<Weight | 'file', string>>;
/** The two processes of bubblewrap that stand around each sandbox. */
const OWN_PROCESSES = 2;
const REMOVE_ATTEMPTS = 200;
const REMOVE_PAUSE_MS = 10;
/** Whose a group is; two drivers of one process tell theirs apart by the rest. */
const GROUP_NAME = /^berth-(\d+)-(\d+)-/;
const groupName = (hub: ProcessIdentity) => `berth-${hub.pid}-${hub.startTime}-${randomUUID()}`;

/**
 * The control groups that this account may make: root's, or those in a subtree that systemd delegated to it; undefined
 * where it may make none. Version 2 was proved on recorded trees and by hand only: the machines that run the tests of
 * this project have version 1.
 * Groups are made below the
 * hub's own in version 1, so that what limits the hub limits its skills, and beside it in version 2, where a group with processes cannot have limited children.
 */
export async function findControlGroups(hub: ProcessIdentity): Promise<ControlGroups | undefined> {
  const [mounts, own] = await Promise.all([
    readFile('/proc/self/mountinfo', 'utf8').catch(() => ''),
    readFile('/proc/self/cgroup', 'utf8').catch(() => ''),
  ]);
  const usable = await usableHierarchies(hierarchiesOf(mounts, own), hub);
  return usable.length === 0 ? undefined : controlGroups(usable, hub);
}

/** Makes the folder of a group; the kernel puts the group's files there. */
type MakeGroup = (folder: string) => Promise<unknown>;

/** Those of the hierarchies in which something can be limited, with the controllers that can. */
export async function usableHierarchies(
  found: readonly Hierarchy[],
  hub: ProcessIdentity,
  make: MakeGroup = mkdir,
): Promise<Hierarchy[]> {
  const usable: Hierarchy[] = [];
  for (const hierarchy of found) {
    const controllers = await tried(hierarchy, hub, make);
    if (controllers.length > 0) usable.push({ ...hierarchy, controllers });
  }
  return usable;
}

/** Reads `/proc/self/mountinfo` and `/proc/self/cgroup`. */
export function hierarchiesOf(
  mountinfo: string,
  ownGroups: string,
  place: 'beside' | 'own' = 'beside',
): Hierarchy[] {
  const own = ownGroups.split('\n').map((line) => line.split(':'));
  return mountinfo.split('\n').flatMap((line): Hierarchy[] => {
    const [head = '', tail = ''] = line.split(' - ');
    const [, , , root = '/', mountPoint = ''] = head.split(' ');
    const [type, , options = ''] = tail.split(' ');
    if (type === 'cgroup2') {
      const path = own.find(([id]) => id === '0')?.[2] ?? '/';
      const beside = path === '/' || place === 'own' ? path : posix.dirname(path);
      return [
        { version: 2, parent: below(mountPoint, root, beside), controllers: ['pids', 'memory', 'cpu'] },
      ];
    }
    if (type !== 'cgroup') return [];
    const controllers = options.split(',').filter(isController);
    const path = own.find(([, names = '']) =>
      names.split(',').some((name) => controllers.includes(name as Controller)),
    )?.[2];
    if (controllers.length === 0 || path === undefined) return [];
    return [{ version: 1, parent: below(mountPoint, root, path), controllers }];
  });
}

function isController(name: string): name is Controller {
  return name === 'pids' || name === 'memory' || name === 'cpu';
}

/** A container sees a part of the tree: `root` is what it sees at the mount point. */
function below(mountPoint: string, root: string, path: string): string {
  const relative = posix.relative(root, path);
  return relative.startsWith('..') ? mountPoint : posix.join(mountPoint, relative);
}

/** Which limits are in force for a process, whoever set them. */
export async function limitsInForce(pid: number): Promise<Controller[]> {
  const [mounts, groups] = await Promise.all([
    readFile('/proc/self/mountinfo', 'utf8').catch(() => ''),
    readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => ''),
  ]);
  const found = hierarchiesOf(mounts, groups, 'own').flatMap(({ version, parent, controllers }) =>
    controllers.map(async (controller): Promise<Controller[]> => {
      const text = await readFile(join(parent, LIMIT_FILES[version][controller]), 'utf8').catch(() => '');
      return isBound(text) ? [controller] : [];
    }),
  );
  return (await Promise.all(found)).flat();
}

/** `max`, `-1` and numbers near the end of the kernel's are no limits. */
function isBound(text: string): boolean {
  return /^\d/.test(text) && Number.parseInt(text, 10) < 2 ** 60;
}

/** Which controllers really work: a group is made, looked at and removed again. */
async function tried(hierarchy: Hierarchy, hub: ProcessIdentity, make: MakeGroup): Promise<Controller[]> {
  if (hierarchy.version === 2) {
    for (const controller of hierarchy.controllers) {
      await writeFile(join(hierarchy.parent, 'cgroup.subtree_control'), `+${controller}`).catch(
        () => undefined,
      );
    }
  }
  const folder = join(hierarchy.parent, groupName(hub));
  try {
    await make(folder);
    const files = await readdir(folder);
    return hierarchy.controllers.filter((controller) =>
      files.includes(LIMIT_FILES[hierarchy.version][controller]),
    );
  } catch {
    return [];
  } finally {
    await rmdir(folder).catch(() => undefined);
  }
}

const LIMIT_FILES = {
  1: { pids: 'pids.max', memory: 'memory.limit_in_bytes', cpu: 'cpu.cfs_quota_us' },
  2: { pids: 'pids.max', memory: 'memory.max', cpu: 'cpu.max' },
} as const;

/** The groups of these hierarchies. Apart from `findControlGroups` so that version 2 can be proved on a version 1 machine. */
export function controlGroups(
  hierarchies: readonly Hierarchy[],
  hub: ProcessIdentity,
  make: MakeGroup = mkdir,
): ControlGroups {
  return {
    enforces: hierarchies.flatMap(({ controllers }) => controllers),
    async create(limits) {
      const name = groupName(hub);
      const folders = hierarchies.map((hierarchy) => ({
        ...hierarchy,
        folder: join(hierarchy.parent, name),
      }));
      const group = groupIn(folders);
      try {
        for (const { folder, version, controllers } of folders) {
          await make(folder);
          for (const [file, value] of settingsOf(version, controllers, limits))
            await set(folder, file, value);
        }
      } catch (error) {
        await group.remove();
        throw error;
      }
      return group;
    },
    async sweep() {
      for (const { parent } of hierarchies) {
        for (const name of await readdir(parent).catch(() => [])) {
          const [, pid, startTime] = GROUP_NAME.exec(name) ?? [];
          if (pid === undefined || startTime === undefined) continue;
          if (await isAlive({ pid: Number(pid), startTime })) continue;
          const stale = groupIn([{ folder: join(parent, name), version: 1, controllers: [] }]);
          await stale.kill();
          await stale.remove();
        }
      }
    },
  };
}

type Setting = readonly [file: string, value: string];

/** What is written into the files of a group. Files that only some kernels have (swap accounting) are marked with `?`. */
export function settingsOf(
  version: 1 | 2,
  controllers: readonly Controller[],
  limits: SandboxPlan['limits'],
): Setting[] {
  const bytes = String(limits.memoryMb * 1024 * 1024);
  const quota = String(Math.round(limits.cpus * CPU_PERIOD_US));
  const settings: Record<Controller, Setting[]> = {
    pids: [['pids.max', String(limits.pids + OWN_PROCESSES)]],
    memory:
      version === 1
        ? [
            ['memory.limit_in_bytes', bytes],
            ['memory.memsw.limit_in_bytes?', bytes],
          ]
        : [
            ['memory.max', bytes],
            ['memory.swap.max?', '0'],
            ['memory.oom.group?', '1'],
          ],
    cpu:
      version === 1
        ? [
            ['cpu.cfs_period_us', String(CPU_PERIOD_US)],
            ['cpu.cfs_quota_us', quota],
            [CPU_WEIGHTS[1].file, CPU_WEIGHTS[1].answering],
          ]
        : [
            ['cpu.max', `${quota} ${CPU_PERIOD_US}`],
            [CPU_WEIGHTS[2].file, CPU_WEIGHTS[2].answering],
          ],
  };
  return controllers.flatMap((controller) => settings[controller]);
}

async function set(folder: string, file: string, value: string): Promise<void> {
  const optional = file.endsWith('?');
  // `r+`: a file that the kernel did not put there is a failure, not a file to make.
  const writing = writeFile(join(folder, file.replace('?', '')), value, { flag: 'r+' });
  await (optional ? writing.catch(() => undefined) : writing);
}

function groupIn(
  folders: readonly { folder: string; version: 1 | 2; controllers: readonly Controller[] }[],
): ControlGroup {
  const processes = async (): Promise<number[]> => {
    const lists = await Promise.all(
      folders.map(({ folder }) => readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '')),
    );
    return [...new Set(lists.flatMap((text) => text.split('\n').filter(Boolean).map(Number)))];
  };
  const kill = async (): Promise<void> => {
    for (const { folder, version } of folders) {
      if (version === 2)
        await writeFile(join(folder, 'cgroup.kill'), '1', { flag: 'r+' }).catch(() => undefined);
    }
    for (const pid of await processes()) if (pid > 0 && (await identityOf(pid)) !== undefined) signal(pid);
  };
  return {
    async add(pid) {
      // Each move waits for the kernel's readers; they wait together.
      await Promise.all(folders.map(({ folder }) => set(folder, 'cgroup.procs', String(pid))));
    },
    async weigh(weight) {
      for (const { folder, version, controllers } of folders) {
        const own = CPU_WEIGHTS[version];
        if (controllers.includes('cpu')) await set(folder, own.file, own[weight]);
      }
    },
    kill,
    async ranOutOfMemory() {
      const texts = folders.flatMap(({ folder }) =>
        ['memory.events', 'memory.oom_control'].map((file) =>
          readFile(join(folder, file), 'utf8').catch(() => ''),
        ),
      );
      return (await Promise.all(texts)).some((text) => /^oom_kill [1-9]/m.test(text));
    },
    async remove() {
      for (const { folder } of folders) await removeEmpty(folder, kill);
    },
  };
}

/** The kernel lets go of a group a moment after its last process. */
async function removeEmpty(folder: string, kill: () => Promise<void>): Promise<void> {
  for (let attempt = 0; attempt < REMOVE_ATTEMPTS; attempt += 1) {
    try {
      return await rmdir(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY') throw error;
    }
    await kill();
    await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS));
  }
}
