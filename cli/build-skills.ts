import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { asAppError } from '../protocol/errors.ts';
import { settingsOfProcess } from './config.ts';
import { packedSkillsDir, skillFolders } from './first-party.ts';
import { packSkill } from './pack.ts';
import { berthRoot } from './root.ts';
import { openSandbox } from './sandbox.ts';

/**
 * The last step of the build: puts `berth` into `node_modules/.bin`, where npm puts the commands of every package
 * but the one it builds, and packs Berth's own skills into `dist/skills`, as an author would.
 */
await linkCommand();
await packSkills();

async function linkCommand(): Promise<void> {
  const bin = join(berthRoot(), 'node_modules', '.bin');
  const link = join(bin, 'berth');
  await mkdir(bin, { recursive: true });
  await chmod(join(berthRoot(), 'cli', 'berth.js'), 0o755);
  await rm(link, { force: true });
  await symlink(join('..', '..', 'cli', 'berth.js'), link);
}

async function packSkills(): Promise<void> {
  // A build has no home; what the sandbox keeps is thrown away.
  const home = await mkdtemp(join(tmpdir(), 'berth-build-'));
  try {
    const settings = { ...settingsOfProcess(), home };
    const driver = await openSandbox({ home, settings });
    await rm(packedSkillsDir(), { recursive: true, force: true });
    const { usable, problem } = await driver.report();
    if (!usable) {
      // Not a failed build: `berth up` packs them once there is a sandbox.
      process.stderr.write(
        `Berth's own skills are not packed yet: ${problem?.detail ?? ''} ${problem?.hint ?? ''}\n`,
      );
      return;
    }
    await mkdir(packedSkillsDir(), { recursive: true });
    for (const folder of await skillFolders()) {
      const { archive, manifest } = await packSkill({ driver }, folder);
      await writeFile(join(packedSkillsDir(), `${basename(folder)}-${manifest.version}.tgz`), archive);
    }
  } catch (error) {
    const { title, message, hint, data } = asAppError(error);
    process.stderr.write(
      `${title}: ${message} ${hint ?? ''} ${data === undefined ? '' : JSON.stringify(data)}\n`,
    );
    process.exitCode = 1;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}
