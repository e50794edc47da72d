import { z } from 'zod';
import { ARCHIVE_LIMITS } from '../protocol/archive.ts';
import { loadConfig, type ConfigSources } from '../protocol/node/config.ts';
import { LOG_LEVELS } from '../protocol/node/logger.ts';
import { bucketSettings } from '../protocol/node/rate-limit.ts';

/** Every setting of a registry. */
export const registryConfigSchema = z.strictObject({
  dataDir: z.string().min(1).describe('Folder of the database, the archives and the signing key.'),
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'must be a host name')
    .default('local')
    .describe('Name of the registry; its log signs under it, so it should never change.'),
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
  port: z.int().min(0).max(65_535).default(4751).describe('Port to listen on; 0 takes any free one.'),
  hosts: z
    .array(z.string().min(1))
    .default([])
    .describe('Further host names by which clients reach it, besides the loopback names.'),
  publicUrl: z.url().optional().describe('Address that clients use when a proxy stands in front.'),
  adminTokenFile: z
    .string()
    .min(1)
    .optional()
    .describe('File of the admin token, made with mode 0600 when it is missing; without it there is none.'),
  uploadBytes: z.int().min(1).default(ARCHIVE_LIMITS.packedBytes).describe('Largest archive in bytes.'),
  rate: z
    .strictObject({
      address: bucketSettings(1_200, 600, 'an address without a token'),
      token: bucketSettings(1_200, 600, 'a token'),
      admin: bucketSettings(60_000, 6_000, 'an admin token'),
    })
    .prefault({}),
  logLevel: z.enum(LOG_LEVELS).default('info').describe('How much to log.'),
});
export type RegistryConfig = z.output<typeof registryConfigSchema>;

/** Environment variables of a registry start so. */
const REGISTRY_ENV_PREFIX = 'BERTH_REGISTRY_';

/** The settings of a registry from file, environment and command line; `config-invalid` when wrong. */
export function loadRegistryConfig(sources: Omit<ConfigSources, 'prefix'>): Promise<RegistryConfig> {
  return loadConfig(registryConfigSchema, { ...sources, prefix: REGISTRY_ENV_PREFIX });
}
