import type { Kysely, Transaction } from 'kysely';
import { AppError } from '../protocol/errors.ts';
import { createToken, hashOfToken } from '../protocol/node/tokens.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { Principal } from './mcp/gateway.ts';
import type { HubTables } from './store/schema.ts';
import { type Clock, timestamp } from './clock.ts';

/** On one machine every local client acts for this user. */
export const LOCAL_USER = 'owner';

/** The command line in audit records and policies: the admin, whose name no agent may have. */
export const CLI_CLIENT = 'cli';

/** How exact `lastSeenAt` is; writing it on every call would cost more than it tells. */
const LAST_SEEN_STEP_MS = 60_000;
const DAY_MS = 86_400_000;

/** How much of the hub a client is shown. */
export const MODES = ['all', 'profile', 'search'] as const;

/** What a client is shown: everything, a profile, or three tools that find the others (of a profile, if it has one). */
export interface Exposure {
  mode: (typeof MODES)[number];
  /** Always set where the mode is `profile`, never where it is `all`. */
  profile?: string | undefined;
}

const EVERYTHING: Exposure = { mode: 'all' };

export interface Client {
  name: string;
  user: string;
  createdAt: string;
  expiresAt: string | undefined;
  lastSeenAt: string | undefined;
  exposure: Exposure;
}

/** The MCP clients of this hub. Of a token only its hash is kept. */
export interface Clients {
  list(): readonly Client[];
  /** @throws AppError `client-exists`, `profile-not-found`. */
  add(
    name: string,
    expiresInDays: number | undefined,
    exposure?: Exposure,
  ): Promise<{ client: Client; token: string }>;
  /** Changes what a client is shown; answers with what it was before. @throws AppError `client-not-found`, `profile-not-found`. */
  expose(name: string, exposure: Exposure): Promise<{ client: Client; before: Exposure }>;
  /** What a client is shown; everything when there is no such client. */
  exposureOf(name: string): Exposure;
  /** Tells when what some client is shown has changed. */
  onExposure(listener: () => void): () => void;
  /** Ends the token at once. @throws AppError `client-not-found`. */
  remove(name: string): Promise<Client>;
  /** @throws AppError `not-signed-in` or `token-expired`. */
  authenticate(token: string): Principal;
}

interface ClientsParts {
  db: Kysely<HubTables>;
  audit: AuditLog;
  clock: Clock;
}

