import { createHash } from 'node:crypto';
import { decodeJwt, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { AppError } from '../../protocol/errors.ts';
import type { Clock } from '../clock.ts';
import type { Principal } from '../mcp/gateway.ts';
import type { OAuthConfig } from './config.ts';
import { knownScopes } from './scopes.ts';

/** As long as audit records and policies take names. */
const MAX_NAME_CHARS = 200;
const AGREED_MS = 30_000;
const MAX_AGREED = 1_000;
const JWT = /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/;

/** Whether a text is meant to be a JWT. The hub's own tokens have no dot, so that none is ever taken for one. */
export function looksLikeJwt(token: string): boolean {
  return JWT.test(token);
}

interface TokenParts {
  config: OAuthConfig;
  /** By issuer. */
  keys: ReadonlyMap<string, JWTVerifyGetKey>;
  clock: Clock;
}

/**
 * Says whom an access token of an authorization server stands for. Everything about it is checked here: which
 * issuer, its signature, that it was made for this hub, is of the right kind and within its time (RFC 9068 §4).
 * @throws AppError `not-signed-in`, `token-expired`, `unavailable`.
 */
export function accessTokens({ config, keys, clock }: TokenParts): (token: string) => Promise<Principal> {
  /** Verdicts of the last moments: a request asks twice, and clients send many with one token. */
  const agreed = new Map<string, { principal: Principal; until: number }>();

  return async function principalOf(token) {
    const digest = createHash('sha256').update(token).digest('base64');
    const before = agreed.get(digest);
    if (before !== undefined && clock.now() < before.until) return before.principal;
    const claims = await verified({ config, keys, clock }, token);
    const principal = principalOfClaims(config, claims);
    for (const oldest of agreed.keys()) {
      if (agreed.size < MAX_AGREED) break;
      agreed.delete(oldest);
    }
    const expires = ((claims.exp ?? 0) + config.clockSkewSeconds) * 1_000;
    agreed.set(digest, { principal, until: Math.min(expires, clock.now() + AGREED_MS) });
    return principal;
  };
}

async function verified({ config, keys, clock }: TokenParts, token: string): Promise<JWTPayload> {
  const issuer = claimedIssuer(token);
  const find = keys.get(issuer);
  if (find === undefined)
    throw refused('The token is of an authorization server that this hub does not trust.');
  try {
    const { payload, protectedHeader } = await jwtVerify(token, find, {
      issuer,
      audience: audiencesOf(config.resource),
      algorithms: [...config.algorithms],
      requiredClaims: ['exp', config.userClaim],
      clockTolerance: config.clockSkewSeconds,
      currentDate: new Date(clock.now()),
    });
    refuseOtherKind(config, protectedHeader.typ);
    return payload;
  } catch (error) {
    throw refusalOf(error);
  }
}

/** Read before anything is checked, only to choose whose keys the check is made with. */
function claimedIssuer(token: string): string {
  try {
    return String(decodeJwt(token).iss);
  } catch (error) {
    throw refusalOf(error);
  }
}

/** A URL without a path has two spellings (RFC 3986 §6.2.3), and clients of older MCP SDKs send the other one. */
function audiencesOf(resource: string): string[] {
  return new URL(resource).pathname === '/' ? [resource, `${resource}/`] : [resource];
}

/** RFC 9068 §4: an ID token or a logout token of the same issuer is no access token. */
function refuseOtherKind({ tokenTypes }: OAuthConfig, typ: string | undefined): void {
  const kind = (typ ?? 'JWT').toLowerCase().replace(/^application\//, '');
  if (!tokenTypes.some((allowed) => allowed.toLowerCase() === kind))
    throw refused(`The token is no access token of a kind that this hub takes (${tokenTypes.join(', ')}).`);
}

/**
 * Whom verified claims stand for. User and client are named within their issuer, so that no issuer can name
 * those of another, and none the local user. @throws AppError `not-signed-in`.
 */
export function principalOfClaims(config: OAuthConfig, claims: JWTPayload): Principal {
  // RFC 9449 §7.2, RFC 8705 §3: the proof that comes with such a token is not checked here.
  if (claims['cnf'] !== undefined)
    throw refused('The token is bound to a key of its client, which this hub cannot check.');
  const within = (claim: unknown, what: string): string => {
    const name = `${typeof claim === 'string' ? claim : ''}@${claims.iss}`;
    if (typeof claim !== 'string' || claim === '' || /[\p{C}\p{Z}]/u.test(claim))
      throw refused(`The token does not name ${what} in letters that can be recorded.`);
    if (name.length > MAX_NAME_CHARS) throw refused(`The token names ${what} by too long a name.`);
    return name;
  };
  return {
    user: within(claims[config.userClaim], 'its user'),
    client: within(claims['client_id'] ?? claims['azp'], 'its client'),
    scopes: knownScopes(config.scopes, scopesOf(claims)),
  };
}

/** RFC 9068 §2.2.3; some servers write `scp`, some a list. */
function scopesOf(claims: JWTPayload): string[] {
  const said = claims['scope'] ?? claims['scp'];
  if (Array.isArray(said)) return said.filter((scope) => typeof scope === 'string');
  return typeof said === 'string' ? said.split(' ') : [];
}

function refusalOf(error: unknown): unknown {
  if (error instanceof errors.JWTExpired)
    return new AppError('token-expired', { detail: 'The access token has expired.', cause: error });
  if (error instanceof errors.JWTClaimValidationFailed)
    return refused(`The claim ${error.claim} of the token does not fit this hub.`, error);
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported)
    return refused('The token is signed in a way that this hub does not take.', error);
  if (error instanceof errors.JWKSNoMatchingKey)
    return refused('The token is signed with a key that its authorization server does not have.', error);
  if (error instanceof errors.JOSEError)
    return refused('The token is not one that its authorization server signed.', error);
  if (error instanceof AppError) return error;
  return new AppError('unavailable', {
    detail: 'The token cannot be checked: the keys of its authorization server are of no use.',
    cause: error,
  });
}

function refused(detail: string, cause?: unknown): AppError {
  return new AppError('not-signed-in', { detail, cause });
}
