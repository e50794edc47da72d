import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import { packSkill } from './pack.ts';
import { berthRoot } from './root.ts';

/** Where the build puts Berth's own skills, packed. */
export const packedSkillsDir = (): string => join(berthRoot(), 'dist', 'skills');

/** The folders of Berth's own skills. */
export async function skillFolders(): Promise<string[]> {
  const root = join(berthRoot(), 'skills');
  if (!existsSync(root)) return [];
  const names = await readdir(root);
  return names
    .toSorted()
    .map((name) => join(root, name))
    .filter((folder) => existsSync(join(folder, 'skill.json')));
}

/**
 * Berth's own skills as archives: those that the build packed, or packed now where it could not.
 * @throws AppError as `packSkill`, when nothing was built and no sandbox is usable.
 */
export async function firstPartyArchives(openDriver: () => Promise<SandboxDriver>): Promise<Buffer[]> {
  const built = existsSync(packedSkillsDir())
    ? (await readdir(packedSkillsDir())).filter((name) => name.endsWith('.tgz')).toSorted()
    : [];
  const folders = await skillFolders();
  if (built.length >= folders.length && built.length > 0) {
    return Promise.all(built.map((name) => readFile(join(packedSkillsDir(), name))));
  }
  const driver = await openDriver();
  const archives: Buffer[] = [];
  for (const folder of folders) archives.push((await packSkill({ driver }, folder)).archive);
  return archives;
}
