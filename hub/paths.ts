import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Every path the hub writes to, below its folder in the home. */
export function hubPaths(hubDir: string) {
  return {
    hubDir,
    database: join(hubDir, 'hub.db'),
    adminSocket: join(hubDir, 'admin.sock'),
    packages: join(hubDir, 'packages'),
    /** Downloads and half-unpacked packages; emptied at start. */
    staging: join(hubDir, 'staging'),
    sandbox: join(hubDir, 'sandbox'),
    keys: join(hubDir, 'keys'),
    secrets: join(hubDir, 'secrets'),
    data: join(hubDir, 'data'),
    /** `${data}` of one user and skill. Users are hashed, so that no user name can be a path. */
    dataOf: (user: string, skill: string) =>
      join(
        hubDir,
        'data',
        createHash('sha256').update(user).digest('hex').slice(0, 32),
        skill.replace('/', '__'),
      ),
    /** `${data}` of all users of a skill. */
    allDataOf: async (skill: string) =>
      (await readdir(join(hubDir, 'data')).catch(() => [])).map((user) =>
        join(hubDir, 'data', user, skill.replace('/', '__')),
      ),
  };
}

/** Where a version lies unpacked: one folder a digest. */
export function packageDirOf(packagesDir: string, digest: string): string {
  return join(packagesDir, digest.replace(':', '-'));
}

export type HubPaths = ReturnType<typeof hubPaths>;
