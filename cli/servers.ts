import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { AppError } from '../protocol/errors.ts';
import type { Route } from '../protocol/route.ts';
import { DEFAULT_REGISTRY, type Settings } from './config.ts';
import { credentialFor } from './credentials.ts';
import { adminSocketPath, adminTokenPath, loneRunFilePath, runFilePath } from './home.ts';
import { plainDeep } from './output.ts';

type Input<Schema extends z.ZodType, Key extends string> =
  undefined extends z.input<Schema> ? { [K in Key]?: z.input<Schema> } : { [K in Key]: z.input<Schema> };
type RouteInput<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = Input<P, 'params'> &
  Input<Q, 'query'> &
  Input<B, 'body'>;

/** Calls one route of one server. */
type Call = <P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
  route: Route<P, Q, B, R>,
  input: RouteInput<P, Q, B> & { timeoutMs?: number; raw?: boolean; token?: string },
) => Promise<z.output<R>>;

/** A registry the CLI talks to. */
export interface RegistryAddress {
  baseUrl: string;
  /** Undefined: nobody signed in here. */
  token: string | undefined;
}

/** The servers as commands see them. */
export interface Clients {
  /** Calls the hub's admin API. Texts come back safe for a terminal unless `raw` is asked. */
  hub: Call;
  /** Calls the registry, signed in where the CLI is, or with another token. */
  registry: Call;
  /** Which registry, and with which token; `tokenFile` wins over everything. */
  registryAddress(options?: { tokenFile?: string | undefined }): Promise<RegistryAddress>;
}

/** URLs of the servers that `berth up` runs in this home. */
export interface RunFile {
  hub: string;
  registry: string;
  mcp: string;
  pid: number;
}

/**
 * The clients of one command line. A server is found by flag, environment, `run.json`, default, in this order (the
 * first two are one in `settings`). With `readable`, answers are cleaned of what a terminal would obey.
 */
export function clientsFor({ settings, readable }: { settings: Settings; readable: boolean }): Clients {
  const clean = <T>(answer: T, raw: boolean | undefined): T =>
    readable && raw !== true ? plainDeep(answer) : answer;
  const registryAddress: Clients['registryAddress'] = async ({ tokenFile } = {}) => {
    const own = await ownRegistry(settings.home);
    const baseUrl =
      settings.registry ?? own ?? (await loneRunFile(settings.home, 'hub'))?.registry ?? DEFAULT_REGISTRY;
    return { baseUrl, token: await tokenFor({ settings, baseUrl, own, tokenFile }) };
  };
  return {
    registryAddress,
    async hub(route, { raw, ...input }) {
      const { callRoute } = await import('../protocol/node/http-client.ts');
      const socketPath = settings.hub?.slice('unix:'.length) ?? adminSocketPath(settings.home);
      // The generic input cannot be followed through the rest pattern.
      const answer = await callRoute(route, { ...input, socketPath } as never).catch((error: unknown) => {
        throw hubFault(error, socketPath);
      });
      return clean(answer, raw);
    },
    async registry(route, { raw, ...input }) {
      const { callRoute } = await import('../protocol/node/http-client.ts');
      const address = await registryAddress();
      const answer = await callRoute(route, { ...address, ...input } as never).catch((error: unknown) => {
        throw registryFault(error, address.baseUrl, settings);
      });
      return clean(answer, raw);
    },
  };
}

/** A socket that another account's hub listens at is no fault of the network. */
function hubFault(error: unknown, socketPath: string): unknown {
  const { code } = (error instanceof AppError ? (error.cause ?? {}) : {}) as NodeJS.ErrnoException;
  if (code !== 'EACCES' && code !== 'EPERM') return error;
  return new AppError('config-invalid', {
    detail: `This account may not use ${socketPath}.`,
    hint: 'Run this as the account that owns the home, or choose another home with BERTH_HOME.',
    cause: error,
  });
}

/** A registry's refusal with the command that helps for this very registry. */
export function registryFault(error: unknown, baseUrl: string, { registry }: Settings): unknown {
  if (!(error instanceof AppError)) return error;
  const again = (hint: string): AppError =>
    new AppError(error.code, {
      detail: error.message,
      hint,
      ...(error.data === undefined ? {} : { data: error.data }),
      cause: error,
    });
  if (error.exit === 4) return again(`berth login --registry ${baseUrl}`);
  // `berth up` starts the registry of this home, no other.
  if (error.code === 'not-running' && registry !== undefined)
    return again('Check the address, and that the registry runs.');
  return error;
}

/** The registry that runs in this home, with others or alone; undefined when none does. */
export async function ownRegistry(home: string): Promise<string | undefined> {
  return (await readRunFile(home))?.registry ?? (await loneRunFile(home, 'registry'))?.registry;
}

/**
 * The hub that runs in this home, with others or alone; undefined when none does. There is no default: whoever else
 * listens at the usual address must not get a client's token.
 */
export async function ownHub(home: string): Promise<string | undefined> {
  const [whole, lone] = [await readRunFile(home), await readPointer(loneRunFilePath(home, 'hub'))];
  const found = whole?.hub ?? lone?.['hub'];
  return typeof found === 'string' && URL.canParse(found) ? found : undefined;
}

/** What `berth serve` wrote about a server that runs alone. */
async function loneRunFile(
  home: string,
  server: 'hub' | 'registry',
): Promise<{ registry: string } | undefined> {
  const found = await readPointer(loneRunFilePath(home, server));
  return typeof found?.['registry'] === 'string' && URL.canParse(found['registry'])
    ? { registry: found['registry'] }
    : undefined;
}

/** What `berth up` wrote about itself; undefined when it isn't running here, or its file says nothing usable. */
export async function readRunFile(home: string): Promise<RunFile | undefined> {
  const { hub, registry, mcp, pid } = (await readPointer(runFilePath(home))) ?? {};
  if (![hub, registry, mcp].every((url) => typeof url === 'string' && URL.canParse(url))) return undefined;
  return { hub, registry, mcp, pid } as RunFile;
}

async function readPointer(path: string): Promise<Record<string, unknown> | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    const pointer = JSON.parse(text) as Record<string, unknown>;
    // A process that was killed leaves its file; whoever has its ports now is somebody else.
    process.kill(Number(pointer['pid']), 0);
    return pointer;
  } catch {
    // It is only a pointer: when it leads nowhere, the default addresses are tried.
    return undefined;
  }
}

async function tokenFor(from: {
  settings: Settings;
  baseUrl: string;
  /** The registry of this home. */
  own: string | undefined;
  tokenFile: string | undefined;
}): Promise<string | undefined> {
  const { settings, baseUrl, own, tokenFile } = from;
  if (tokenFile !== undefined) return readTokenFile(tokenFile);
  if (settings.token !== undefined) return settings.token;
  const stored = await credentialFor(settings.home, baseUrl);
  if (stored !== undefined) return stored;
  // Only to the registry that this home runs: whoever else listens there must not get it.
  if (baseUrl === own) return (await readIfThere(adminTokenPath(settings.home)))?.trim();
  return undefined;
}

async function readTokenFile(path: string): Promise<string> {
  const text = (await readIfThere(path))?.trim();
  if (text) return text;
  throw new AppError('usage-invalid', {
    detail: `There is no token in ${path}.`,
    hint: 'Name a file that holds nothing but the token.',
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new AppError('config-invalid', {
      detail: `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown fault'}).`,
      hint: 'Run the command as the account that owns the home.',
      cause: error,
    });
  }
}
