import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { AppError } from '../protocol/errors.ts';
import { lockHome } from '../protocol/node/database.ts';
import { readOrCreateKey, type SigningKey } from '../protocol/node/keys.ts';
import { DEFAULT_KEY } from './author-keys.ts';
import { ensureBubblewrap } from './bubblewrap.ts';
import type { Context } from './command.ts';
import { writeFileAtomically } from './credentials.ts';
import { firstPartyArchives } from './first-party.ts';
import { adminTokenPath, keyPath, runFilePath } from './home.ts';
import { claimsOf } from './package-claims.ts';
import { publishArchive } from './publish.ts';
import { openSandbox } from './sandbox.ts';
import { startHubHere, startRegistryHere } from './servers-here.ts';
import type { RunFile } from './servers.ts';

/** Namespaces for which the default author key may sign on the embedded registry. */
const OWN_NAMESPACES = ['local.*', 'dev.berth'];

/** Both servers, ready: the first-party skills can be found. */
export interface Up {
  urls: Pick<RunFile, 'hub' | 'registry' | 'mcp'>;
  firstRun: boolean;
  /** Names of the first-party skills, with their versions. */
  skills: readonly string[];
  /** What is missing though it runs. */
  warnings: readonly string[];
  /** Lets calls in flight finish first, unless `hasten` aborts. */
  stop(hasten?: AbortSignal): Promise<void>;
}

/**
 * Starts registry and hub of a home in this process, talking to each other over loopback HTTP. The first time it
 * makes the home (0700), the author's key and the admin token, and publishes Berth's own skills through the door
 * that everybody uses.
 * @throws AppError `already-running` when another process has this home; what the servers throw.
 */
export async function startUp(
  context: Context,
  ports: { hub: number | undefined; registry: number | undefined },
): Promise<Up> {
  const { home } = context;
  const firstRun = !existsSync(keyPath(home, DEFAULT_KEY));
  await mkdir(home, { recursive: true, mode: 0o700 });
  await chmod(home, 0o700);
  const lock = lockHome(home);
  const running: { stop(hasten?: AbortSignal): Promise<void> }[] = [];
  const stop = async (hasten?: AbortSignal): Promise<void> => {
    await rm(runFilePath(home), { force: true });
    // The hub first: it still talks to the registry while it ends.
    for (const server of running.toReversed()) await server.stop(hasten);
    lock.release();
  };
  try {
    const warnings = await ensureBubblewrap(context);
    const registry = await startRegistryHere(context, { port: ports.registry, quiet: true });
    running.push(registry);
    const hub = await startHubHere(context, { port: ports.hub, registry: registry.url, quiet: true });
    running.push(hub);
    const key = await readOrCreateKey(keyPath(home, DEFAULT_KEY));
    for (const namespace of OWN_NAMESPACES) await registry.admin.registerKey(namespace, key.record);
    const own = await publishOwnSkills(context, registry.url, key);
    const urls = { hub: hub.url, registry: registry.url, mcp: hub.mcp };
    await writeFileAtomically(runFilePath(home), `${JSON.stringify({ ...urls, pid: process.pid })}\n`);
    return { urls, firstRun, skills: own.skills, warnings: [...warnings, ...own.warnings], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function publishOwnSkills(
  context: Context,
  baseUrl: string,
  key: SigningKey,
): Promise<{ skills: string[]; warnings: string[] }> {
  const token = (await readFile(adminTokenPath(context.home), 'utf8')).trim();
  const skills: string[] = [];
  const warnings: string[] = [];
  try {
    for (const archive of await firstPartyArchives(() => openSandbox(context))) {
      const { manifest } = await claimsOf(archive);
      skills.push(`${manifest.name}@${manifest.version}`);
      try {
        await publishArchive({ registry: { baseUrl, token } }, archive, { key });
      } catch (error) {
        // A build of changed sources under an old version: the published one stays what it is.
        if (!(error instanceof AppError) || error.code !== 'version-exists') throw error;
        warnings.push(`${error.message} The published one stays.`);
      }
    }
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'sandbox-unavailable') throw error;
    warnings.push(`Berth's own skills are not published yet: ${error.message}`);
  }
  return { skills, warnings };
}
