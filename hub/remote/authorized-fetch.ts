import { isDeepStrictEqual } from 'node:util';
import {
  computeScopeUnion,
  extractWWWAuthenticateParams,
  type FetchLike,
  isStrictScopeSuperset,
} from '@modelcontextprotocol/client';
import { authorizeBy, refused, type SignInParts } from './oauth-client.ts';
import type { SignInStore, Wish } from './sign-ins.ts';

/** A refused request is sent again after so many sign-ins at most: one for a token, one for a wider one. */
const MAX_SIGN_INS = 2;

/** What a server answers to a request that it wants a token, or a wider one, for (RFC 6750 §3, RFC 9728 §5.1). */
interface Challenge {
  wider: boolean;
  scope: string | undefined;
  resourceMetadataUrl: URL | undefined;
}

/**
 * A `fetch` for the requests to one remote server, which sends the user's token there and to no other origin. A request
 * that is refused for want of one waits for a sign-in, or a refresh, which all of them share, and is sent again.
 * @throws AppError `remote-sign-in` when there is nobody to ask, the sign-in fails, or it does not help.
 */
export function authorizedFetch(parts: SignInParts): FetchLike {
  const { skill, fetch, store, sharing } = parts;
  const { origin } = new URL(parts.url);

  return async (url, init) => {
    if (new URL(url).origin !== origin) return fetch(url, init);
    for (let signIns = 0; ; signIns += 1) {
      const { tokens } = store.read();
      const headers = new Headers(init?.headers);
      if (tokens !== undefined) headers.set('authorization', `Bearer ${tokens.access_token}`);
      const response = await fetch(url, { ...init, headers });
      const challenge = challengeIn(response);
      if (challenge === undefined) return response;
      await response.body?.cancel();
      if (signIns === MAX_SIGN_INS) {
        await remember(store, wishOf(challenge, tokens?.scope));
        throw refused(skill, 'refuses the request with every token it is sent');
      }
      // Another request may have brought a new token meanwhile.
      if (store.read().tokens?.access_token !== tokens?.access_token) continue;
      await sharing(() => signIn(parts, challenge));
    }
  };
}

function challengeIn(response: Response): Challenge | undefined {
  if (response.status !== 401 && response.status !== 403) return undefined;
  const { error, scope, resourceMetadataUrl } = extractWWWAuthenticateParams(response);
  const wider = response.status === 403;
  if (wider && error !== 'insufficient_scope') return undefined;
  return { wider, scope, resourceMetadataUrl };
}

/** Signs in as the challenge asks, by a refresh where that is enough. */
async function signIn(parts: SignInParts, challenge: Challenge): Promise<void> {
  const { skill, store, authorize } = parts;
  const { tokens } = store.read();
  const wish = wishOf(challenge, tokens?.scope);
  // A refresh never widens a scope (RFC 6749 §6).
  const forceReauthorization = challenge.wider && isStrictScopeSuperset(wish.scope, tokens?.scope);
  if (authorize === undefined) {
    // A refresh that works forgets it.
    await remember(store, wish);
    if (forceReauthorization) throw refused(skill, 'wants to be allowed more');
    if (tokens?.refresh_token === undefined) throw refused(skill, 'wants its user to sign in');
  }
  await authorizeBy(parts, { ...wish, forceReauthorization });
}

/** What was granted before is asked for again, or it would be lost (SEP-2350). */
function wishOf({ wider, scope, resourceMetadataUrl }: Challenge, granted: string | undefined): Wish {
  const wanted = wider ? computeScopeUnion(granted, scope) : scope;
  return {
    ...(wanted === undefined ? {} : { scope: wanted }),
    ...(resourceMetadataUrl && { resourceMetadataUrl: resourceMetadataUrl.href }),
  };
}

/** For whoever signs in later. */
async function remember(store: SignInStore, wish: Wish): Promise<void> {
  const kept = store.read();
  if (!isDeepStrictEqual(kept.wish, wish)) await store.keep({ ...kept, wish });
}
