import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { onTestFinished } from 'vitest';
import { createSandboxDriver, type DriverName } from '../../../hub/sandbox/drivers.ts';
import type { SandboxPlan, SandboxReport } from '../../../hub/sandbox/sandbox.ts';
import { createLogger } from '../../../protocol/node/logger.ts';
import { watchedEgress } from '../../support/watched-egress.ts';
import { outcomeOf, type Outcome, watching } from './outcome.ts';

/** How a hub may be run; the sandbox takes another form in each. */
export type FormName =
  | 'root, as an unprivileged account'
  | "root, with root's file ownership"
  | 'an ordinary user'
  | 'root, in containers';

/** Every form that this account can take. */
export const FORM_NAMES: readonly FormName[] =
  process.getuid?.() === 0
    ? ['root, as an unprivileged account', "root, with root's file ownership", 'an ordinary user']
    : ['an ordinary user'];

/**
 * The forms with containers, for `npm run test:containers`, in which a machine without podman fails. Egress is not
 * among what containers claim.
 */
export const FORM_NAMES_WITH_CONTAINERS: readonly FormName[] =
  process.getuid?.() === 0 && hasContainers() ? [...FORM_NAMES, 'root, in containers'] : FORM_NAMES;

/** Whether skills are held in containers in a form. */
export const isContainer = (name: FormName): boolean => name === 'root, in containers';

/** What a refused call may answer with in a form: engines let some calls not exist that bubblewrap's filter refuses. */
export function answersIn<T>(name: FormName, meets: readonly T[], absent: T): readonly T[] {
  return isContainer(name) ? [...meets, absent] : meets;
}

function hasContainers(): boolean {
  return process.env['BERTH_TEST_CONTAINER'] === '1'; // oxlint-disable-line node/no-process-env
}

function isOnPath(name: string): boolean {
  return searchPath()
    .split(':')
    .some((folder) => existsSync(join(folder, name)));
}

/** The runtime that containers are tested with: Debian's podman prefers one that does not know every kernel's control groups. */
export function containerRuntime(): { runtime?: string } {
  return isOnPath('runc') ? { runtime: 'runc' } : {};
}

if (FORM_NAMES.length === 1) {
  process.stderr.write(
    'The sandbox attacks run in the form of an ordinary user only; run them as root for all three.\n',
  );
}

/** A hub's sandbox in one form, with a home, a granted workspace and a data folder as that form has them. */
export interface Form {
  name: FormName;
  watched: boolean;
  /** The process that plays the hub. */
  hubPid: number;
  /** The hub's home, 0700; nothing of it may be seen. */
  home: string;
  /** A file beside the workspace that was never granted. */
  neighbour: string;
  workspace: string;
  dataDir: string;
  /** The account that owns on the host what the skill writes. */
  owner: number;
  report(): Promise<SandboxReport>;
  /** A plan with the workspace and the data folder granted, whose package holds these files. */
  plan(files: Readonly<Record<string, string | Buffer>>, more?: Partial<SandboxPlan>): Promise<SandboxPlan>;
  run(plan: SandboxPlan): Promise<Outcome>;
  close(): Promise<void>;
}

const NOBODY = 65_534;
/** Where the ordinary hub finds an open file that it never asked for. */
const LEAKED_DESCRIPTOR = 60;

/**
 * Makes the form. A machine without a usable sandbox fails here, and so does every test. `programs` is a folder whose
 * programs come before the machine's; `watched`: what is started is seen by a tracer, as in learn runs.
 */
