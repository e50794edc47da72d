import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../protocol/errors.ts';
import { isProgram, nodeAt, type Python, pythonAt, pythonOn } from './interpreters.ts';
import { belongings } from './known-programs.ts';
import { libraries, type LibrariesFor, type RootEntry } from './libraries.ts';
import type { HostFile, SandboxPlan } from './sandbox.ts';

/** A program as the sandbox sees it: where it stands, and everything that it takes to run it. */
export interface SandboxProgram {
  /** Inside. */
  path: string;
  /** Real path on the host. */
  file: string;
  entries: readonly RootEntry[];
}

/** Finds programs of this machine and the files that they need. Each answer is found once, and again when it is gone. */
export interface Programs {
  /** The Node that skills run with. */
  node(): Promise<SandboxProgram & { version: string }>;
  /** The Python that skills run with, with its standard library and without the machine's packages. */
  python(): Promise<SandboxProgram & { version: string }>;
  /** A program by bare name, as a grant names it. */
  named(name: string): Promise<SandboxProgram>;
  /** What a binary of the package needs of this machine; it is in place already. */
  librariesOf(file: string, packageDir: string): Promise<readonly RootEntry[]>;
  /** The same for all compiled modules of a package; what one needs and this machine lacks is left out. */
  librariesOfModules(packageDir: string): Promise<readonly RootEntry[]>;
}

/** Debian's Node keeps parts of itself here. */
const DISTRIBUTION_NODE_FILES = '/usr/share/nodejs';
/** `python`, `python3.12`: more than one file, whatever it is called. */
const PYTHON_NAME = /^python(?:3(?:\.\d+)?)?$/;
const COMPILED_MODULE = /\.so(?:\.\d+)*$/;
const MAX_MODULES = 2000;

export interface ProgramOptions {
  /** Where programs are looked up, in the form of `PATH`. */
  path: string;
  /** The Node that skills run with. */
  node: string;
  /** The Python that skills run with; absent: the first of the PATH that is recent enough. */
  python?: string | undefined;
  /** An empty folder, to put in the place of what is not for skills. */
  emptyDir: string;
}

/** @throws AppError `program-missing` or `skill-start-failed` from each method, for what is missing or cannot be used. */
export function createPrograms({ path, node, python, emptyDir }: ProgramOptions): Programs {
  const closure = libraries();
  const nodeProgram = once(async () => {
    const { file, version } =
      node === process.execPath
        ? { file: await realpath(node), version: process.versions.node }
        : await nodeAt(node);
    const more = (await exists(DISTRIBUTION_NODE_FILES)) ? [same(DISTRIBUTION_NODE_FILES)] : [];
    return {
      path: '/usr/bin/node',
      file,
      version,
      entries: [...(await closure([file])), ...more, { source: file, target: '/usr/bin/node' }],
    };
  });
  /** The interpreter and its standard library stand where they stand outside, since it finds one from the other. */
  const withLibrary = async (found: Python) => {
    const covered = found.machinePackages.map((target) => ({ source: emptyDir, target }));
    const entries = [
      ...(await closure([found.file, ...found.extensions])),
      ...found.folders.map(same),
      ...covered,
      same(found.file),
    ];
    return { path: found.file, file: found.file, version: found.version, entries };
  };
  const pythonProgram = once(async () =>
    withLibrary(python === undefined ? await pythonOn(path) : await pythonAt(python)),
  );
  const named = async (name: string): Promise<SandboxProgram> => {
    const target = `/usr/bin/${name}`;
    if (name === 'node') return nodeProgram();
    if (PYTHON_NAME.test(name)) {
      const { file, entries } =
        name === 'python3'
          ? await pythonProgram()
          : await withLibrary(await pythonAt(await firstProgram(name, path)));
      return { path: target, file, entries: [...entries, { source: file, target }] };
    }
    const file = await firstProgram(name, path);
    const { programs, folders } = await belongings(name, file);
    const entries = await closure([file, ...programs.map(({ source }) => source)]);
    return {
      path: target,
      file,
      entries: [...entries, ...programs, ...folders.map(same), { source: file, target }],
    };
  };
  const known = new Map<string, () => Promise<SandboxProgram>>();
  return {
    node: nodeProgram,
    python: pythonProgram,
    async named(name) {
      const found = known.get(name) ?? once(() => named(name));
      known.set(name, found);
      const program = await found();
      if (await isProgram(program.file)) return program;
      // It was taken away, or lies elsewhere by now.
      known.delete(name);
      return named(name);
    },
    librariesOf: (file, packageDir) => librariesOfBinary(closure, file, packageDir),
    librariesOfModules: async (packageDir) =>
      librariesOfModules(closure, (await pythonProgram()).file, packageDir),
  };
}

