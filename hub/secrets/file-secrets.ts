import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import type { Secrets } from './secrets.ts';

const FILE = z.record(z.string(), z.string());

/**
 * Secrets as one file a skill, readable by the hub's account alone (0600 in a 0700 folder). They are not
 * encrypted: a key beside them would protect from nobody who can read the folder. What a killed hub left of skills
 * that are not `installed` is removed.
 */
export async function fileSecrets(folder: string, installed: ReadonlySet<string>): Promise<Secrets> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const kept = new Map<string, ReadonlyMap<string, string>>();
  for (const file of await readdir(folder)) {
    const skill = file.replace(/\.json$/, '').replace('__', '/');
    if (!installed.has(skill)) {
      await rm(join(folder, file), { recursive: true });
      continue;
    }
    kept.set(skill, new Map(Object.entries(await readSecrets(join(folder, file)))));
  }
  const fileOf = (skill: string) => join(folder, `${skill.replace('/', '__')}.json`);
  return {
    of: (skill) => kept.get(skill) ?? new Map(),
    async keep(skill, values) {
      const all = new Map([...(kept.get(skill) ?? []), ...Object.entries(values)]);
      await writeDurably(fileOf(skill), JSON.stringify(Object.fromEntries(all)));
      kept.set(skill, all);
    },
    async forget(skill) {
      await rm(fileOf(skill), { force: true });
      kept.delete(skill);
    },
  };
}

async function readSecrets(path: string): Promise<Record<string, string>> {
  try {
    return FILE.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw new AppError('config-invalid', {
      detail: `The secrets in ${path} cannot be read.`,
      hint: 'Restore the file from a backup, or remove it and give the secrets again.',
      cause: error,
    });
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
