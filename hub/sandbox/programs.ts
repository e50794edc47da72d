import { execFile } from 'node:child_process';
import { access, constants, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import { type ElfFile, readElf } from './elf.ts';

/** A host file or folder and where it appears, read-only. */
export interface RootEntry {
  source: string;
  target: string;
}

/** A program as the sandbox sees it: where it stands, and everything that it takes to run it. */
export interface SandboxProgram {
  path: string;
  entries: readonly RootEntry[];
}

/** Finds programs of this machine and the files that they need. Each answer is found once. */
export interface Programs {
  /** The Node that runs the hub. */
  node(): Promise<SandboxProgram>;
  /** The first real `python3` on the PATH, with its standard library. */
  python(): Promise<SandboxProgram>;
  /** A program by bare name, as a grant names it. */
  named(name: string): Promise<SandboxProgram>;
  /** What a binary of the package needs; it is in place already. */
  librariesOf(file: string): Promise<readonly RootEntry[]>;
}

/** Where loaders look by themselves, in the layouts of the common distributions. */
const SYSTEM_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib', '/usr/local/lib'];
/** Debian's Node keeps parts of itself here. */
const DISTRIBUTION_NODE_FILES = '/usr/share/nodejs';
const MAX_LIBRARIES = 512;
const MAX_CONFIG_FILES = 64;
const PYTHON_TIMEOUT_MS = 10_000;

/** @throws AppError `skill-start-failed` from each method, for a program that is missing or cannot be used. */
export function createPrograms({ path, node }: { path: string; node: string }): Programs {
  const folders = once(libraryFolders);
  const closure = async (files: readonly string[]) => librariesFor(files, await folders());

  const installed = new Map<string, () => Promise<SandboxProgram>>();
  const nodeProgram = once(async () => {
    const entries = await closure([node]);
    const more = (await exists(DISTRIBUTION_NODE_FILES)) ? [same(DISTRIBUTION_NODE_FILES)] : [];
    return {
      path: '/usr/bin/node',
      entries: [...entries, ...more, { source: await realpath(node), target: '/usr/bin/node' }],
    };
  });
  const pythonProgram = once(async () => pythonFrom(await firstElf('python3', path), closure));

  return {
    node: nodeProgram,
    python: pythonProgram,
    named(name) {
      const found =
        installed.get(name) ?? once(async () => namedProgram(name, await firstElf(name, path), closure));
      installed.set(name, found);
      return found();
    },
    librariesOf: (file) => closure([file]),
  };
}

async function namedProgram(name: string, file: string, closure: (files: string[]) => Promise<RootEntry[]>) {
  const target = `/usr/bin/${name}`;
  return { path: target, entries: [...(await closure([file])), { source: file, target }] };
}

const pythonFacts = z.object({ executable: z.string(), stdlib: z.string(), platstdlib: z.string() });
const PYTHON_QUESTION =
  'import sys,sysconfig,json;p=sysconfig.get_path;print(json.dumps({"executable":sys.executable,"stdlib":p("stdlib"),"platstdlib":p("platstdlib")}))';

/** The interpreter and its standard library stand where they stand outside, since it finds one from the other. */
async function pythonFrom(
  file: string,
  closure: (files: string[]) => Promise<RootEntry[]>,
): Promise<SandboxProgram> {
  const { stdout } = await promisify(execFile)(file, ['-I', '-S', '-c', PYTHON_QUESTION], {
    env: {},
    timeout: PYTHON_TIMEOUT_MS,
  });
  const { stdlib, platstdlib } = pythonFacts.parse(JSON.parse(stdout));
  const modules = join(platstdlib, 'lib-dynload');
  const extensions = (await readdir(modules).catch(() => [])).filter((name) => name.endsWith('.so'));
  const libraries = await closure([file, ...extensions.map((name) => join(modules, name))]);
  return { path: file, entries: [...libraries, ...[...new Set([stdlib, platstdlib])].map(same), same(file)] };
}

/** The first on the PATH that is a program and not a script that looks for one, such as a version switcher's. */
async function firstElf(name: string, path: string): Promise<string> {
  if (name.includes('/') || name === '' || name.startsWith('.')) throw missing(name, 'it is not a bare name');
  let script: string | undefined;
  for (const folder of path.split(':').filter(isAbsolute)) {
    const file = await realpath(join(folder, name)).catch(() => undefined);
    if (file === undefined || !(await isExecutable(file))) continue;
    if ((await readElf(file)) !== undefined) return file;
    script ??= file;
  }
  throw missing(name, script === undefined ? 'it is not on the PATH of the hub' : `${script} is a script`);
}

function missing(name: string, why: string): AppError {
  return new AppError('skill-start-failed', {
    detail: `The skill needs the program ${name}, and ${why}.`,
    hint: `Install ${name} where the hub's PATH finds it, then restart the hub.`,
  });
}

/**
 * The loader and every library that the files load at their start, each at the place where the
 * loader inside looks by itself: beside the C library.
 */
async function librariesFor(files: readonly string[], folders: readonly string[]): Promise<RootEntry[]> {
  const found = new Map<string, string>();
  let interpreter: string | undefined;
  const waiting = [...files];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const elf = await readElf(file);
    if (elf === undefined)
      throw new AppError('skill-start-failed', { detail: `${basename(file)} is not a 64-bit ELF file.` });
    interpreter ??= elf.interpreter;
    for (const name of elf.needed.filter((one) => !found.has(one))) {
      const library = await findLibrary(name, elf, file, folders);
      if (library === undefined) {
        throw new AppError('skill-start-failed', {
          detail: `${basename(file)} needs ${name}, which this machine lacks.`,
        });
      }
      found.set(name, library);
      if (found.size > MAX_LIBRARIES)
        throw new AppError('skill-start-failed', { detail: `${basename(file)} needs too many libraries.` });
      waiting.push(library);
    }
  }
  if (interpreter === undefined) return [];
  const cLibrary =
    found.get('libc.so.6') ?? [...found].find(([name]) => name.startsWith('libc.'))?.[1] ?? interpreter;
  const home = dirname(cLibrary);
  const libraries = [...found].map(async ([name, file]) => ({
    source: await realpath(file),
    target: join(home, name),
  }));
  return [...(await Promise.all(libraries)), { source: await realpath(interpreter), target: interpreter }];
}

