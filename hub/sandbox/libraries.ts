import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { type ElfFile, processorOf, readElf } from './elf.ts';

/** A host file or folder and where it appears, read-only. */
export interface RootEntry {
  source: string;
  target: string;
}

/** Files of a package: where they come from, and what is made of a fault. */
export interface Foreign {
  /**
   * Real path of the package's folder. Its author may be hostile: what the files in it name outside of it counts only
   * where loaders look anyway. The libraries that it brings are in place already and not listed.
   */
  within?: string;
  /** Leaves out what is missing or no program, for it may never be loaded. */
  lenient?: boolean;
}

/**
 * The loader and every library that the files load at their start, each at the place where the
 * loader inside looks by itself: beside the C library.
 * @throws AppError `skill-start-failed` for what is no 64-bit ELF file or needs what this machine lacks.
 */
export type LibrariesFor = (files: readonly string[], foreign?: Foreign) => Promise<RootEntry[]>;

/** Where loaders look by themselves, in the layouts of the common distributions. */
const SYSTEM_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib', '/usr/local/lib'];
/** The loaders of glibc and musl: `/lib64/ld-linux-x86-64.so.2`, `/lib/ld-musl-x86_64.so.1`. */
const LOADER = /^\/(?:usr\/)?lib(?:64)?\/(?:[\w-]+\/)?ld-(?:linux|musl)[\w-]*\.so(?:\.\d+)?$/;
const MAX_LIBRARIES = 512;
const MAX_CONFIG_FILES = 64;

/** Looks at the machine's folders once. */
export function libraries(): LibrariesFor {
  let looked: Promise<string[]> | undefined;
  return async (files, foreign = {}) => librariesFor(files, foreign, await (looked ??= libraryFolders()));
}

async function librariesFor(
  files: readonly string[],
  { within, lenient = false }: Foreign,
  folders: readonly string[],
): Promise<RootEntry[]> {
  const found = new Map<string, string>();
  let interpreter: string | undefined;
  const waiting = [...files];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const elf = await readElf(file);
    if (elf === undefined && lenient) continue;
    if (elf === undefined) throw startFailed(`${basename(file)} is not a 64-bit ELF file`);
    const foreign = isForeign(file, within);
    if (foreign && !lenient) refuseForeign(basename(file), elf);
    if (!foreign || !lenient) interpreter ??= elf.interpreter;
    for (const name of elf.needed.filter((one) => !found.has(one))) {
      const library = await findLibrary(name, elf, file, within, folders);
      if (library === undefined && lenient) continue;
      if (library === undefined)
        throw startFailed(`${basename(file)} needs ${name}, which this machine lacks`);
      found.set(name, library);
      if (found.size > MAX_LIBRARIES) throw startFailed(`${basename(file)} needs too many libraries`);
      waiting.push(library);
    }
  }
  if (interpreter === undefined) return [];
  const machines = [...found].filter(([, file]) => !isForeign(file, within));
  const cLibrary = machines.find(([name]) => name.startsWith('libc.'))?.[1] ?? interpreter;
  const home = dirname(cLibrary);
  const entries = machines.map(async ([name, file]) => ({
    source: await realpath(file),
    target: join(home, name),
  }));
  return [...(await Promise.all(entries)), { source: await realpath(interpreter), target: interpreter }];
}

/** A package's program gets no file of the machine by calling it its loader. */
function refuseForeign(name: string, elf: ElfFile): void {
  if (elf.interpreter !== undefined && !LOADER.test(elf.interpreter))
    throw startFailed(`${name} names ${elf.interpreter} as its loader, which is none`);
  const processor = processorOf(elf) ?? `ELF machine ${elf.machine}`;
  if (processor !== process.arch)
    throw startFailed(
      `${name} is a program for another processor (${processor}) than this one, ${process.arch}`,
    );
}

function startFailed(what: string): AppError {
  return new AppError('skill-start-failed', { detail: `${what}.` });
}

/** Whether somebody else wrote it, and may have written it to get at files of this machine. */
function isForeign(file: string, within: string | undefined): within is string {
  return within !== undefined && isWithin(file, within);
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

async function findLibrary(
  name: string,
  elf: ElfFile,
  file: string,
  within: string | undefined,
  folders: readonly string[],
): Promise<string | undefined> {
  if (name.includes('/')) return undefined;
  const origin = dirname(await realpath(file));
  const own = elf.runPath
    .map((folder) => normalize(folder.replaceAll(/\$ORIGIN|\$\{ORIGIN\}/g, origin)))
    .filter(isAbsolute);
  const first = isForeign(file, within) ? own.filter((folder) => isWithin(folder, within)) : own;
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
