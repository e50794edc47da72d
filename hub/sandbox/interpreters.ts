import { execFile } from 'node:child_process';
import { access, constants, readdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import semver from 'semver';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import { readElf } from './elf.ts';

/** The oldest that skills run with. */
export const OLDEST = { node: '20.19.0', python: '3.11.0' } as const;

/** A Node of this machine. */
export interface Node {
  /** Real path of the program. */
  file: string;
  version: string;
}

/** A Python of this machine, with what its standard library consists of. */
export interface Python extends Node {
  /** Folders of the standard library. */
  folders: readonly string[];
  /** Those of its modules that are libraries. */
  extensions: readonly string[];
  /** Folders in the standard library that hold packages of the machine, which are no skill's. */
  machinePackages: readonly string[];
}

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * What a file is as a Node, by running it.
 * @throws AppError `program-missing` for a file that is not there, is no program, or is too old.
 */
export async function nodeAt(path: string): Promise<Node> {
  const file = await programAt('Node', path);
  const version = await asked('Node', file, ['-p', 'process.versions.node']);
  return { file, version: recentEnough('Node', file, version.trim(), OLDEST.node) };
}

/**
 * Refuses a configuration that names interpreters which skills could not run with.
 * @throws AppError `config-invalid` naming the setting, its value and the remedy.
 */
export async function checkInterpreters(named: {
  node?: string | undefined;
  python?: string | undefined;
}): Promise<void> {
  const looks = { node: nodeAt, python: pythonAt };
  for (const key of ['node', 'python'] as const) {
    const path = named[key];
    if (path === undefined) continue;
    await looks[key](path).catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error;
      throw new AppError('config-invalid', {
        detail: `${key} = ${JSON.stringify(path)}: ${error.message}`,
        hint: `Name the program itself, ${OLDEST[key].replace(/\.0$/, '')} or newer, in "${key}" of hub.json, or leave the setting out.`,
        cause: error,
      });
    });
  }
}

const pythonFacts = z.object({ version: z.string(), folders: z.array(z.string()).max(8) });
const PYTHON_QUESTION =
  'import sys,sysconfig,json;p=sysconfig.get_path;print(json.dumps({"version":"%d.%d.%d"%sys.version_info[:3],"folders":[p("stdlib"),p("platstdlib")]}))';

/** The same for a Python. @throws AppError `program-missing`. */
export async function pythonAt(path: string): Promise<Python> {
  const file = await programAt('Python', path);
  const answer = await asked('Python', file, ['-I', '-S', '-c', PYTHON_QUESTION]);
  const facts = pythonFacts.safeParse(asJson(answer));
  if (!facts.success) throw unusable('Python', `${file} does not answer as a Python does`);
  const version = recentEnough('Python', file, facts.data.version, OLDEST.python);
  const folders = [...new Set(facts.data.folders)].filter(isAbsolute);
  const modules = folders.map((folder) => join(folder, 'lib-dynload'));
  const extensions = await Promise.all(
    modules.map(async (folder) =>
      (await readdir(folder).catch(() => []))
        .filter((name) => name.endsWith('.so'))
        .map((name) => join(folder, name)),
    ),
  );
  const packages = folders.flatMap((folder) => [
    join(folder, 'site-packages'),
    join(folder, 'dist-packages'),
  ]);
  const there = await Promise.all(packages.map(isFolder));
  return {
    file,
    version,
    folders,
    extensions: extensions.flat(),
    machinePackages: packages.filter((_folder, index) => there[index]),
  };
}

/**
 * The first Python on a PATH that is recent enough. Scripts that look for one, such as a version switcher's, are none.
 * @throws AppError `program-missing` saying what was found instead.
 */
export async function pythonOn(path: string): Promise<Python> {
  let found: AppError | undefined;
  for (const folder of path.split(':').filter(isAbsolute)) {
    const file = join(folder, 'python3');
    if (!(await isProgram(file))) continue;
    try {
      return await pythonAt(file);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      found ??= error;
    }
  }
  throw unusable(
    'Python',
    found === undefined ? 'there is no python3 on the PATH of the hub' : found.message.replace(/\.$/, ''),
  );
}

/** Whether a path leads to an executable that is a program and not a script. */
export async function isProgram(path: string): Promise<boolean> {
  const executable = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  return executable && (await readElf(path)) !== undefined;
}

async function programAt(what: string, path: string): Promise<string> {
  const file = await realpath(path).catch(() => undefined);
  if (file === undefined) throw unusable(what, `there is no file ${path}`);
  if (!(await isProgram(file))) throw unusable(what, `${path} is no program, but perhaps a script for one`);
  return file;
}

async function asked(what: string, file: string, args: readonly string[]): Promise<string> {
  try {
    const options = { env: {}, timeout: TIMEOUT_MS, maxBuffer: MAX_ANSWER_BYTES };
    return (await promisify(execFile)(file, args, options)).stdout;
  } catch (error) {
    throw unusable(what, `${file} does not run`, error);
  }
}

function recentEnough(what: string, file: string, version: string, oldest: string): string {
  if (semver.valid(version) !== null && semver.gte(version, oldest)) return version;
  const found = version.slice(0, 40);
  throw unusable(what, `${file} is ${what} ${found}, and skills need ${oldest.replace(/\.0$/, '')} or newer`);
}

function unusable(what: string, why: string, cause?: unknown): AppError {
  return new AppError('program-missing', {
    detail: `${why.charAt(0).toUpperCase()}${why.slice(1)}.`,
    hint: `Install ${what} ${OLDEST[what === 'Node' ? 'node' : 'python'].replace(/\.0$/, '')} or newer where the hub's PATH finds it, or name it with "${what.toLowerCase()}" in hub.json; then restart the hub.`,
    cause,
  });
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