async function findLibrary(
  name: string,
  elf: ElfFile,
  file: string,
  folders: readonly string[],
): Promise<string | undefined> {
  if (name.includes('/')) return undefined;
  const origin = dirname(await realpath(file));
  const first = elf.runPath
    .map((folder) => folder.replaceAll(/\$ORIGIN|\$\{ORIGIN\}/g, origin))
    .filter(isAbsolute);
  for (const folder of [...first, ...folders]) {
    const candidate = join(folder, name);
    if ((await readElf(candidate))?.machine === elf.machine) return candidate;
  }
  return undefined;
}

/** The loader's own folders, those of `ld.so.conf`, and Debian's one per architecture. */
async function libraryFolders(): Promise<string[]> {
  const configs = (await readdir('/etc/ld.so.conf.d').catch(() => [])).slice(0, MAX_CONFIG_FILES);
  const texts = await Promise.all(
    configs.map((name) => readFile(join('/etc/ld.so.conf.d', name), 'utf8').catch(() => '')),
  );
  const configured = texts.flatMap((text) => text.split('\n').map((line) => line.trim())).filter(isAbsolute);
  const multiarch = configured.filter((folder) => folder.endsWith('-linux-gnu'));
  return [...new Set([...multiarch, ...SYSTEM_FOLDERS, ...configured])];
}

function same(path: string): RootEntry {
  return { source: path, target: path };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Runs the work at the first call; a failure is not remembered. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return () => {
    started ??= work().catch((error: unknown) => {
      started = undefined;
      throw error;
    });
    return started;
  };
}
