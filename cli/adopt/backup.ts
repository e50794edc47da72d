import { createHash } from 'node:crypto';
import { chmod, chown, lstat, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import { writeFileAtomically } from '../credentials.ts';
import { replacedConfigsDir } from '../home.ts';
import { shellWord } from '../shell-word.ts';

/** What has to be known to take a replacement back. */
const recordSchema = z.strictObject({
  config: z.string().max(4096),
  backup: z.string().max(4096),
  /** Digests of the settings before and after. */
  was: z.string().length(64),
  is: z.string().length(64),
  /** The client whose token was made for it; none where Berth's entry was there before. */
  client: z.string().max(80).optional(),
});
export type ReplacedConfig = z.output<typeof recordSchema>;

/**
 * Replaces the settings of a client: the old ones are copied beside them first, readable by this account alone, and
 * the new ones take their place whole or not at all, with the rights that they had.
 * @param read the bytes that `text` was made from; nothing is written when the file holds others by now.
 * @throws AppError `client-config-changed`.
 */
export async function replaceConfig(
  { home, now }: { home: string; now: Date },
  { path, read, text, client }: { path: string; read: Buffer; text: string; client: string | undefined },
): Promise<ReplacedConfig> {
  const config = await realpath(path);
  const backup = await keepCopy(`${config}.before-berth-${stampOf(now)}`, read);
  const record = {
    config,
    backup,
    was: digest(read),
    is: digest(text),
    ...(client === undefined ? {} : { client }),
  };
  try {
    await writeFileAtomically(recordPath(home, backup), `${JSON.stringify(record, undefined, 2)}\n`);
    await swap(config, read, text);
  } catch (error) {
    await rm(recordPath(home, backup), { force: true });
    await rm(backup, { force: true });
    throw error;
  }
  return record;
}

/** What is known about a backup. @throws AppError `usage-invalid` when this home made none of that name. */
export async function replacedConfig(home: string, backup: string): Promise<ReplacedConfig> {
  const path = await realpath(backup).catch(() => resolve(backup));
  try {
    return recordSchema.parse(JSON.parse(await readFile(recordPath(home, path), 'utf8')));
  } catch (error) {
    throw new AppError('usage-invalid', {
      detail: `${backup} is no backup that this home of Berth has made, or it was put back already.`,
      hint: 'Name the file that berth adopt --replace named, and the same --home.',
      cause: error,
    });
  }
}

/**
 * Puts the settings back byte for byte.
 * @throws AppError `client-config-changed` when they were changed after the replacement, `files-changed` when the
 *   backup is not what was kept.
 */
export async function restoreConfig(home: string, record: ReplacedConfig): Promise<void> {
  const { config, backup, was, is } = record;
  const kept = await readFile(backup).catch(() => undefined);
  if (kept === undefined || digest(kept) !== was) {
    throw new AppError('files-changed', {
      detail: `${backup} is not what was kept of ${config}; nothing was put back.`,
      hint: 'Look at both files and correct the settings by hand.',
    });
  }
  const current = await readFile(config).catch(() => undefined);
  if (current === undefined || digest(current) !== is) {
    throw new AppError('client-config-changed', {
      detail: `${config} was ${current === undefined ? 'removed' : 'changed'} after berth adopt had replaced it; nothing was put back.`,
      hint: `To lose that change: cp ${shellWord(backup)} ${shellWord(config)}`,
    });
  }
  await swap(config, current, kept);
  await rm(recordPath(home, backup), { force: true });
  await rm(backup, { force: true });
}

/** A copy under a name that is free. */
async function keepCopy(wanted: string, bytes: Buffer): Promise<string> {
  for (let count = 1; ; count += 1) {
    const path = count === 1 ? wanted : `${wanted}-${count}`;
    try {
      const file = await open(path, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || count === 100) throw error;
    }
  }
}

async function swap(path: string, before: Buffer, after: Buffer | string): Promise<void> {
  const { mode, uid, gid } = await stat(path);
  const partial = `${path}.${process.pid}.partial`;
  try {
    await writeFile(partial, after, { flag: 'wx', mode: 0o600, flush: true });
    if (process.getuid?.() === 0) await chown(partial, uid, gid);
    await chmod(partial, mode & 0o777);
    // Clients write their settings whenever they like: as late as possible it is seen whether this one did.
    if (!(await lstat(path)).isFile() || !(await readFile(path)).equals(before)) {
      throw new AppError('client-config-changed', {
        detail: `${path} was changed by somebody else meanwhile; nothing was replaced.`,
        hint: 'End the client, and run this again.',
      });
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

function recordPath(home: string, backup: string): string {
  return join(
    replacedConfigsDir(home),
    `${digest(backup).slice(0, 32)}-${basename(backup).slice(0, 100)}.json`,
  );
}

function stampOf(now: Date): string {
  return now.toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

function digest(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
