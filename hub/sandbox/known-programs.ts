import { execFile } from 'node:child_process';
import { readdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { readElf } from './elf.ts';
import type { RootEntry } from './libraries.ts';

/** What a program brings beside itself and its libraries. */
export interface Belongings {
  /** Further executables that are parts of it, at the place where it looks for them. */
  programs: readonly RootEntry[];
  /** Folders with files that it reads, at the same place as outside. */
  folders: readonly string[];
}

const NOTHING: Belongings = { programs: [], folders: [] };
const TIMEOUT_MS = 10_000;

/**
 * Programs that are more than one file. What is not listed here is its one file and the libraries that it loads: a
 * program that needs more has to be given it by a grant of a folder.
 */
const KNOWN: Readonly<Record<string, (file: string) => Promise<Belongings>>> = { git: gitBelongings };

/** What belongs to a program of this name; nothing for one that is not known. */
export async function belongings(name: string, file: string): Promise<Belongings> {
  return Object.hasOwn(KNOWN, name) ? ((await KNOWN[name]?.(file)) ?? NOTHING) : NOTHING;
}

/**
 * Git runs itself again from its own folder, and its helpers for web addresses from there. The parts of it that are
 * scripts stay out, for there is no shell to run them; so does what makes a machine a server.
 */
const GIT_HELPERS = ['git', 'git-remote-http', 'git-remote-https'];

async function gitBelongings(file: string): Promise<Belongings> {
  const { stdout } = await promisify(execFile)(file, ['--exec-path'], { env: {}, timeout: TIMEOUT_MS });
  const home = stdout.trim();
  if (!isAbsolute(home)) return NOTHING;
  const names = (await readdir(home).catch(() => [])).filter((name) => GIT_HELPERS.includes(name));
  const programs = await Promise.all(
    names.map(async (name): Promise<RootEntry[]> => {
      const source = await realpath(join(home, name)).catch(() => undefined);
      const usable = source !== undefined && (await readElf(source)) !== undefined;
      return usable ? [{ source, target: join(home, name) }] : [];
    }),
  );
  const templates = join(home, '..', '..', 'share', 'git-core', 'templates');
  return { programs: programs.flat(), folders: (await isFolder(templates)) ? [templates] : [] };
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
