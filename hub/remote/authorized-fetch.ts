import { randomBytes } from 'node:crypto';
import {
  auth,
  computeScopeUnion,
  extractWWWAuthenticateParams,
  type FetchLike,
  isStrictScopeSuperset,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  OAuthError,
} from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import { boundedFetch } from '../runner/bounded-fetch.ts';
import type { SignInStore } from './sign-ins.ts';

/** A refused request is sent again after so many sign-ins at most: one for a token, one for a wider one. */
const MAX_SIGN_INS = 2;
/** Of one document of an authorization server. */
const DOCUMENT_MAX_BYTES = 1_048_576;
const RANDOM_BYTES = 32;

/**
 * Lets the user agree: opens the address, and answers with the parameters that the authorization server sent back to
 * the redirect address.
 */
export type Authorize = (authorizationUrl: URL) => Promise<URLSearchParams>;

export interface SignInParts {
  /** For errors. */
  skill: string;
  /** The MCP endpoint; a token goes nowhere else. */
  url: string;
  /** Everything goes through this, the authorization server's documents, too. */
  fetch: FetchLike;
  store: SignInStore;
  /** Undefined where nobody can be asked: then what a refresh token cannot mend fails. */
  authorize: Authorize | undefined;
  /** Where the authorization server sends the user back to; loopback (RFC 8252 §7.3). */
  redirectUrl: string;
  /** Where a document says who the hub is, for authorization servers that read one instead of registering it. */
  clientMetadataUrl?: string | undefined;
}

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
  const { skill, fetch, store } = parts;
  const { origin } = new URL(parts.url);
  let signingIn: Promise<void> | undefined;

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
      if (signIns === MAX_SIGN_INS) throw refused(skill, 'refuses the request with every token it is sent');
      // Another request may have brought a new token meanwhile.
      if (store.read().tokens?.access_token !== tokens?.access_token) continue;
      signingIn ??= signIn(parts, challenge).finally(() => (signingIn = undefined));
      await signingIn;
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

/** Signs in as the challenge asks, by a refresh where that is enough. What went wrong is told without a word of others. */
async function signIn(parts: SignInParts, challenge: Challenge): Promise<void> {
  const { skill, store, authorize } = parts;
  const { tokens } = store.read();
  // What was granted before is asked for again, or it would be lost (SEP-2350).
  const scope = challenge.wider ? computeScopeUnion(tokens?.scope, challenge.scope) : challenge.scope;
  // A refresh never widens a scope (RFC 6749 §6).
  const forceReauthorization = challenge.wider && isStrictScopeSuperset(scope, tokens?.scope);
  if (authorize === undefined && (tokens?.refresh_token === undefined || forceReauthorization)) {
    const { resourceMetadataUrl } = challenge;
    const asked = {
      ...(scope === undefined ? {} : { scope }),
      ...(resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl: resourceMetadataUrl.href }),
    };
    await store.keep({ ...store.read(), challenge: asked });
    throw refused(skill, forceReauthorization ? 'wants to be allowed more' : 'wants its user to sign in');
  }
  try {
    await authorizeBy(parts, {
      scope,
      forceReauthorization,
      resourceMetadataUrl: challenge.resourceMetadataUrl,
    });
  } catch (error) {
    throw error instanceof AppError ? error : refused(skill, `was not signed in to: ${kindOf(error)}`);
  }
}

interface Wanted {
  scope: string | undefined;
  resourceMetadataUrl: URL | undefined;
  forceReauthorization: boolean;
}

/** The SDK’s OAuth client (MCP, authorization), in its two halves: before and after the user agrees. */
async function authorizeBy(parts: SignInParts, wanted: Wanted): Promise<void> {
  const { skill, url, fetch, authorize } = parts;
  const provider = providerOf(parts, wanted.scope ?? '');
  const options = {
    serverUrl: url,
    fetchFn: wordless(boundedFetch(fetch, DOCUMENT_MAX_BYTES, () => undefined)),
    forceReauthorization: wanted.forceReauthorization,
    ...(wanted.scope === undefined ? {} : { scope: wanted.scope }),
    ...(wanted.resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl: wanted.resourceMetadataUrl }),
  };
  if ((await auth(provider, options)) === 'AUTHORIZED') return;
  const address = provider.askedFor();
  if (authorize === undefined || address === undefined) throw refused(skill, 'wants its user to sign in');
  const answer = await authorize(address);
  // RFC 9700 §4.7: an answer to another question than ours is none.
  if (answer.get('state') !== address.searchParams.get('state'))
    throw refused(skill, 'was not signed in to: the answer belongs to another sign-in');
  const authorizationCode = answer.get('code');
  if (authorizationCode === null)
    throw refused(skill, 'was not signed in to: the user or the server said no');
  const iss = answer.get('iss');
  await auth(provider, { ...options, authorizationCode, ...(iss === null ? {} : { iss }) });
}

