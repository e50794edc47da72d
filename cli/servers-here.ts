import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HubConfig } from '../hub/config.ts';
import type { RunningHub } from '../hub/main.ts';
import { loadConfig } from '../protocol/node/config.ts';
import { lockHome } from '../protocol/node/database.ts';
import { createLogger } from '../protocol/node/logger.ts';
import type { Registry } from '../registry/main.ts';
import type { Context } from './command.ts';
import { DEFAULT_REGISTRY } from './config.ts';
import { writeFileAtomically } from './credentials.ts';
import { adminTokenPath, hubDir, loneRunFilePath, registryDir } from './home.ts';
import { logLines } from './log-lines.ts';
import { ownRegistry } from './servers.ts';
import { berthVersion } from './version.ts';

/** What the command line says to a server; the rest comes from its file in the home and the environment. */
export interface ServerOptions {
  port: number | undefined;
  /** Another configuration file than the one in the home. */
  file?: string | undefined;
  /** Log warnings only, unless the environment or the file says otherwise. */
  quiet?: boolean;
}

/**
 * Starts the registry of this home.
 * @throws AppError `config-invalid`, `already-running`, and what the registry throws.
 */
export async function startRegistryHere(context: Context, options: ServerOptions): Promise<Registry> {
  const { home, settings } = context;
  const env = settings.environment;
  // Each server loads its own code alone: it is what an idle one mostly consists of.
  const { startRegistry } = await import('../registry/main.ts');
  const { loadRegistryConfig } = await import('../registry/config.ts');
  const config = await loadRegistryConfig({
    file: options.file ?? fileIfThere(join(home, 'registry.json')),
    env,
    overrides: {
      ...unlessSet(env, 'BERTH_REGISTRY_DATA_DIR', { dataDir: registryDir(home) }),
      ...unlessSet(env, 'BERTH_REGISTRY_ADMIN_TOKEN_FILE', { adminTokenFile: adminTokenPath(home) }),
      ...(options.quiet === true ? unlessSet(env, 'BERTH_REGISTRY_LOG_LEVEL', { logLevel: 'warn' }) : {}),
      ...(options.port === undefined ? {} : { port: options.port }),
    },
  });
  return startRegistry(config, {
    log: createLogger({ level: config.logLevel, name: 'registry', destination: logLines(context) }),
  });
}

/** The settings of the hub of this home. @throws AppError `config-invalid`. */
export async function loadHubConfig(
  { home, settings }: Pick<Context, 'home' | 'settings'>,
  { file, port, quiet, registry }: Partial<ServerOptions> & { registry?: string | undefined },
): Promise<HubConfig> {
  const env = settings.environment;
  const { hubConfigSchema } = await import('../hub/config.ts');
  return loadConfig(hubConfigSchema, {
    file: file ?? fileIfThere(join(home, 'hub.json')),
    env,
    prefix: 'BERTH_HUB_',
    overrides: {
      home,
      ...(registry === undefined ? {} : { registry }),
      ...unlessSet(env, 'BERTH_HUB_PATH', { path: env['PATH'] ?? '' }),
      ...(quiet === true ? unlessSet(env, 'BERTH_HUB_LOG_LEVEL', { logLevel: 'warn' }) : {}),
      ...(port === undefined ? {} : { port }),
    },
  });
}

/**
 * Starts the hub of this home, with skills from the given registry; without one, from the one that its settings name,
 * and when they name none, from the one that runs in this home. Its folder is locked until it stops.
 * @throws AppError `config-invalid`, `already-running`, and what the hub throws.
 */
export async function startHubHere(
  context: Context,
  options: ServerOptions & { registry: string | undefined },
): Promise<RunningHub & { registry: string }> {
  const { home, settings } = context;
  const { startHub } = await import('../hub/main.ts');
  const config = await loadHubConfig(context, options);
  const own = config.registry === DEFAULT_REGISTRY ? await ownRegistry(home) : undefined;
  const registry = options.registry ?? own ?? config.registry;
  const lock = lockHome(hubDir(home));
  try {
    const log = createLogger({ level: config.logLevel, name: 'hub', destination: logLines(context) });
    const hub = await startHub(
      { ...config, registry },
      { log, version: berthVersion(), environment: settings.environment },
    );
    return { ...hub, registry, stop: (hasten) => hub.stop(hasten).finally(() => lock.release()) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Writes where a server that runs alone is found, for the commands of this home; what it answers takes that back. */
export async function pointTo(
  { home }: Context,
  server: 'hub' | 'registry',
  urls: Readonly<Record<string, string>>,
): Promise<() => Promise<void>> {
  const path = loneRunFilePath(home, server);
  await writeFileAtomically(path, `${JSON.stringify({ ...urls, pid: process.pid })}\n`);
  return () => rm(path, { force: true });
}

function fileIfThere(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

/** A value that the environment may set otherwise: the command line would win over it. */
function unlessSet(env: Readonly<Record<string, string | undefined>>, name: string, value: object): object {
  return env[name] === undefined ? value : {};
}
