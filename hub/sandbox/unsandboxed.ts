import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { makeDataMounts } from './data-folders.ts';
import { inheritedDescriptors } from './descriptors.ts';
import { PYTHON_FLAGS, reservedMb, SITE_FOLDER, withPaths } from './launch.ts';
import { holdOutput } from './held-output.ts';
import { holdAsGranted, holdMounts, makeFolder, releaseMounts } from './mounts.ts';
import { executable } from './prerequisites.ts';
import { signal } from './processes.ts';
import { createPrograms, hostFilesOf, type Programs } from './programs.ts';
import type { SandboxDriver, SandboxedProcess, SandboxExit, SandboxPlan, SandboxReport } from './sandbox.ts';
import { ownMountTable } from './verify-mounts.ts';

/** The id that stands in the list of grants for "without a sandbox"; no manifest can ask for it. */
export const UNSANDBOXED = 'unsandboxed';
/** What such a grant says. */
export const UNSANDBOXED_SENTENCE =
  'It can run without a sandbox and do everything that the account of the hub can.';
/** What every place that shows the skill says beside it. */
export const UNSANDBOXED_WARNING =
  'It runs WITHOUT A SANDBOX: none of its permissions is enforced, and what it is said not to do it can do.';

const MAX_OPEN_FILES = 1024;

interface UnsandboxedOptions {
  /** The hub's setting `allowUnsandboxed`. */
  allowed: boolean;
  /** Where programs are looked up, in the form of `PATH`. */
  path: string;
  /** The Node and the Python that skills run with; absent: the hub's own, and the first of the PATH that is recent enough. */
  node?: string | undefined;
  python?: string | undefined;
  /** Folders that no grant may name, as for sandboxes: what a skill is told to work in is not the hub's home. */
  forbidden: readonly string[];
  /** Where files that hold secrets are put for as long as a process runs; private to this account. */
  stateDir: string;
  log: Logger;
}

/**
 * No sandbox, said aloud: for single skills that an admin approved for it by name, in a hub whose configuration allows
 * it. Nothing chooses it by itself. It claims to enforce nothing; it still gives a process only the environment
 * of its plan, its three pipes, limits for each process, no way to gain privileges, and an end with the hub; and it
 * is told of no folder but those that were granted, as they were.
 */
export function createUnsandboxedDriver({
  allowed,
  path,
  node = process.execPath,
  python,
  forbidden,
  stateDir,
  log,
}: UnsandboxedOptions): SandboxDriver {
  const programs = createPrograms({ path, node, python, emptyDir: join(stateDir, 'empty') });
  const rules = async () => ({
    forbidden: await Promise.all(forbidden.map((folder) => realpath(folder).catch(() => folder))),
    table: await ownMountTable(),
  });
  const report: SandboxReport = {
    driver: 'none',
    usable: allowed,
    ...(allowed ? {} : { problem: { detail: NOT_ALLOWED, hint: ALLOW_HINT } }),
    enforces: [],
    requires: [],
    checks: [],
    notes: [UNSANDBOXED_WARNING],
  };
  return {
    name: 'none',
    report: async () => report,
    async start(plan) {
      if (plan.unsandboxed !== true || !allowed) throw notAllowed(plan.label);
      await makeDataMounts(plan);
      // Nothing is mounted: another folder in the place of one that was granted is found out before the start only.
      await releaseMounts(await holdMounts({ ...(await rules()), dataDir: plan.dataDir }, plan.mounts));
      const files = await keepFiles(stateDir, plan);
      try {
        const started = await spawnPlain({ path, programs, plan, env: files.env });
        void started.exited.then(files.remove);
        log.warn({ skill: plan.label, pid: started.pid }, 'started WITHOUT A SANDBOX, as it was approved to');
        return started;
      } catch (error) {
        await files.remove();
        throw error;
      }
    },
    makeOwned: (folder) => makeFolder(folder, undefined),
    describeMount: async (mount, all = [mount]) =>
      holdAsGranted(await rules(), mount, all, async () => 'not held at all: it runs without a sandbox'),
    hostFiles: (plan) => hostFilesOf(programs, plan),
  };
}

const NOT_ALLOWED = 'This hub runs nothing without a sandbox.';
const ALLOW_HINT =
  'If it must be: set "allowUnsandboxed": true in hub.json (BERTH_HUB_ALLOW_UNSANDBOXED=true), restart the hub, and approve the skill with --unsandboxed.';

/** The refusal of a hub that does not allow it. */
export function notAllowed(skill: string): AppError {
  return new AppError('unsandboxed-not-allowed', {
    detail: `${skill} may not run without a sandbox. ${NOT_ALLOWED}`,
    hint: ALLOW_HINT,
  });
}