/** The hub as the OAuth client of one sign-in: what outlasts it is in the store, what binds its halves is here. */
function providerOf({ store, authorize, redirectUrl, clientMetadataUrl }: SignInParts, wantedScope: string) {
  const state = randomBytes(RANDOM_BYTES).toString('base64url');
  let verifier = '';
  let discovery: OAuthDiscoveryState | undefined;
  let asked: URL | undefined;
  let registeredNow = false;
  const provider: OAuthClientProvider = {
    redirectUrl,
    ...(clientMetadataUrl === undefined ? {} : { clientMetadataUrl }),
    clientMetadata: {
      client_name: 'Berth',
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    state: () => state,
    async clientInformation(context) {
      const { issuer = '' } = context ?? {};
      const { registered, ...kept } = store.read();
      const known = kept.clients[issuer];
      // A registration is for scopes (RFC 7591 §2): what it does not cover takes a new one.
      if (known !== undefined)
        return registeredNow || covers(known['scope'], wantedScope) ? known : undefined;
      if (registered === undefined) return undefined;
      const client = { ...registered, issuer };
      await store.keep({ ...kept, clients: { ...kept.clients, [issuer]: client } });
      return client;
    },
    tokens: () => store.read().tokens,
    async saveTokens(tokens) {
      const { challenge: _answered, ...kept } = store.read();
      await store.keep({ ...kept, tokens });
    },
    saveCodeVerifier: (value) => void (verifier = value),
    codeVerifier: () => verifier,
    saveDiscoveryState: (found) => void (discovery = found),
    discoveryState: () => discovery,
    redirectToAuthorization: (url) => void (asked = url),
    async invalidateCredentials(what) {
      const { tokens, clients, ...kept } = store.read();
      if (what === 'tokens') await store.keep({ ...kept, clients });
      else if (what === 'client') await store.keep({ ...kept, ...(tokens && { tokens }), clients: {} });
    },
  };
  // Nobody registers the hub anywhere while nobody is there to use the registration.
  if (authorize !== undefined)
    provider.saveClientInformation = async (client, context) => {
      const kept = store.read();
      const { issuer = '' } = context ?? {};
      registeredNow = true;
      await store.keep({ ...kept, clients: { ...kept.clients, [issuer]: client } });
    };
  return Object.assign(provider, { askedFor: () => asked });
}

function covers(registered: unknown, wanted: string): boolean {
  if (typeof registered !== 'string') return true;
  const scopes = registered.split(' ');
  return wanted.split(' ').every((scope) => scope === '' || scopes.includes(scope));
}

/** What a server says beside an error code of RFC 6749 may repeat a secret, and the SDK puts it into messages. */
function wordless(fetch: FetchLike): FetchLike {
  return async (url, init) => {
    const response = await fetch(url, init);
    if (response.ok) return response;
    const code = await response.json().then(
      (answer) => (answer as { error?: unknown } | null)?.error,
      () => undefined,
    );
    const { status, headers } = response;
    const type = headers.get('www-authenticate');
    const body = isErrorCode(code) ? JSON.stringify({ error: code }) : null;
    return new Response(body, { status, headers: type === null ? {} : { 'www-authenticate': type } });
  };
}

function isErrorCode(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z_]{1,60}$/.test(value);
}

function kindOf(error: unknown): string {
  if (error instanceof OAuthError && isErrorCode(error.code)) return error.code;
  return error instanceof Error ? error.constructor.name : 'unknown';
}

/** Without a cause: what the SDK throws may repeat what a server said. */
function refused(skill: string, what: string): AppError {
  return new AppError('remote-sign-in', {
    detail: `The server of ${skill} ${what}.`,
    hint: `Sign in with: berth sign-in ${skill.replace(/@[^@]*$/, '')}`,
  });
}
