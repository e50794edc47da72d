import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import type { Clock } from '../clock.ts';
import type { Clients } from '../clients.ts';
import type { InstalledSkills } from '../installed.ts';
import type { EndpointParts } from '../mcp/endpoint.ts';
import type { Gateway } from '../mcp/gateway.ts';
import { accessTokens, looksLikeJwt } from './access-token.ts';
import type { OAuthConfig } from './config.ts';
import type { FetchJson } from './fetch-json.ts';
import { issuerKeys } from './issuer-keys.ts';
import { challengeAt, protectedResource } from './metadata.ts';
import { scopedGateway, type ScopedGateway } from './scoped-gateway.ts';

interface OAuthParts {
  gateway: Gateway;
  clients: Pick<Clients, 'authenticate'>;
  installed: InstalledSkills;
  fetchJson: FetchJson;
  clock: Clock;
}

/** What the MCP endpoint is given, and the document for clients that look for a token. */
export type ClientAccess = Pick<EndpointParts, 'gateway' | 'authenticate' | 'authorize' | 'challengeAt'> & {
  /** RFC 9728; `undefined` where only tokens of the hub's own are taken. */
  protectedResource?: Record<string, unknown>;
};

/**
 * Who gets in and sees what where authorization servers are configured: local clients by their tokens, and whoever
 * brings an access token of one of these, within its scopes.
 */
export function clientAccess(
  config: OAuthConfig,
  { gateway, clients, installed, fetchJson, clock }: OAuthParts,
): ClientAccess {
  const keys = new Map(
    config.issuers.map((issuer) => [issuer.url, issuerKeys({ fetchJson, clock }, issuer)]),
  );
  const principalOf = accessTokens({ config, keys, clock });
  const scoped = scopedGateway({ gateway, installed, scopes: config.scopes });
  return {
    gateway: scoped,
    authenticate: (token) => (looksLikeJwt(token) ? principalOf(token) : clients.authenticate(token)),
    authorize: stepUp(scoped),
    challengeAt: (path) => challengeAt(config, path),
    protectedResource: protectedResource(config),
  };
}

const message = z.object({
  method: z.enum(['tools/call', 'prompts/get', 'resources/read', 'completion/complete']),
  params: z.record(z.string(), z.unknown()),
});

/**
 * Refuses a request that its token does not cover while HTTP can still say so (403), because that is what makes a
 * client ask for more. It decides nothing: the gateway refuses the same once more, whatever the message looks like.
 */
function stepUp({ refuseUncovered }: ScopedGateway): NonNullable<EndpointParts['authorize']> {
  return function authorize(principal, scope, body) {
    for (const sent of Array.isArray(body) ? body : [body]) {
      const asked = message.safeParse(sent);
      if (!asked.success) continue;
      try {
        refuseUncovered(principal, scope, asked.data);
      } catch (error) {
        if (error instanceof AppError && error.status === 403) throw error;
      }
    }
  };
}