/** Loads the clients; authentication then needs no database. */
export async function openClients({ db, audit, clock }: ClientsParts): Promise<Clients> {
  const byHash = new Map<string, Client>();
  /** When it was last noted that a client was seen, by the hash of its token. */
  const notedAt = new Map<string, number>();
  /** Hashes of tokens that were taken, which would be made for every request; the tokens came here in each of them. */
  const hashes = new Map<string, string>();
  /** Hashes of clients whose removal has begun. */
  const ended = new Set<string>();
  const exposures = new Map<string, Exposure>();
  const listeners = new Set<() => void>();
  for (const row of await db.selectFrom('client').selectAll().where('removed_at', 'is', null).execute()) {
    const exposure = checkedExposure({ mode: row.mode, profile: row.profile ?? undefined });
    exposures.set(row.name, exposure);
    byHash.set(row.token_hash, {
      name: row.name,
      user: row.user,
      createdAt: row.created_at,
      expiresAt: row.expires_at ?? undefined,
      lastSeenAt: row.last_seen_at ?? undefined,
      exposure,
    });
  }

  function named(name: string): readonly [string, Client] {
    const found = [...byHash].find(([, client]) => client.name === name);
    if (found === undefined) throw noSuchClient(name);
    return found;
  }

  function noteSeen(hash: string, client: Client): void {
    const now = clock.now();
    if (now - (notedAt.get(hash) ?? 0) < LAST_SEEN_STEP_MS) return;
    notedAt.set(hash, now);
    const lastSeenAt = timestamp(clock);
    byHash.set(hash, { ...client, lastSeenAt });
    // Display only: when it cannot be written, nothing but this time is lost.
    db.updateTable('client')
      .set({ last_seen_at: lastSeenAt })
      .where('token_hash', '=', hash)
      .execute()
      .catch(() => undefined);
  }

  return {
    list: () => [...byHash.values()].toSorted((a, b) => a.name.localeCompare(b.name)),

    async add(name, expiresInDays, given = EVERYTHING) {
      const exposure = checkedExposure(given);
      const exists = () =>
        new AppError('client-exists', {
          detail: `A client named ${name} exists.`,
          hint: `Choose another name, or: berth clients rm ${name}`,
        });
      if (name === CLI_CLIENT) throw exists();
      const token = createToken();
      const client: Client = {
        name,
        user: LOCAL_USER,
        createdAt: timestamp(clock),
        expiresAt:
          expiresInDays === undefined
            ? undefined
            : new Date(clock.now() + expiresInDays * DAY_MS).toISOString(),
        lastSeenAt: undefined,
        exposure,
      };
      const hash = hashOfToken(token).toString('hex');
      await audit.transaction(async (trx, record) => {
        const same = trx.selectFrom('client').select('name').where('name', '=', name);
        if ((await same.where('removed_at', 'is', null).executeTakeFirst()) !== undefined) throw exists();
        await profileExists(trx, exposure);
        await trx
          .insertInto('client')
          .values({
            name,
            user: client.user,
            token_hash: hash,
            created_at: client.createdAt,
            expires_at: client.expiresAt ?? null,
            last_seen_at: null,
            removed_at: null,
            mode: exposure.mode,
            profile: exposure.profile ?? null,
          })
          .execute();
        const shown = exposure.mode === 'all' ? {} : { shown: exposure };
        record({ event: 'client.added', client: name, user: client.user, ...shown, by: LOCAL_USER });
      });
      byHash.set(hash, client);
      exposures.set(name, exposure);
      return { client, token };
    },

    async remove(name) {
      const [hash, client] = named(name);
      // Refused from now on, even if the write fails; then it can be removed once more.
      ended.add(hash);
      await audit.transaction(async (trx, record) => {
        await trx
          .updateTable('client')
          .set({ removed_at: timestamp(clock) })
          .where('token_hash', '=', hash)
          .execute();
        record({ event: 'client.removed', client: name, user: client.user, by: LOCAL_USER });
      });
      byHash.delete(hash);
      ended.delete(hash);
      notedAt.delete(hash);
      hashes.clear();
      exposures.delete(name);
      return client;
    },

    async expose(name, given) {
      const exposure = checkedExposure(given);
      const [hash] = named(name);
      await audit.transaction(async (trx, record) => {
        await profileExists(trx, exposure);
        const { numUpdatedRows } = await trx
          .updateTable('client')
          .set({ mode: exposure.mode, profile: exposure.profile ?? null })
          .where('token_hash', '=', hash)
          .where('removed_at', 'is', null)
          .executeTakeFirstOrThrow();
        if (numUpdatedRows === 0n) throw noSuchClient(name);
        record({ event: 'client.shown', client: name, shown: exposure, by: LOCAL_USER });
      });
      // Looked up again: meanwhile it may have been seen, or removed.
      const [, client] = named(name);
      const after = { ...client, exposure };
      byHash.set(hash, after);
      exposures.set(name, exposure);
      for (const listener of listeners) listener();
      return { client: after, before: client.exposure };
    },

    exposureOf: (name) => exposures.get(name) ?? EVERYTHING,

    onExposure(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

    authenticate(token) {
      const hash = hashes.get(token) ?? hashOfToken(token).toString('hex');
      const client = byHash.get(hash);
      if (client === undefined || ended.has(hash)) {
        throw new AppError('not-signed-in', {
          detail: 'This token is not known to the hub.',
          hint: 'Ask whoever runs the hub for a client token.',
        });
      }
      if (client.expiresAt !== undefined && clock.now() >= Date.parse(client.expiresAt)) {
        throw new AppError('token-expired', {
          detail: `The token of ${client.name} expired at ${client.expiresAt}.`,
          hint: 'Ask whoever runs the hub for a new one.',
        });
      }
      hashes.set(token, hash);
      noteSeen(hash, client);
      return { user: client.user, client: client.name };
    },
  };
}

/** @throws AppError `request-invalid` for a mode that lacks its profile or has no use for one. */
function checkedExposure({ mode, profile }: { mode: string; profile?: string | undefined }): Exposure {
  const known = MODES.find((one) => one === mode);
  const fits = known === 'all' ? profile === undefined : known === 'search' || profile !== undefined;
  if (known === undefined || !fits) {
    throw new AppError('request-invalid', {
      detail:
        known === 'all'
          ? 'The mode all shows everything and takes no profile.'
          : 'The mode is all, profile (with a profile) or search.',
      hint: 'Give --mode profile or --mode search with --profile NAME.',
    });
  }
  return profile === undefined ? { mode: known } : { mode: known, profile };
}

async function profileExists(trx: Transaction<HubTables>, { profile }: Exposure): Promise<void> {
  if (profile === undefined) return;
  const row = await trx.selectFrom('profile').select('name').where('name', '=', profile).executeTakeFirst();
  if (row === undefined) throw noSuchProfile(profile);
}

function noSuchClient(name: string): AppError {
  return new AppError('client-not-found', {
    detail: `No client is named ${name}.`,
    hint: 'berth clients ls shows them.',
  });
}

/** The fault of a name that no profile has. */
export function noSuchProfile(name: string): AppError {
  return new AppError('profile-not-found', {
    detail: `No profile is named ${name}.`,
    hint: 'berth profiles ls shows them.',
  });
}
