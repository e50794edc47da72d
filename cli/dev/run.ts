import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '../../hub/clock.ts';
import { surfaceOf } from '../../hub/runner/capture.ts';
import { connect, type Connection } from '../../hub/runner/connect.ts';
import { DEFAULT_RUNNER_LIMITS } from '../../hub/runner/runner.ts';
import { LOCAL_USER } from '../../hub/clients.ts';
import { folderAt, type FolderIdentity } from '../../hub/sandbox/folder-identity.ts';
import { sandboxPlan } from '../../hub/sandbox/plan.ts';
import type { SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import type { ArchiveFile } from '../../protocol/archive.ts';
import { AppError } from '../../protocol/errors.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { bindPaths, type Bindings, type Permissions } from '../../protocol/permissions.ts';
import type { Surface } from '../../protocol/surface.ts';
import { berthVersion } from '../version.ts';
import { type LearnSandbox, seenHosts } from './sandbox.ts';
import { variableWatch } from './variables.ts';

/** A skill that runs now. */
export interface Run {
  surface: Surface;
  /** The one revision of MCP that it speaks. */
  protocol: string;
  connection: Connection;
  /** Ends it and removes what was laid out for it. */
  close(): Promise<void>;
}

/** What one start is made of. */
export interface RunOrder {
  manifest: Manifest;
  files: ReadonlyMap<string, ArchiveFile>;
  granted: Permissions;
  bindings: Bindings;
  /** Names by the addresses of nobody that stand for them; undefined where the border answers for names. */
  hosts: ReadonlyMap<string, string> | undefined;
  environment: Readonly<Record<string, string | undefined>>;
  /** What the skill says on standard error, a line at a time. */
  said: (text: string) => void;
}

const LOOPBACK = '127.0.0.1 localhost\n::1 localhost\n';
/** What a secret is while an author has none of the name in the environment. */
const NO_SECRET = 'placeholder';

/**
 * Lays a package out and starts it under these grants, watched.
 * @throws AppError what starting throws.
 */
export async function startRun({ driver }: LearnSandbox, order: RunOrder): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-dev-'));
  try {
    const packageDir = join(folder, 'package');
    await layOut(packageDir, order.files);
    const { manifest } = order;
    const connection = await connect(
      {
        driver,
        clock: systemClock,
        limits: DEFAULT_RUNNER_LIMITS,
        identity: { name: 'berth', version: berthVersion() },
        log: createLogger({ level: 'info', name: 'dev', destination: { write: spoken(order.said) } }),
      },
      {
        plan: planOf(order, packageDir, await foldersOf(order)),
        protocol: protocolOf(manifest),
        offered: {},
      },
    );
    const close = async (): Promise<void> => {
      await connection.end(new AppError('unavailable', { detail: `${manifest.name} is started again.` }));
      await rm(folder, { recursive: true, force: true });
    };
    try {
      const surface = await surfaceOf(connection.session, {
        label: manifest.name,
        clock: systemClock,
        timeoutMs: DEFAULT_RUNNER_LIMITS.startTimeoutMs,
      });
      return { surface, protocol: protocolOf(manifest), connection, close };
    } catch (error) {
      await close();
      throw error;
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Which files a run is made of: the same digest, the same run. */
export function digestOfFiles(files: ReadonlyMap<string, ArchiveFile>): string {
  const hash = createHash('sha256');
  for (const [path, { mode, bytes }] of files)
    hash.update(`${path}\0${mode}\0${bytes.length}\0`).update(bytes);
  return hash.digest('hex');
}

/** @throws AppError `skill-not-runnable` for a skill without a program of its own. */
export function runnableRuntime(manifest: Manifest) {
  const { runtime } = manifest;
  if (runtime.kind !== 'remote' && runtime.kind !== 'prompt-only') return runtime;
  throw new AppError('skill-not-runnable', {
    detail: `${manifest.name} is a ${runtime.kind} skill: nothing of it runs in a sandbox.`,
    hint: 'Look at it with berth check.',
  });
}

function protocolOf(manifest: Manifest): string {
  return runnableRuntime(manifest).protocol;
}

/** The folders as they lie there now: in a session of its author a skill gets those, whatever was there before. */
async function foldersOf({ granted, bindings }: RunOrder): Promise<Record<string, FolderIdentity>> {
  const sources = bindPaths(granted, bindings).map(({ source }) => source);
  const found = await Promise.all(sources.map(async (source) => [source, await folderAt(source)] as const));
  return Object.fromEntries(
    found.flatMap(([source, identity]) => (identity === undefined ? [] : [[source, identity] as const])),
  );
}

function planOf(
  order: RunOrder,
  packageDir: string,
  folders: Readonly<Record<string, FolderIdentity>>,
): SandboxPlan {
  const { manifest, granted, bindings, environment, hosts } = order;
  const runtime = runnableRuntime(manifest);
  const secrets = granted.secrets.flatMap(({ name, required }) => {
    const value = environment[name] ?? (required ? NO_SECRET : undefined);
    return value === undefined ? [] : [[name, value] as const];
  });
  const plan = sandboxPlan({
    label: `${manifest.name}@${manifest.version}`,
    packageDir,
    holder: { skill: manifest.name, user: LOCAL_USER },
    runtime,
    permissions: granted,
    bindings,
    folders,
    secrets: Object.fromEntries(secrets),
    env: Object.fromEntries(
      Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
  });
  const watch = variableWatch(runtime.kind);
  const lines = [...(hosts ?? [])].map(([address, name]) => `${address} ${name}\n`).join('');
  return {
    ...plan,
    // Names that stand for an address of nobody are no network: there the sandbox has none.
    network: hosts === undefined ? seenHosts(plan.network) : [],
    files: {
      ...plan.files,
      ...watch?.files,
      ...(lines === '' ? {} : { '/etc/hosts': LOOPBACK + lines }),
    },
    env: { ...plan.env, ...watch?.env },
  };
}

async function layOut(packageDir: string, files: RunOrder['files']): Promise<void> {
  // The sandboxed account reads it; only its parent is private.
  await mkdir(packageDir, { mode: 0o755 });
  for (const { path, mode, bytes } of files.values()) {
    await mkdir(dirname(join(packageDir, path)), { recursive: true, mode: 0o755 });
    await writeFile(join(packageDir, path), bytes, { mode });
  }
}

/** Of a log line, the words of the skill itself. */
function spoken(said: (text: string) => void) {
  return (line: string): void => {
    const { stderr } = JSON.parse(line) as { stderr?: unknown };
    if (typeof stderr === 'string') said(stderr);
  };
}
