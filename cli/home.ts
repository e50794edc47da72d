import { join } from 'node:path';

/** Every path of the home that the CLI names; what is inside `hub/` and `registry/` belongs to those servers. */

/** URLs of the servers that run in this home; gone when they don't. */
export const runFilePath = (home: string): string => join(home, 'run.json');
/** The same of one server that runs alone. */
export const loneRunFilePath = (home: string, server: 'hub' | 'registry'): string =>
  join(home, `run.${server}.json`);
/** Publishes to the embedded registry. */
export const adminTokenPath = (home: string): string => join(home, 'admin.token');
/** Tokens of other registries, from `berth login`. */
export const credentialsPath = (home: string): string => join(home, 'credentials.json');
/** Tokens of clients that `berth proxy` speaks for. */
export const clientTokensDir = (home: string): string => join(home, 'clients');
/** One of them. */
export const clientTokenPath = (home: string, client: string): string =>
  join(clientTokensDir(home), `${client}.token`);
/** The author's keys. */
export const keysDir = (home: string): string => join(home, 'keys');
/** One author key. */
export const keyPath = (home: string, name: string): string => join(keysDir(home), `${name}.pem`);
/** What is known of settings of clients that were replaced, for the way back. */
export const replacedConfigsDir = (home: string): string => join(home, 'replaced-configs');
/** Everything of the hub. */
export const hubDir = (home: string): string => join(home, 'hub');
/** The hub's admin API. */
export const adminSocketPath = (home: string): string => join(hubDir(home), 'admin.sock');
/** Everything of the registry. */
export const registryDir = (home: string): string => join(home, 'registry');
