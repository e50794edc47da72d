import { randomBytes } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { createToken, hashOfToken, isToken } from '../protocol/node/tokens.ts';
import type { TokenRecord } from '../protocol/registry-api.ts';
import { requireAdmin, type Caller } from './names.ts';
import type { Store, TokenRow } from './store/store.ts';

/** The token of the home's `admin.token` file goes by this id; it comes and goes with the file. */
const HOME_TOKEN_ID = 'home';

const DAY_MS = 86_400_000;

/**
 * Who an `Authorization` header speaks for; `undefined` without one. `not-signed-in` for anything
 * but a token of this registry, `token-expired` for one that was.
 */
export async function callerOf(
  { store, clock }: { store: Pick<Store, 'tokenByHash'>; clock: () => Date },
  authorization: string | undefined,
): Promise<Caller | undefined> {
  if (authorization === undefined) return undefined;
  const [, token] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
  if (token === undefined || !isToken(token)) throw notSignedIn('This is not the form of a token.');
  const row = await store.tokenByHash(hashOfToken(token));
  if (row === undefined) throw notSignedIn('This registry does not know the token, or it was removed.');
  if (row.expiresAt !== null && Date.parse(row.expiresAt) <= clock().getTime()) {
    throw new AppError('token-expired', {
      detail: `The token ${row.name} expired at ${row.expiresAt}.`,
      hint: 'Ask the admin of the registry for a new one.',
    });
  }
  return { tokenId: row.id, name: row.name, admin: row.admin, namespaces: row.namespaces };
}

function notSignedIn(detail: string): AppError {
  return new AppError('not-signed-in', { detail, hint: 'berth login --registry URL' });
}

interface TokenDeps {
  store: Store;
  clock: () => Date;
}

/** Makes a token. Its text is in this answer alone; only the hash is kept. */
export async function addToken(
  { store, clock }: TokenDeps,
  caller: Caller,
  asked: { name: string; namespaces: string[]; admin: boolean; expiresInDays: number | null },
): Promise<{ token: string; record: TokenRecord }> {
  requireAdmin(caller);
  if (!asked.admin && asked.namespaces.length === 0) {
    throw new AppError('request-invalid', {
      detail: 'A token needs a namespace in which it may publish, or to be an admin token.',
    });
  }
  const now = clock();
  const token = createToken();
  const row: TokenRow = {
    id: `tok_${randomBytes(8).toString('hex')}`,
    name: asked.name,
    hash: hashOfToken(token),
    admin: asked.admin,
    namespaces: asked.namespaces,
    createdAt: now.toISOString(),
    expiresAt:
      asked.expiresInDays === null
        ? null
        : new Date(now.getTime() + asked.expiresInDays * DAY_MS).toISOString(),
    lastUsedAt: null,
  };
  await store.change(async (change) => {
    await change.addToken(row);
    await change.audit({
      time: row.createdAt,
      byToken: caller.tokenId,
      action: 'token-added',
      subject: row.id,
    });
  });
  return { token, record: recordOf(row) };
}

/** Removes a token; requests with it are refused from now on. */
export async function removeToken(
  { store, clock }: TokenDeps,
  caller: Caller,
  id: string,
): Promise<TokenRecord> {
  requireAdmin(caller);
  if (id === HOME_TOKEN_ID) {
    throw new AppError('forbidden', {
      detail: 'The token of this home belongs to its admin.token file.',
      hint: 'Delete the file and restart to get a new one.',
    });
  }
  const time = clock().toISOString();
  return store.change(async (change) => {
    const removed = await change.removeToken(id);
    if (removed === undefined)
      throw new AppError('token-not-found', {
        detail: `There is no token ${id}.`,
        hint: 'berth tokens ls shows them.',
      });
    await change.audit({ time, byToken: caller.tokenId, action: 'token-removed', subject: id });
    return recordOf(removed);
  });
}

/** All tokens, oldest first, for an admin. */
export async function listTokens(
  { store }: { store: Pick<Store, 'tokens'> },
  caller: Caller,
): Promise<TokenRecord[]> {
  requireAdmin(caller);
  return (await store.tokens()).map(recordOf);
}

/** The caller's own token. */
export async function whoami(
  { store }: { store: Pick<Store, 'tokens'> },
  caller: Caller,
): Promise<TokenRecord> {
  const row = (await store.tokens()).find(({ id }) => id === caller.tokenId);
  if (row === undefined) throw notSignedIn('The token has just been removed.');
  return recordOf(row);
}

function recordOf({ id, name, admin, namespaces, createdAt, expiresAt, lastUsedAt }: TokenRow): TokenRecord {
  return { id, name, admin, namespaces, createdAt, expiresAt, lastUsedAt };
}

/** Makes the token of the home's file the only one of its kind, or removes it where there is no file. */
export async function setHomeToken({ store, clock }: TokenDeps, token: string | undefined): Promise<void> {
  const hash = token === undefined ? undefined : hashOfToken(token);
  const known = (await store.tokens()).find(({ id }) => id === HOME_TOKEN_ID);
  if (hash === undefined ? known === undefined : known?.hash.equals(hash) === true) return;
  await store.change(async (change) => {
    await change.removeToken(HOME_TOKEN_ID);
    if (hash === undefined) return;
    await change.addToken({
      id: HOME_TOKEN_ID,
      name: 'admin.token',
      hash,
      admin: true,
      namespaces: [],
      createdAt: clock().toISOString(),
      expiresAt: null,
      lastUsedAt: null,
    });
  });
}
