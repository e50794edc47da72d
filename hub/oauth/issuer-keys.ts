import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import type { Clock } from '../clock.ts';
import type { Issuer } from './config.ts';
import type { FetchJson } from './fetch-json.ts';

/** Keys are asked for anew after so long. */
const FRESH_MS = 10 * 60_000;
/** An issuer that cannot be reached is believed on its last word for so long, and no longer. */
const LAST_WORD_MS = 60 * 60_000;
/** How often a key that nobody knows, or a failure, may make the hub ask again: tokens are cheap to invent. */
const COOLDOWN_MS = 30_000;
const FAILURE_COOLDOWN_MS = 5_000;
const MAX_KEYS = 100;

const metadataSchema = z.object({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https?$/ }).max(2_048) });
const jwksSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(MAX_KEYS) });

interface KeysParts {
  fetchJson: FetchJson;
  clock: Clock;
}

/**
 * The keys of one issuer, found through its metadata (RFC 8414, OpenID Connect Discovery) when the first token
 * comes, kept, and asked for anew when a token names an unknown one – so that a rotation needs no restart.
 * @throws AppError `unavailable` when they cannot be had: then no token of the issuer is accepted.
 */
export function issuerKeys({ fetchJson, clock }: KeysParts, issuer: Issuer): JWTVerifyGetKey {
  let known: { find: JWTVerifyGetKey; at: number } | undefined;
  let failed: { at: number; error: AppError } | undefined;
  let asking: Promise<JWTVerifyGetKey> | undefined;

  async function ask(): Promise<JWTVerifyGetKey> {
    if (failed !== undefined && clock.now() - failed.at < FAILURE_COOLDOWN_MS) throw failed.error;
    try {
      const jwksUrl = issuer.jwksUrl ?? (await discoverJwks(fetchJson, issuer.url));
      const find = createLocalJWKSet(jwksSchema.parse(await fetchJson(jwksUrl)));
      known = { find, at: clock.now() };
      failed = undefined;
      return find;
    } catch (cause) {
      const error = new AppError('unavailable', {
        detail: `The authorization server ${issuer.url} cannot be asked for its keys, so no token of it can be checked.`,
        hint: 'Try again in a while.',
        cause,
      });
      failed = { at: clock.now(), error };
      throw error;
    }
  }

  /** However many tokens wait, the issuer is asked once. */
  function askOnce(): Promise<JWTVerifyGetKey> {
    asking ??= ask().finally(() => (asking = undefined));
    return asking;
  }

  async function current(): Promise<JWTVerifyGetKey> {
    if (known === undefined) return askOnce();
    const age = clock.now() - known.at;
    if (age < FRESH_MS) return known.find;
    const last = known.find;
    return askOnce().catch((error: unknown) => {
      if (age < LAST_WORD_MS) return last;
      throw error;
    });
  }

  return async function find(header, token) {
    const keys = await current();
    try {
      return await keys(header, token);
    } catch (error) {
      const mayAsk = known === undefined || clock.now() - known.at >= COOLDOWN_MS;
      if (!(error instanceof errors.JWKSNoMatchingKey) || !mayAsk) throw error;
      return (await askOnce())(header, token);
    }
  };
}

async function discoverJwks(fetchJson: FetchJson, issuer: string): Promise<string> {
  for (const url of metadataUrls(issuer)) {
    const document = await fetchJson(url);
    if (document === undefined) continue;
    const { issuer: said, jwks_uri: jwksUrl } = metadataSchema.parse(document);
    // RFC 8414 §3.3: what calls itself otherwise must not be used.
    if (said !== issuer) throw new Error(`${url} speaks for another issuer`);
    if (issuer.startsWith('https:') && !jwksUrl.startsWith('https:'))
      throw new Error(`${url} names keys at an address that is not encrypted`);
    return jwksUrl;
  }
  throw new Error(`${issuer} has no metadata`);
}

/** Where an issuer's metadata may be, in the order in which MCP clients look, too. */
export function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    ...(path === '' ? [] : [`${origin}${path}/.well-known/openid-configuration`]),
  ];
}
