import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import { ARCHIVE_LIMITS } from '../protocol/archive.ts';
import { AppError } from '../protocol/errors.ts';
import { addFile, addTree, exists, type PackageFiles, refuseUnlessFile } from './project-files.ts';
import { LOCK_FILE, type LockedRequirement, readRequirements } from './requirements-lock.ts';
import { misfit, readWheel, readWheelName, type Target, wheelFault, type WheelName } from './wheels.ts';

/** The folder of the project that holds the wheels, and the one that pack makes of them, beside the entry. */
const WHEELS = 'wheels';
const SITE = 'site';
const LOCK_MAX_BYTES = 4 * 1024 * 1024;
const BYTECODE = /(?:^|\/)__pycache__\/|\.pyc$/;

/**
 * Adds what a Python skill runs: the modules in the folder of its entry, and the packages of `wheels/`, each of which
 * has to be in `requirements.lock` with its digest. Nothing is downloaded, and no installer runs. Bytecode stays out:
 * what runs is what can be read.
 * @throws AppError `pack-failed`, `archive-too-large`.
 */
export async function addPython(
  files: PackageFiles,
  project: string,
  entry: string,
  driver: Pick<SandboxDriver, 'hostFiles'>,
): Promise<void> {
  await refuseUnlessFile(project, entry, 'runtime.entry');
  for (const path of [...files.keys()]) if (BYTECODE.test(path)) files.delete(path);
  const folder = posix.dirname(entry);
  const site = folder === '.' ? SITE : `${folder}/${SITE}`;
  if ((await exists(join(project, site))) || [...files.keys()].some((path) => path.startsWith(`${site}/`)))
    throw new AppError('pack-failed', {
      detail: `${site} is the folder that packages are put into, and the project has one of its own.`,
      hint: `Put the packages as wheels into ${WHEELS}/, with their digests in ${LOCK_FILE}, and remove the folder.`,
    });
  if (folder === '.') await addFile(files, project, entry);
  else await addTree(files, project, folder, (path) => path.endsWith('.py'));
  await addFile(files, project, entry);
  await addSite(files, project, site, driver, entry);
}

async function addSite(
  files: PackageFiles,
  project: string,
  site: string,
  driver: Pick<SandboxDriver, 'hostFiles'>,
  entry: string,
): Promise<void> {
  const locked = await readLock(project);
  const names = (await readdir(join(project, WHEELS)).catch(() => [])).filter(
    (name) => !name.startsWith('.'),
  );
  if (locked === undefined && names.length === 0) return;
  if (locked === undefined)
    throw new AppError('pack-failed', {
      detail: `There are wheels in ${WHEELS}/, and no ${LOCK_FILE} that says what they have to be.`,
      hint: `Make it with: pip-compile --generate-hashes -o ${LOCK_FILE}`,
    });
  await addFile(files, project, LOCK_FILE);
  const wheels = names.toSorted().map(readWheelName);
  refuseMissing(locked, wheels);
  const target = await targetOf(driver, project, entry);
  for (const wheel of wheels) {
    const why = misfit(wheel, target);
    if (why !== undefined) throw wheelFault(wheel.file, why);
    for (const file of await readWheel(wheel.file, await lockedBytes(project, wheel, locked), site)) {
      const before = files.get(file.path);
      if (before !== undefined && !Buffer.from(before.bytes).equals(Buffer.from(file.bytes)))
        throw wheelFault(wheel.file, `brings another ${file.path} than a wheel before it`);
      files.set(file.path, file);
    }
  }
}

async function readLock(project: string): Promise<LockedRequirement[] | undefined> {
  if (!(await exists(join(project, LOCK_FILE)))) return undefined;
  await refuseUnlessFile(project, LOCK_FILE, LOCK_FILE);
  if ((await lstat(join(project, LOCK_FILE))).size > LOCK_MAX_BYTES)
    throw new AppError('archive-too-large', { detail: `${LOCK_FILE} is larger than any lock.` });
  return readRequirements(await readFile(join(project, LOCK_FILE), 'utf8'));
}

function refuseMissing(locked: readonly LockedRequirement[], wheels: readonly WheelName[]): void {
  const missing = locked.filter(
    ({ name, conditional }) => !conditional && !wheels.some((wheel) => wheel.name === name),
  );
  if (missing.length === 0) return;
  throw new AppError('pack-failed', {
    detail: `${WHEELS}/ has no wheel of ${missing.map(({ name, version }) => `${name} ${version}`).join(', ')}.`,
    hint: `Fetch them with: pip download --require-hashes --only-binary=:all: --no-deps -r ${LOCK_FILE} -d ${WHEELS}`,
  });
}

/** The bytes of a wheel, if they are those that were locked. */
async function lockedBytes(
  project: string,
  wheel: WheelName,
  locked: readonly LockedRequirement[],
): Promise<Buffer> {
  const path = `${WHEELS}/${wheel.file}`;
  await refuseUnlessFile(project, path, path);
  if ((await lstat(join(project, path))).size > ARCHIVE_LIMITS.unpackedBytes)
    throw new AppError('archive-too-large', { detail: `${path} is larger than a package may be.` });
  const requirement = locked.find(({ name }) => name === wheel.name);
  if (requirement === undefined || requirement.version !== wheel.version)
    throw wheelFault(wheel.file, `is not in ${LOCK_FILE} in this version`);
  const bytes = await readFile(join(project, path));
  if (!requirement.hashes.has(createHash('sha256').update(bytes).digest('hex')))
    throw wheelFault(wheel.file, `does not have a digest that ${LOCK_FILE} names for it`);
  return bytes;
}

/** What the package will be started with here, once it is packed. */
async function targetOf(
  driver: Pick<SandboxDriver, 'hostFiles'>,
  packageDir: string,
  entry: string,
): Promise<Target> {
  const runtime = { kind: 'python', entry, args: [] } as const;
  const found = await driver.hostFiles({ packageDir, runtime, programs: [] });
  const python = found.find(({ role }) => role === 'runtime')?.version ?? '';
  return { python, arch: process.arch };
}
