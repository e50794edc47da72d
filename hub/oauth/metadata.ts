import type { Challenge } from '../mcp/errors.ts';
import type { OAuthConfig } from './config.ts';
import { scopeToEnter } from './scopes.ts';

/** RFC 9728 §3.1. */
export const METADATA_PATH = '/.well-known/oauth-protected-resource';
const DOOR = /^\/(?:mcp|s\/([\w.-]{1,200})\/([\w.-]{1,200})\/mcp)$/;

/** RFC 9728 §2. The same at every door: the hub is one resource, so that a token for it serves at each. */
export function protectedResource(config: OAuthConfig): Record<string, unknown> {
  return {
    resource: config.resource,
    authorization_servers: config.issuers.map(({ url }) => url),
    scopes_supported: Object.keys(config.scopes),
    bearer_methods_supported: ['header'],
    resource_name: 'Berth',
  };
}

/** What a request at this path is told when it brings no token, or one that is not taken. */
export function challengeAt(config: OAuthConfig, path: string): Challenge {
  const [door = '', namespace, name] = DOOR.exec(path) ?? [];
  const scope = namespace === undefined ? undefined : scopeToEnter(config.scopes, `${namespace}/${name}`);
  return {
    resourceMetadata: `${new URL(config.resource).origin}${METADATA_PATH}${door}`,
    ...(scope === undefined ? {} : { scope }),
  };
}