export async function openForm(
  name: FormName,
  { programs, watched = false }: { programs?: string; watched?: boolean } = {},
): Promise<Form> {
  const path = programs === undefined ? searchPath() : `${programs}:${searchPath()}`;
  const base = await mkdtemp(join(tmpdir(), 'berth-attack-'));
  await chmod(base, 0o755);
  const asNobody = name === 'an ordinary user' && process.getuid?.() === 0;
  const home = join(base, 'home');
  const workspace = join(base, 'workspace');
  const stateDir = join(home, 'sandbox');
  const neighbour = join(base, 'neighbour');
  for (const folder of [home, workspace]) await mkdir(folder, { mode: 0o700 });
  await writeFile(neighbour, 'not granted');
  await writeFile(join(home, 'admin.token'), 'secret');
  if (asNobody) await chown(home, NOBODY, NOBODY);
  if (name !== "root, with root's file ownership" && process.getuid?.() === 0)
    await chown(workspace, NOBODY, NOBODY);
  const dataDir = join(home, 'data');
  await mkdir(dataDir, { mode: 0o700 });
  if (asNobody) await chown(dataDir, NOBODY, NOBODY);

  const driver = isContainer(name) ? 'container' : 'bwrap';
  const hub = asNobody
    ? await hubOfItsOwn({ base, stateDir, home, path, driver, watched, account: NOBODY })
    : hubHere({ stateDir, home, path, driver, watched });
  let packages = 0;
  return {
    name,
    watched,
    home,
    neighbour,
    workspace,
    dataDir,
    owner:
      name === "root, with root's file ownership"
        ? 0
        : process.getuid?.() === 0
          ? NOBODY
          : (process.getuid?.() ?? 0),
    hubPid: hub.pid,
    report: hub.report,
    run: hub.run,
    async plan(files, more = {}) {
      packages += 1;
      const packageDir = join(home, `package-${packages}`);
      await mkdir(packageDir);
      for (const [path, content] of Object.entries(files)) {
        await writeFile(join(packageDir, path), content);
        await chmod(join(packageDir, path), 0o755);
      }
      await chmod(packageDir, 0o755);
      return {
        label: 'org.example/attack@1.0.0',
        packageDir,
        runtime: { kind: 'node', entry: 'attack.mjs', args: [] },
        mounts: [
          { source: dataDir, target: '/data', mode: 'rw', root: dataDir },
          { source: workspace, target: '/workspace', mode: 'rw' },
        ],
        dataDir,
        scratch: [],
        env: {},
        programs: [],
        network: [],
        limits: { memoryMb: 256, cpus: 2, pids: 48, diskMb: 8 },
        ...more,
      };
    },
    async close() {
      await hub.close();
      // The guard of a killed hub may still be about to remove a container.
      await rm(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

interface Hub {
  pid: number;
  report(): Promise<SandboxReport>;
  run(plan: SandboxPlan): Promise<Outcome>;
  close(): Promise<void>;
}

function searchPath(): string {
  // The tests look where a hub on this machine would look.
  const { PATH = '' } = process.env; // oxlint-disable-line node/no-process-env
  return PATH;
}

function hubHere({
  stateDir,
  home,
  path,
  driver: name,
  watched,
}: {
  stateDir: string;
  home: string;
  path: string;
  driver: DriverName;
  watched: boolean;
}): Hub {
  const log = createLogger({ level: 'silent', name: 'test' });
  const watch = watched ? watching(path, stateDir) : undefined;
  const driver = createSandboxDriver(name, {
    path,
    stateDir,
    forbidden: [home],
    container: containerRuntime(),
    log,
    egress: watchedEgress(),
    ...(watch === undefined ? {} : { tracer: watch.tracer }),
  });
  return {
    pid: process.pid,
    report: () => driver.report(),
    run: async (plan) => ({
      ...(await outcomeOf(driver, plan)),
      ...(watch === undefined ? {} : { seen: watch.taken() }),
    }),
    close: async () => undefined,
  };
}

/** A hub in a process of its own that can be spoken to and killed. */
interface SeparateHub extends Hub {
  child: ChildProcess;
  /** Starts a plan, waits until it has said something, and leaves it running. */
  start(plan: SandboxPlan): Promise<{ pid: number; said: string }>;
}

/** A hub in a process of its own that has the form, until the test is over. `base` is a folder that anybody may enter. */
export async function hubLike(form: Form, base: string): Promise<SeparateHub> {
  const asNobody = form.name === 'an ordinary user' && process.getuid?.() === 0;
  const folder = await mkdtemp(join(base, 'hub-'));
  await chmod(folder, 0o755);
  const hub = await hubOfItsOwn({
    base: folder,
    stateDir: join(form.home, 'sandbox'),
    home: form.home,
    path: searchPath(),
    driver: isContainer(form.name) ? 'container' : 'bwrap',
    watched: form.watched,
    ...(asNobody ? { account: form.owner } : {}),
  });
  onTestFinished(() => hub.close());
  return hub;
}

/** Runs `ordinary-hub.ts`, as another account where one is named. */
async function hubOfItsOwn(options: {
  base: string;
  stateDir: string;
  home: string;
  path: string;
  driver: DriverName;
  watched: boolean;
  account?: number;
}): Promise<SeparateHub> {
  const bundle = join(options.base, 'hub.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'ordinary-hub.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  await chmod(bundle, 0o644);
  const leaked = await open(join(options.home, 'admin.token'), 'r');
  const { runtime = '' } = containerRuntime();
  const program = [
    ...[process.execPath, bundle, options.stateDir, options.home, options.path],
    ...[options.driver, runtime, ...(options.watched ? ['watched'] : [])],
  ];
  const command =
    options.account === undefined
      ? program
      : [
          'setpriv',
          '--reuid',
          String(options.account),
          '--regid',
          String(options.account),
          '--clear-groups',
          ...program,
        ];
  const child = spawn(command[0] ?? '', command.slice(1), {
    cwd: '/',
    env: { PATH: searchPath(), HUB_SECRET: 'a secret of the hub' },
    stdio: [
      'pipe',
      'pipe',
      'inherit',
      ...Array.from({ length: LEAKED_DESCRIPTOR - 3 }, () => 'ignore' as const),
      leaked.fd,
    ],
  });
  await leaked.close();
  const { stdin, stdout, pid } = child;
  if (stdin === null || stdout === null || pid === undefined) throw new Error('the hub did not start');

  const waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  createInterface({ input: stdout }).on('line', (line) => {
    const { id, result, error } = JSON.parse(line) as {
      id: number;
      result: never;
      error?: { code?: string; message: string };
    };
    if (error === undefined) waiting.get(id)?.resolve(result);
    else waiting.get(id)?.reject(Object.assign(new Error(error.message), { code: error.code }));
    waiting.delete(id);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  void ended.then(() => waiting.forEach(({ reject }) => reject(new Error('the hub ended'))));
  let jobs = 0;
  const ask = <T>(kind: string, plan?: SandboxPlan) =>
    new Promise<T>((resolve, reject) => {
      jobs += 1;
      waiting.set(jobs, { resolve, reject });
      stdin.write(`${JSON.stringify({ id: jobs, kind, plan })}\n`);
    });
  return {
    pid,
    child,
    report: () => ask('report'),
    start: (plan) => ask('start', plan),
    async run(plan) {
      const {
        stdout: output,
        stderr,
        exit,
        seen,
      } = await ask<Omit<Outcome, 'stdout'> & { stdout: string }>('run', plan);
      return { stdout: Buffer.from(output, 'base64'), stderr, exit, ...(seen === undefined ? {} : { seen }) };
    },
    async close() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