/** Secrets that a skill gets as files: in a folder for this process alone. The environment names them where they are. */
async function keepFiles(stateDir: string, { files = {}, env }: SandboxPlan) {
  if (Object.keys(files).length === 0) return { env, remove: async () => undefined };
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(stateDir, 'files-'));
  const places = new Map<string, string>();
  for (const [target, content] of Object.entries(files)) {
    const file = join(folder, `${places.size}-${basename(target)}`);
    await writeFile(file, content, { mode: 0o600, flag: 'wx' });
    places.set(target, file);
  }
  const moved = Object.entries(env).map(([name, value]) => [name, places.get(value) ?? value] as const);
  return {
    env: Object.fromEntries(moved),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function spawnPlain({
  path,
  programs,
  plan,
  env,
}: {
  path: string;
  programs: Programs;
  plan: SandboxPlan;
  env: Readonly<Record<string, string>>;
}): Promise<SandboxedProcess> {
  const {
    command: [program, ...args],
    env: own,
  } = await commandOf(path, programs, plan);
  const nothing = await open('/dev/null', 'r+');
  let handOver = (): void => undefined;
  try {
    const covered = await inheritedDescriptors();
    const most = Math.max(2, ...covered);
    const child = spawn(program ?? '', args, {
      cwd: plan.packageDir,
      env: {
        PATH: path,
        HOME: plan.dataDir ?? plan.packageDir,
        TMPDIR: '/tmp',
        LANG: 'C.UTF-8',
        ...withPaths(env, own),
      },
      // A group of its own: its end is the group's.
      detached: true,
      stdio: Array.from({ length: most + 1 }, (_, number) =>
        number < 3 ? 'pipe' : covered.includes(number) ? nothing.fd : 'ignore',
      ),
    });
    const exited = new Promise<SandboxExit>((resolve) => {
      child.once('exit', (code, signalName) => resolve({ code, signal: signalName }));
      child.once('error', () => resolve({ code: null, signal: null }));
    });
    const spawned = new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    for (const stream of child.stdio) stream?.on('error', () => undefined);
    const { stdin, stdout, stderr } = child;
    if (stdin === null || stdout === null || stderr === null) throw new Error('the process has no pipes');
    handOver = holdOutput({ stdout, stderr });
    await spawned;
    const { pid } = child;
    if (pid === undefined) throw new Error('the process has no number');
    // What the program leaves of its group ends with it.
    void exited.then(() => signal(-pid));
    return {
      pid,
      stdin,
      stdout,
      stderr,
      exited,
      weigh: () => undefined,
      // Nothing opens or shuts its network: it has the machine's.
      enter: () => () => undefined,
      async kill() {
        signal(-pid);
        await exited;
      },
    };
  } catch (cause) {
    throw new AppError('skill-start-failed', { detail: `${plan.label} could not be started.`, cause });
  } finally {
    await nothing.close();
    handOver();
  }
}

/** The program behind what limits it and binds its life to the hub's; of root it keeps the number and no capability. */
async function commandOf(
  path: string,
  programs: Programs,
  { runtime, packageDir, limits, label }: SandboxPlan,
): Promise<{ command: string[]; env: Record<string, string> }> {
  const found = async (name: string): Promise<string> => {
    const file = await executable(name, path);
    if (file !== undefined) return file;
    throw new AppError('skill-start-failed', {
      detail: `${label} cannot be started: ${name} is not on the PATH of the hub.`,
      hint: `Install ${name} where the hub finds it.`,
    });
  };
  const entry = join(packageDir, runtime.entry);
  const { file, version } =
    runtime.kind === 'binary' ? { file: entry, version: undefined } : await programs[runtime.kind]();
  const program = {
    node: [file, entry],
    python: [file, ...PYTHON_FLAGS, entry],
    binary: [file],
  }[runtime.kind];
  const root = process.geteuid?.() === 0;
  const command = [
    ...[await found('setpriv'), '--pdeathsig', 'KILL', '--no-new-privs'],
    ...(root ? ['--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all'] : []),
    ...['--', await found('prlimit'), '--core=0', `--nofile=${MAX_OPEN_FILES}`],
    ...[`--data=${(limits.memoryMb + reservedMb(runtime.kind, version)) * 1024 * 1024}`, '--'],
    ...program,
    ...runtime.args,
  ];
  return {
    command,
    env: runtime.kind === 'python' ? { PYTHONPATH: join(dirname(entry), SITE_FOLDER) } : {},
  };
}
