import type { Kysely } from 'kysely';
import { ARCHIVE_LIMITS } from '../protocol/archive.ts';
import { canonicalJson } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import { splitName } from '../protocol/manifest.ts';
import { callRoute, download } from '../protocol/node/http-client.ts';
import type { PublicKeyRecord } from '../protocol/provenance.ts';
import { registryApi, type VersionReply } from '../protocol/registry-api.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { HubTables } from './store/schema.ts';
import { type Clock, timestamp } from './clock.ts';

/** The registry as the hub sees it: somebody who may lie about anything that is not signed. */
export interface RegistryClient {
  readonly url: string;
  /** The key that signs receipts, as pinned when this registry was first seen. */
  pinnedKey(): Promise<PublicKeyRecord>;
  resolve(name: string, range: string): Promise<VersionReply>;
  /** The keys that may sign for the namespace of a skill. */
  keysFor(name: string): Promise<readonly PublicKeyRecord[]>;
  archive(digest: string): AsyncIterable<Uint8Array>;
}

interface RegistryClientParts {
  url: string;
  db: Kysely<HubTables>;
  audit: AuditLog;
  clock: Clock;
}

/** A client of the registry at `url`, which it pins on first contact. */
export function registryClient({ url, db, audit, clock }: RegistryClientParts): RegistryClient {
  return {
    url,

    async pinnedKey() {
      const current = (await callRoute(registryApi.registry, { baseUrl: url })).key;
      const key = canonicalJson({
        algorithm: current.algorithm,
        keyId: current.keyId,
        publicKey: current.publicKey,
      });
      const pin = await db
        .selectFrom('registry_pin')
        .select('key_json')
        .where('url', '=', url)
        .executeTakeFirst();
      if (pin === undefined) {
        await audit.transaction(async (trx, record) => {
          await trx
            .insertInto('registry_pin')
            .values({ url, key_json: key, pinned_at: timestamp(clock) })
            .execute();
          record({ event: 'registry.pinned', registry: url, keyId: current.keyId });
        });
      } else if (pin.key_json !== key) {
        throw new AppError('receipt-invalid', {
          detail: `The registry at ${url} shows another key than when this hub first saw it.`,
          hint: 'Ask the registry’s admin whether its key was replaced. Until then nothing is installed from it.',
        });
      }
      return JSON.parse(key) as PublicKeyRecord;
    },

    resolve: (name, range) => callRoute(registryApi.resolve, { baseUrl: url, query: { name, range } }),

    async keysFor(name) {
      const { namespace } = splitName(name);
      return (await callRoute(registryApi.keys, { baseUrl: url, params: { namespace } })).keys;
    },

    archive: (digest) =>
      download(registryApi.blob, {
        baseUrl: url,
        params: { hex: digest.replace('sha256:', '') },
        maxBytes: ARCHIVE_LIMITS.packedBytes,
      }),
  };
}
