import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { create as createTar } from 'tar';
import { PLAIN_FILES } from './launch.ts';
import { isAlive, type ProcessIdentity } from './processes.ts';

/** Podman with a store of our own, in which there is one empty image and what this home's hubs run. */
export interface Podman {
  program: string;
  /** Options that stand before every command: the store is ours alone. */
  options: readonly string[];
  env: Readonly<Record<string, string>>;
  image: string;
  /** A folder in memory, private to this account. */
  runDir: string;
  /** Runs a command and answers with what it printed. @throws what podman said. */
  run(label: string, ...args: string[]): Promise<string>;
  newName(): string;
  /** Ends and removes the containers of hubs that are gone; answers with how many. */
  sweep(): Promise<number>;
}

/** How podman names itself while it works for a hub; other than a sandbox, it is not to be killed when the hub is gone. */
export function podmanMark(hub: ProcessIdentity, label: string): string {
  return `berth-podman:${hub.pid}:${hub.startTime}:${label}`;
}

interface PodmanOptions {
  program: string;
  /** `PATH` for podman and its helpers. */
  path: string;
  stateDir: string;
  runtime: string | undefined;
  hub: ProcessIdentity;
}

const COMMAND_TIMEOUT_MS = 20_000;
const MAX_PRINTED_CHARS = 256 * 1024;
const CONTAINER_NAME = /^berth-(\d+)-(\d+)-/;
/** Where mounts are put that are no file's, with the modes that runtimes copy to what they mount there. */
const FOLDERS = { proc: 0o755, sys: 0o755, dev: 0o755, etc: 0o755, run: 0o755, skill: 0o755, tmp: 0o1777 };

/** Opens the store and makes the image. @throws what podman or the system said. */
export async function openPodman({ program, path, stateDir, runtime, hub }: PodmanOptions): Promise<Podman> {
  const store = join(stateDir, 'containers');
  await mkdir(store, { recursive: true, mode: 0o700 });
  const runDir = await privateRunDir(store);
  // The settings of this machine's own containers, such as mounts for all of them, are not for skills.
  const settings = join(stateDir, 'containers.conf');
  await writeFile(settings, '', { mode: 0o600 });
  const options = [
    ...['--root', store, '--runroot', runDir, '--storage-driver', 'vfs', '--events-backend', 'none'],
    ...['--tmpdir', join(runDir, 'tmp'), '--cgroup-manager', 'cgroupfs'],
    ...(runtime === undefined ? [] : ['--runtime', runtime]),
  ];
  const env = {
    PATH: path,
    HOME: stateDir,
    XDG_RUNTIME_DIR: runDir,
    TMPDIR: runDir,
    CONTAINERS_CONF: settings,
  };
  const run = (label: string, ...args: string[]): Promise<string> =>
    printed(spawn(program, [...options, ...args], commandOptions(podmanMark(hub, label), env)));
  return {
    program,
    options,
    env,
    runDir,
    run,
    image: await makeImage(run, runDir),
    newName: () => `berth-${hub.pid}-${hub.startTime}-${randomUUID()}`,
    async sweep() {
      let ended = 0;
      for (const name of (await run('sweep', 'ps', '--all', '--format', '{{.Names}}')).split('\n')) {
        const [, pid, startTime] = CONTAINER_NAME.exec(name) ?? [];
        if (pid === undefined || startTime === undefined) continue;
        if (await isAlive({ pid: Number(pid), startTime })) continue;
        await run('sweep', 'rm', '--force', '--time', '0', name);
        ended += 1;
      }
      return ended;
    },
  };
}

function commandOptions(argv0: string, env: Readonly<Record<string, string>>): SpawnOptions {
  return { argv0, cwd: '/', env, timeout: COMMAND_TIMEOUT_MS, stdio: ['ignore', 'pipe', 'pipe'] };
}

/** What a command printed. @throws Error with what it said where it failed. */
async function printed(child: ChildProcess): Promise<string> {
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.on(
      'data',
      (chunk) => (texts[name] = (texts[name] + String(chunk)).slice(-MAX_PRINTED_CHARS)),
    );
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code === 0) return texts.stdout.trim();
  throw new Error(texts.stderr.trim() || `podman ended with ${String(code)}`);
}

/** The image of every container: folders to mount on, and files that say nothing about the host. No registry is asked. */
async function makeImage(run: Podman['run'], runDir: string): Promise<string> {
  const digest = createHash('sha256')
    .update(JSON.stringify([FOLDERS, PLAIN_FILES]))
    .digest('hex');
  const name = `localhost/berth-empty:${digest.slice(0, 16)}`;
  const there = await run('image', 'images', '--quiet', name);
  if (there !== '') return name;
  const folder = await mkdtemp(join(runDir, 'image-'));
  try {
    const root = join(folder, 'root');
    await mkdir(root);
    for (const [name, mode] of Object.entries(FOLDERS)) {
      await mkdir(join(root, name));
      await chmod(join(root, name), mode);
    }
    for (const [path, content] of Object.entries(PLAIN_FILES)) {
      await mkdir(join(root, dirname(path)), { recursive: true });
      await writeFile(join(root, path), content);
      await chmod(join(root, path), 0o644);
    }
    const archive = join(folder, 'root.tar');
    await createTar({ cwd: root, file: archive, noMtime: true }, ['.']);
    await run('image', 'import', '--quiet', archive, name);
    return name;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Where podman keeps what lives as long as the machine runs, in memory where there is such a place; its path has to be
 * short. One per store, the same at each start, so that what a dead hub left is found.
 * @throws Error when somebody else has it.
 */
async function privateRunDir(store: string): Promise<string> {
  const uid = process.geteuid?.() ?? 0;
  const name = `berth-${createHash('sha256').update(store).digest('hex').slice(0, 16)}`;
  const bases = uid === 0 ? ['/run', '/tmp'] : [`/run/user/${uid}`, '/tmp'];
  for (const base of bases) {
    const folder = join(base, name);
    const made = await mkdir(folder, { mode: 0o700 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code === 'EEXIST',
    );
    if (!made) continue;
    if (await isOurs(folder)) {
      await removeStale(base);
      await writeFile(join(folder, STORE_FILE), store, { mode: 0o600 });
      return folder;
    }
    throw new Error(`${folder} is not a private folder of this account`);
  }
  throw new Error(`there is no place for ${name} in ${bases.join(' or ')}`);
}

/** Names the store that a run folder belongs to. */
const STORE_FILE = 'store';

async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder);
  return found.isDirectory() && found.uid === process.geteuid?.() && (found.mode & 0o077) === 0;
}

/** Run folders whose store is gone, such as those of `berth doctor`, which keeps none. */
async function removeStale(base: string): Promise<void> {
  for (const name of (await readdir(base)).filter((one) => /^berth-[0-9a-f]{16}$/.test(one))) {
    const folder = join(base, name);
    const store = await readFile(join(folder, STORE_FILE), 'utf8').catch(() => undefined);
    if (store === undefined || !(await isOurs(folder))) continue;
    const isThere = await lstat(store).then(
      () => true,
      () => false,
    );
    if (!isThere) await rm(folder, { recursive: true, force: true });
  }
}
