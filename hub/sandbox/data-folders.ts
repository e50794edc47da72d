import { mkdir } from 'node:fs/promises';
import { AppError } from '../../protocol/errors.ts';
import { ownerOf, type Standing } from './accounts.ts';
import { handOver } from './mounts.ts';
import type { SandboxPlan } from './sandbox.ts';

/** Folders below `${data}` that a manifest names are the hub's to make. */
export async function makeDataMounts({ dataDir, mounts }: SandboxPlan): Promise<void> {
  for (const { root, source } of mounts) {
    if (dataDir !== undefined && root === dataDir) await mkdir(source, { recursive: true, mode: 0o700 });
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
