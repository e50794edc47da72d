import { constants, lchown, mkdir, open, stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { ownerOf, type Standing } from './accounts.ts';
import { O_PATH } from './folder-identity.ts';
import { handOver } from './mounts.ts';
import type { SandboxPlan } from './sandbox.ts';

/**
 * Folders below `${data}` that a manifest names are the hub's to make, for whoever has the data folder now. What is in
 * there is the skill's work: each step goes from a folder that is held open, and none through a link.
 * @throws AppError `binding-refused` where something else than a folder is in the way.
 */
export async function makeDataMounts({ dataDir, mounts }: SandboxPlan): Promise<void> {
  for (const { root, source } of mounts) {
    if (dataDir === undefined || root !== dataDir || source === dataDir) continue;
    const { uid, gid } = await stat(dataDir);
    let at = await open(dataDir, O_PATH | constants.O_DIRECTORY);
    try {
      for (const name of relative(dataDir, source).split(sep)) {
        const step = `/proc/self/fd/${at.fd}/${name}`;
        if (await made(step)) await lchown(step, uid, gid);
        const next = await open(step, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW).catch(
          (cause) => {
            throw new AppError('binding-refused', {
              detail: `${name} in the data folder ${dataDir} is no folder.`,
              hint: 'Look at what the skill has put there, and remove it.',
              cause,
            });
          },
        );
        await at.close();
        at = next;
      }
    } finally {
      await at.close();
    }
  }
}

async function made(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Who runs in which data folder now. */
export interface DataFolders {
  /**
   * The data folder belongs to whoever runs in it. It changes hands only while nobody does; the answer is to be called
   * when this one is gone.
   * @throws AppError `skill-start-failed` while it is another's.
   */
  enter(plan: SandboxPlan, standing: Standing): Promise<() => void>;
}

/** The data folders of one driver. */
export function createDataFolders(): DataFolders {
  const folders = new Map<string, { uid: number; users: number }>();
  return {
    async enter({ dataDir, mounts, label }, standing) {
      const owner = ownerOf(standing);
      if (owner === undefined || dataDir === undefined || !mounts.some(({ root }) => root === dataDir))
        return () => undefined;
      const there = folders.get(dataDir) ?? { uid: owner.uid, users: 0 };
      if (there.users > 0 && there.uid !== owner.uid) {
        throw new AppError('skill-start-failed', {
          detail: `${label} still runs under another account, from before its grants changed.`,
          hint: 'Try again when that process has ended.',
        });
      }
      there.uid = owner.uid;
      there.users += 1;
      folders.set(dataDir, there);
      const leave = () => {
        there.users -= 1;
        if (there.users === 0) folders.delete(dataDir);
      };
      try {
        await handOver(dataDir, owner);
        return leave;
      } catch (error) {
        leave();
        throw error;
      }
    },
  };
}
