import type { FetchLike } from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { headerOf, hostCovers, type Permissions } from '../../protocol/permissions.ts';
import type { RemotePlan } from '../runner/remote.ts';
import { authorizedFetch } from './authorized-fetch.ts';
import type { SignInParts } from './oauth-client.ts';

type Remote = Extract<Manifest['runtime'], { kind: 'remote' }>;

/** What reaching a remote server takes. */
export interface RemoteOrder extends SignInParts {
  runtime: Remote;
  /** What was granted: without a grant for its address nothing is sent. */
  permissions: Permissions;
  /** Granted secrets by name, of which those go out that the server is to have in a header. */
  secrets: ReadonlyMap<string, string>;
}

/**
 * How a remote skill's server is reached for one user.
 * @throws AppError `remote-failed` when its address is not granted.
 */
export function remotePlan({ runtime, permissions, secrets, ...signIn }: RemoteOrder): RemotePlan {
  const { skill: label, url } = signIn;
  const missing = ungranted(runtime, permissions);
  if (missing !== undefined) throw new AppError('remote-failed', { detail: missing });
  const { origin } = new URL(url);
  const { host } = addressOf(url);
  const headers = permissions.secrets.flatMap(({ name, inject }): [string, string][] => {
    const target = headerOf(inject);
    const value = secrets.get(name);
    return target?.host === host && value !== undefined ? [[target.header, value]] : [];
  });
  const fetch = withHeaders(signIn.fetch, origin, headers);
  return { label, url, fetch: authorizedFetch({ ...signIn, fetch }) };
}

/** Why a remote skill with these grants is not reached, in a sentence; undefined when it is. */
export function ungranted({ url }: Remote, { network }: Permissions): string | undefined {
  const { host, wanted } = addressOf(url);
  return network.some(
    (grant) => grant.protocol !== 'http' && hostCovers(grant.host, host) && grant.port === wanted,
  )
    ? undefined
    : `Requests to ${host}:${wanted}, where it runs, were not granted.`;
}

/** As permissions name it: an address of IPv6 has no brackets there. */
function addressOf(url: string): { host: string; wanted: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), wanted: port === '' ? 443 : Number(port) };
}

/** Secrets go to the server that they are for, and nowhere else. */
function withHeaders(fetch: FetchLike, origin: string, headers: readonly [string, string][]): FetchLike {
  return (url, init) => {
    if (headers.length === 0 || new URL(url).origin !== origin) return fetch(url, init);
    const all = new Headers(init?.headers);
    for (const [name, value] of headers) all.set(name, value);
    return fetch(url, { ...init, headers: all });
  };
}