/** By real paths, so that what lies in the package is known for it. */
async function librariesOfBinary(
  closure: LibrariesFor,
  file: string,
  packageDir: string,
): Promise<readonly RootEntry[]> {
  return closure([await realpath(file)], { within: await realpath(packageDir) });
}

async function librariesOfModules(
  closure: LibrariesFor,
  interpreter: string,
  packageDir: string,
): Promise<readonly RootEntry[]> {
  const within = await realpath(packageDir);
  const found = await readdir(within, { recursive: true });
  const modules = found.filter((path) => COMPILED_MODULE.test(path)).slice(0, MAX_MODULES);
  if (modules.length === 0) return [];
  // With the interpreter, whose C library says where the others have to lie.
  return closure([interpreter, ...modules.map((path) => join(within, path))], { within, lenient: true });
}

/** The first on the PATH that is a program and not a script that looks for one, such as a version switcher's. */
async function firstProgram(name: string, path: string): Promise<string> {
  if (name.includes('/') || name === '' || name.startsWith('.')) throw missing(name, 'it is not a bare name');
  let script: string | undefined;
  for (const folder of path.split(':').filter(isAbsolute)) {
    const file = await realpath(join(folder, name)).catch(() => undefined);
    if (file === undefined || !(await stat(file)).isFile()) continue;
    if (await isProgram(file)) return file;
    script ??= file;
  }
  throw missing(
    name,
    script === undefined ? 'it is not on the PATH of the hub' : `${script} is no program, but a script`,
  );
}

function missing(name: string, why: string): AppError {
  return new AppError('program-missing', {
    detail: `The skill needs the program ${name}, and ${why}.`,
    hint: `Install ${name} where the hub's PATH finds it, then restart the hub.`,
  });
}

/**
 * What of this machine a plan runs: the programs that were granted, each with its digest, its interpreter, and the
 * libraries of a binary that its package does not bring.
 * @throws AppError `program-missing`, `skill-start-failed`.
 */
export async function hostFilesOf(
  programs: Programs,
  plan: Pick<SandboxPlan, 'packageDir' | 'runtime' | 'programs'>,
): Promise<HostFile[]> {
  const granted = plan.programs.map(async (name): Promise<HostFile> => {
    const { file } = await programs.named(name);
    return { role: 'program', name, path: file, digest: await digestOfFile(file) };
  });
  return [...(await runtimeFiles(programs, plan)), ...(await Promise.all(granted))];
}

async function runtimeFiles(
  programs: Programs,
  { packageDir, runtime }: Pick<SandboxPlan, 'packageDir' | 'runtime'>,
): Promise<HostFile[]> {
  if (runtime.kind === 'binary') {
    const entries = await programs.librariesOf(join(packageDir, runtime.entry), packageDir);
    return entries.map(({ source, target }) => ({ role: 'library', name: basename(target), path: source }));
  }
  const { file, version } = await programs[runtime.kind]();
  return [{ role: 'runtime', name: runtime.kind === 'node' ? 'Node' : 'Python', version, path: file }];
}

async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return `sha256:${hash.digest('hex')}`;
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
