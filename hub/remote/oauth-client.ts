import { randomBytes } from 'node:crypto';
import {
  auth,
  type FetchLike,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  OAuthError,
} from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import { boundedFetch } from '../runner/bounded-fetch.ts';
import type { SignInStore, Wish } from './sign-ins.ts';

/** Of one document of an authorization server. */
const DOCUMENT_MAX_BYTES = 1_048_576;
const DOCUMENT_TIMEOUT_MS = 30_000;
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);
const RANDOM_BYTES = 32;

/**
 * Lets the user agree: opens the address, and answers with the parameters that the authorization server sent back to
 * the redirect address.
 */
export type Authorize = (authorizationUrl: URL) => Promise<URLSearchParams>;

/** Runs one piece of work at a time; who comes meanwhile waits for that one instead. A refresh token is good once. */
export type Sharing = (work: () => Promise<void>) => Promise<void>;

export function createSharing(): Sharing {
  let running: Promise<void> | undefined;
  return (work) => {
    running ??= work().finally(() => (running = undefined));
    return running;
  };
}

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
  /** Shared by all requests of this user to this server. */
  sharing: Sharing;
  /** Where the authorization server sends the user back to; loopback (RFC 8252 §7.3). */
  redirectUrl: string;
  /** Where a document says who the hub is, for authorization servers that read one instead of registering it. */
  clientMetadataUrl?: string | undefined;
}

/** Lets the user sign in for what a server wished for before; whatever they have of tokens is replaced. */
export function signInAnew(parts: SignInParts & { authorize: Authorize }, wish: Wish): Promise<void> {
  return authorizeBy(parts, { ...wish, forceReauthorization: true });
}

/**
 * Gets a token: by a refresh where there is one to refresh and nothing more is wanted, else through the user. What went
 * wrong is told without a word of others.
 * @throws AppError `remote-sign-in`, and what the way out of this machine throws.
 */
export async function authorizeBy(
  parts: SignInParts,
  wanted: Wish & { forceReauthorization: boolean },
): Promise<void> {
  try {
    await authorizeInHalves(parts, wanted);
  } catch (error) {
    throw error instanceof AppError ? error : refused(parts.skill, `was not signed in to: ${kindOf(error)}`);
  }
}

/** The SDK’s OAuth client (MCP, authorization), before and after the user agrees. */
async function authorizeInHalves(
  parts: SignInParts,
  { scope, resourceMetadataUrl, forceReauthorization }: Wish & { forceReauthorization: boolean },
): Promise<void> {
  const { skill, url, fetch, authorize } = parts;
  const provider = providerOf(parts, scope ?? '');
  const options = {
    serverUrl: url,
    fetchFn: wordless(boundedFetch(inTime(fetch), DOCUMENT_MAX_BYTES, () => undefined)),
    forceReauthorization,
    ...(scope === undefined ? {} : { scope }),
    ...(resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl: new URL(resourceMetadataUrl) }),
  };
  if ((await auth(provider, options)) === 'AUTHORIZED') return;
  const address = provider.askedFor();
  if (authorize === undefined || address === undefined) throw refused(skill, 'wants its user to sign in');
  if (!isBrowsable(address)) throw refused(skill, 'was not signed in to: it names no address for a browser');
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
      const { wish: _fulfilled, ...kept } = store.read();
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

function isBrowsable({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname));
}

function inTime(fetch: FetchLike): FetchLike {
  return (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(DOCUMENT_TIMEOUT_MS) });
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
export function refused(skill: string, what: string): AppError {
  return new AppError('remote-sign-in', {
    detail: `The server of ${skill} ${what}.`,
    hint: `Sign in with: berth sign-in ${skill.replace(/@[^@]*$/, '')}`,
  });
}
