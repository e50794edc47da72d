import { chmod, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder } from './temp-folder.ts';

/** A PATH with everything that the sandbox needs but the one program that hosts take, or with this script in its place. */
export async function pathWithNsenter(script: string | undefined): Promise<string> {
  const folder = await tempFolder();
  await chmod(folder, 0o755);
  for (const name of ['bwrap', 'sh', 'grep', 'prlimit', 'setpriv', 'mknod']) {
    await symlink(await which(name), join(folder, name));
  }
  if (script !== undefined) await writeFile(join(folder, 'nsenter'), script, { mode: 0o755 });
  return folder;
}

async function which(name: string): Promise<string> {
  // Where a hub on this machine would look.
  const { PATH = '' } = process.env; // oxlint-disable-line node/no-process-env
  for (const folder of PATH.split(':'))
    if ((await stat(join(folder, name)).catch(() => undefined)) !== undefined) return join(folder, name);
  throw new Error(`${name} is not on the PATH`);
}
