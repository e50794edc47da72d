import { mkdir } from 'node:fs/promises';
import { createPublicKey, verify } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { lockHome, openDatabase } from '../protocol/node/database.ts';
import { listen } from '../protocol/node/http-server.ts';
import { readOrCreateKey } from '../protocol/node/keys.ts';
import type { Logger } from '../protocol/node/logger.ts';
import { rateLimiter } from '../protocol/node/rate-limit.ts';
import { readOrCreateToken } from '../protocol/node/tokens.ts';
import type { PublicKeyRecord } from '../protocol/provenance.ts';
import type { Blobs } from './blobs/blobs.ts';
import { fsBlobs } from './blobs/fs.ts';
import type { RegistryConfig } from './config.ts';
import { registryApp } from './http.ts';
import { verifyLog } from './log/log.ts';
import { addKey, OWNER } from './names.ts';
import { registryPaths } from './paths.ts';
import { keySigner, type RegistrySigner } from './signing/signing.ts';
import { registryMigration } from './store/migrations/0001-registry.ts';
import { textSearchMigration } from './store/migrations/0002-text-search.ts';
import type { Tables } from './store/schema.ts';
import { sqlStore } from './store/sql.ts';
import { fts5Index } from './store/sqlite.ts';
import type { Store } from './store/store.ts';
import { setHomeToken } from './tokens.ts';
import { usageCounter } from './usage.ts';

/** Everything outside the process that a registry works with. */
export interface RegistryAdapters {
  store: Store;
  blobs: Blobs;
  signer: RegistrySigner;
  /** Gives the data folder free. */
  release(): void;
}

/** A running registry. */
export interface Registry {
  /** `http://127.0.0.1:4751`, without a trailing slash. */
  url: string;
  /** The key under its receipts and tree heads. */
  key: PublicKeyRecord;
  /** Finishes running requests for a bounded time, then lets go of everything. */
  stop(): Promise<void>;
  /** What the process that owns the registry may do without a token. */
  admin: {
    /** Registers a key for a namespace or a pattern such as `local.*`; again is no change. */
    registerKey(namespace: string, record: PublicKeyRecord): Promise<void>;
  };
}

/** An archive that was uploaded this long ago and never published is dropped at the next start. */
const ORPHAN_AFTER_MS = 24 * 60 * 60 * 1_000;

/**
 * Starts a registry on its data folder. `already-running` when another process has the folder or the
 * port, `data-newer` and `data-damaged` when what is there cannot be trusted.
 */
export async function startRegistry(config: RegistryConfig, { log }: { log: Logger }): Promise<Registry> {
  return serveRegistry(config, await openAdapters(config), { log });
}

/** Opens the one-machine adapters: SQLite and the file system, locked for this process. */
export async function openAdapters(config: RegistryConfig): Promise<RegistryAdapters> {
  const paths = registryPaths(config.dataDir);
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const lock = lockHome(config.dataDir);
  try {
    const signer = keySigner(await readOrCreateKey(paths.signingKey), config.name);
    const migrations = [registryMigration, textSearchMigration];
    const store = sqlStore(await openDatabase<Tables>(paths.database, { migrations }), fts5Index);
    return { store, blobs: await fsBlobs(paths.blobs), signer, release: () => lock.release() };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Serves a registry over given adapters, which it closes when it stops. */
export async function serveRegistry(
  config: RegistryConfig,
  { store, blobs, signer, release }: RegistryAdapters,
  { log }: { log: Logger },
): Promise<Registry> {
  const clock = () => new Date();
  const usage = usageCounter({ store, clock, log });
  const close = async () => {
    await usage.stop();
    await store.close();
    release();
  };
  try {
    await checkIdentity(store, signer);
    const { adminTokenFile } = config;
    await setHomeToken(
      { store, clock },
      adminTokenFile === undefined ? undefined : await readOrCreateToken(adminTokenFile),
    );
    const before = new Date(clock().getTime() - ORPHAN_AFTER_MS);
    const { removed } = await blobs.sweep({ before, isNeeded: (digest) => store.isPublished(digest) });
    if (removed > 0) log.info({ removed }, 'dropped archives that were never published');

    const app = registryApp(
      { store, blobs, signer, usage, limiter: rateLimiter({ now: () => clock().getTime() }), clock, log },
      config,
    );
    const { url, close: closeServer } = await listen(app, { host: config.host, port: config.port });
    log.info({ url }, 'registry is ready');
    return {
      url,
      key: signer.record,
      stop: async () => {
        await closeServer();
        await close();
      },
      admin: {
        registerKey: async (namespace, record) =>
          void (await addKey({ store, signer, clock }, OWNER, { namespace, record })),
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The log, its signed head and the registry's key belong together, or nothing here can be believed. */
async function checkIdentity(store: Store, signer: RegistrySigner): Promise<void> {
  const { keyId, publicKey } = signer.record;
  const bound = await store.bindIdentity(keyId);
  if (bound !== keyId) {
    throw new AppError('data-damaged', {
      detail: `The database belongs to the registry key ${bound}, but the key file holds ${keyId}.`,
      hint: 'Put back the key file that belongs to this database.',
    });
  }
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  const holds = (bytes: Buffer, signature: string) =>
    verify(null, bytes, key, Buffer.from(signature, 'base64'));
  await verifyLog(store, holds, signer.origin);
}
