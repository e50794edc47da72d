import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { type ElfFile, readElf } from './elf.ts';

/** A host file or folder and where it appears, read-only. */
export interface RootEntry {
  source: string;
  target: string;
}

/**
 * The loader and every library that the files load at their start, each at the place where the
 * loader inside looks by itself: beside the C library. Of a package, whose author may be hostile, `within` is the
 * folder: what the files in it name outside of it counts only where loaders look anyway.
 * @throws AppError `skill-start-failed` for what is no 64-bit ELF file or needs what this machine lacks.
 */
export type LibrariesFor = (files: readonly string[], within?: string) => Promise<RootEntry[]>;

/** Where loaders look by themselves, in the layouts of the common distributions. */
const SYSTEM_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib', '/usr/local/lib'];
/** The loaders of glibc and musl: `/lib64/ld-linux-x86-64.so.2`, `/lib/ld-musl-x86_64.so.1`. */
const LOADER = /^\/(?:usr\/)?lib(?:64)?\/(?:[\w-]+\/)?ld-(?:linux|musl)[\w-]*\.so(?:\.\d+)?$/;
const MAX_LIBRARIES = 512;
const MAX_CONFIG_FILES = 64;

/** Looks at the machine's folders once. */
export function libraries(): LibrariesFor {
  let looked: Promise<string[]> | undefined;
  return async (files, within) => librariesFor(files, within, await (looked ??= libraryFolders()));
}

async function librariesFor(
  files: readonly string[],
  within: string | undefined,
  folders: readonly string[],
): Promise<RootEntry[]> {
  const found = new Map<string, string>();
  let interpreter: string | undefined;
  const waiting = [...files];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const elf = await readElf(file);
    if (elf === undefined) throw startFailed(`${basename(file)} is not a 64-bit ELF file`);
    if (isForeign(file, within) && elf.interpreter !== undefined && !LOADER.test(elf.interpreter))
      throw startFailed(`${basename(file)} names ${elf.interpreter} as its loader, which is none`);
    interpreter ??= elf.interpreter;
    for (const name of elf.needed.filter((one) => !found.has(one))) {
      const library = await findLibrary(name, elf, file, within, folders);
      if (library === undefined)
        throw startFailed(`${basename(file)} needs ${name}, which this machine lacks`);
      found.set(name, library);
      if (found.size > MAX_LIBRARIES) throw startFailed(`${basename(file)} needs too many libraries`);
      waiting.push(library);
    }
  }
  if (interpreter === undefined) return [];
  const cLibrary =
    found.get('libc.so.6') ?? [...found].find(([name]) => name.startsWith('libc.'))?.[1] ?? interpreter;
  const home = dirname(cLibrary);
  const entries = [...found].map(async ([name, file]) => ({
    source: await realpath(file),
    target: join(home, name),
  }));
  return [...(await Promise.all(entries)), { source: await realpath(interpreter), target: interpreter }];
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
