import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hubConfigSchema } from '../hub/config.ts';
import { startHub, type RunningHub } from '../hub/main.ts';
import { loadConfig } from '../protocol/node/config.ts';
import { lockHome } from '../protocol/node/database.ts';
import { createLogger } from '../protocol/node/logger.ts';
import { loadRegistryConfig } from '../registry/config.ts';
import { startRegistry } from '../registry/main.ts';
import type { Context } from './command.ts';
import { adminTokenPath, hubDir, registryDir } from './home.ts';
import { berthVersion } from './version.ts';

/** What the command line says to a server; the rest comes from its file in the home and the environment. */
export interface ServerOptions {
  port: number | undefined;
  /** Another configuration file than the one in the home. */
  file?: string | undefined;
  /** Log warnings only, unless the environment or the file says otherwise. */
  quiet?: boolean;
}

/** A server of this process that can be stopped. */
export interface Started {
  url: string;
  stop(): Promise<void>;
}

/**
 * Starts the registry of this home. Its folder is locked for this process until it stops.
 * @throws AppError `config-invalid`, `already-running`, and what the registry throws.
 */
export async function startRegistryHere(context: Context, options: ServerOptions): Promise<Started> {
  const { home, settings } = context;
  const env = settings.environment;
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
  const lock = lockHome(config.dataDir);
  try {
    const registry = await startRegistry(config, {
      log: createLogger({ level: config.logLevel, name: 'registry' }),
    });
    return stoppable(registry.url, () => registry.stop(), lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Starts the hub of this home, with skills from the given registry. Its folder is locked until it stops.
 * @throws AppError `config-invalid`, `already-running`, and what the hub throws.
 */
export async function startHubHere(
  context: Context,
  options: ServerOptions & { registry: string },
): Promise<Started & Pick<RunningHub, 'mcp'>> {
  const { home, settings } = context;
  const env = settings.environment;
  const config = await loadConfig(hubConfigSchema, {
    file: options.file ?? fileIfThere(join(home, 'hub.json')),
    env,
    prefix: 'BERTH_HUB_',
    overrides: {
      home,
      registry: options.registry,
      ...unlessSet(env, 'BERTH_HUB_PATH', { path: env['PATH'] ?? '' }),
      ...(options.quiet === true ? unlessSet(env, 'BERTH_HUB_LOG_LEVEL', { logLevel: 'warn' }) : {}),
      ...(options.port === undefined ? {} : { port: options.port }),
    },
  });
  const lock = lockHome(hubDir(home));
  try {
    const log = createLogger({ level: config.logLevel, name: 'hub' });
    const hub = await startHub(config, { log, version: berthVersion() });
    return { ...stoppable(hub.url, () => hub.stop(), lock), mcp: hub.mcp };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function stoppable(url: string, stop: () => Promise<void>, lock: { release(): void }): Started {
  return { url, stop: () => stop().finally(() => lock.release()) };
}

function fileIfThere(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

/** A value that the environment may set otherwise: the command line would win over it. */
function unlessSet(env: Readonly<Record<string, string | undefined>>, name: string, value: object): object {
  return env[name] === undefined ? value : {};
}
