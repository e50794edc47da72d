import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { BASE_ENV } from './bwrap-arguments.ts';
import { containerArguments, type ContainerOrder, environmentFile } from './container-arguments.ts';
import type { RootEntry } from './libraries.ts';
import type { Mount } from './mount-table.ts';
import type { HeldMount } from './mounts.ts';
import { type Podman, podmanMark } from './podman.ts';
import { holdOutput } from './held-output.ts';
import { identityOf, killExactly, type ProcessIdentity, whenGone } from './processes.ts';
import type { SandboxExit, SandboxPlan } from './sandbox.ts';
import { exitOf, type SpawnedSandbox } from './spawn-sandbox.ts';
import { faultOfMounts, mountTableOf } from './verify-mounts.ts';

/** What a container is made from. */
export interface ContainerJob {
  podman: Podman;
  hub: ProcessIdentity;
  plan: SandboxPlan;
  /** Programs, libraries and the package. */
  entries: readonly RootEntry[];
  /** Parents before what lies in them. */
  held: readonly HeldMount[];
  /** What is mounted where for the hub, and what of it no container may show. */
  own: readonly Mount[];
  forbidden: readonly string[];
  /** Told the first process once it is seen to have its mounts, before the program is started. */
  made: (first: ProcessIdentity) => void;
  command: readonly string[];
  /** That of the plan, with what the runtime adds. */
  env: Readonly<Record<string, string>>;
  /** Descriptors that this process was itself started with, and that the child must not see. */
  covered: readonly number[];
  settings: Pick<ContainerOrder, 'user' | 'seccomp' | 'userns' | 'limited' | 'reservedMb'>;
}

/**
 * Makes a container, looks at what was mounted in it, and only then starts the program.
 * @throws AppError `skill-start-failed`, `binding-refused` for a folder that was swapped meanwhile or cannot be held.
 */
export async function startContainer(job: ContainerJob): Promise<SpawnedSandbox> {
  const { podman, plan } = job;
  const name = podman.newName();
  const folder = join(podman.runDir, `start-${name}`);
  await mkdir(folder, { mode: 0o700 });
  const remove = async (): Promise<void> => {
    await podman.run(plan.label, 'rm', '--force', '--time', '0', '--ignore', name);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const files = await secretFiles(folder, plan);
    const envFile = join(folder, 'environment');
    await writeFile(envFile, environmentFile(plan.label, { ...job.env, ...BASE_ENV }), {
      mode: 0o600,
    });
    const order: ContainerOrder = {
      ...job.settings,
      plan,
      name,
      image: podman.image,
      entries: [...job.entries, ...files],
      mounts: job.held,
      envFile,
      command: job.command,
    };
    await podman.run(plan.label, ...containerArguments(order));
    await podman.run(plan.label, 'init', name);
    // The mounts keep the secret files; the environment is in podman's own store by now, for this account alone.
    await rm(folder, { recursive: true, force: true });
    const first = await firstProcess(podman, plan, name);
    await refuseFaulty(job, first);
    job.made(first);
    return supervised(job, attach(job, name, await open('/dev/null', 'r+')), first, name, remove);
  } catch (error) {
    await remove().catch(() => undefined);
    if (error instanceof AppError) throw error;
    throw new AppError('skill-start-failed', {
      detail: `No container could be made for ${plan.label}: ${wordsOf(error)}`,
      hint: 'Run `berth doctor`; it looks at the sandbox of this machine.',
      cause: error,
    });
  }
}

/** Each secret in a file of its own, readable in the one container that it is mounted into. */
async function secretFiles(folder: string, { files = {} }: SandboxPlan): Promise<RootEntry[]> {
  return Promise.all(
    Object.entries(files).map(async ([target, content], index) => {
      const source = join(folder, `file-${index}`);
      await writeFile(source, content, { mode: 0o444, flag: 'wx' });
      return { source, target };
    }),
  );
}

async function firstProcess(podman: Podman, plan: SandboxPlan, name: string): Promise<ProcessIdentity> {
  const pid = Number(await podman.run(plan.label, 'inspect', '--format', '{{.State.Pid}}', name));
  const first = Number.isInteger(pid) && pid > 0 ? await identityOf(pid) : undefined;
  if (first !== undefined) return first;
  throw new AppError('skill-start-failed', { detail: `The container of ${plan.label} ended by itself.` });
}

/**
 * Podman mounts by name: what it mounted has to be what was looked at and is still held open. A container that is made
 * and not started has all its mounts.
 */
async function refuseFaulty({ plan, held, own, forbidden }: ContainerJob, first: ProcessIdentity) {
  if (held.length === 0) return;
  const fault = await faultOfMounts(first, { held, own, forbidden }, mountTableOf);
  if (fault === undefined) return;
  throw new AppError('binding-refused', {
    detail: `${plan.label} was not started: ${fault}.`,
    hint: 'Look at what is there now, and start the skill again.',
  });
}

type Handle = Awaited<ReturnType<typeof open>>;

/** Starts the program and holds its three pipes. */
function attach({ podman, hub, plan, covered }: ContainerJob, name: string, nothing: Handle): ChildProcess {
  const most = Math.max(2, ...covered);
  const child = spawn(
    podman.program,
    [...podman.options, 'start', '--attach', '--interactive', '--sig-proxy=false', name],
    {
      argv0: podmanMark(hub, plan.label),
      cwd: '/',
      env: podman.env,
      // A group of its own, so that a Ctrl-C on the hub's terminal is the hub's to handle.
      detached: true,
      stdio: Array.from({ length: most + 1 }, (_, number) =>
        number < 3 ? 'pipe' : covered.includes(number) ? nothing.fd : 'ignore',
      ),
    },
  );
  void nothing.close();
  return child;
}

function supervised(
  { podman, plan }: ContainerJob,
  child: ChildProcess,
  first: ProcessIdentity,
  name: string,
  remove: () => Promise<void>,
): SpawnedSandbox {
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
  for (const stream of child.stdio) stream?.on('error', () => undefined);
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new Error('podman has no pipes');
  const handOver = holdOutput({ stdout, stderr });
  const exited = (async (): Promise<SandboxExit> => {
    const outer = await ended;
    // Whatever became of podman: with its first process the kernel ends every other one of the container.
    await killExactly(first);
    await whenGone(first);
    const outOfMemory = await podman
      .run(plan.label, 'inspect', '--format', '{{.State.OOMKilled}}', name)
      .catch(() => '');
    await remove().catch(() => undefined);
    return {
      ...exitOf(outer, outer.code ?? undefined),
      ...(outOfMemory === 'true' ? { reason: 'out of memory' } : {}),
    };
  })();
  return {
    pid: first.pid,
    stdin,
    stdout,
    stderr,
    exited,
    handOver,
    // Its share of the processors is set when it is made.
    weigh: () => undefined,
    async kill() {
      await killExactly(first);
      await exited;
    },
  };
}

const MAX_WORDS = 500;

/** What podman said, which names no value of the environment. */
export function wordsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().replaceAll(/\s+/g, ' ').slice(0, MAX_WORDS);
}
