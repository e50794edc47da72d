import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { callRoute, upload } from '../../protocol/node/http-client.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { registryConfigSchema } from '../../registry/config.ts';
import { startRegistry, type Registry } from '../../registry/main.ts';
import { skillPackage, type SkillPackage, type SkillPackageOptions } from './skill-package.ts';
import { tempFolder } from './temp-folder.ts';

/** A real registry on a free port and a folder of its own, which ends with the test. */
export interface TestRegistry extends Registry {
  folder: string;
  adminToken: string;
  logged: string[];
}

/** Starts a registry; `settings` are those of its config file. */
export async function testRegistry(
  settings: Record<string, unknown> = {},
  home?: string,
): Promise<TestRegistry> {
  const folder = home ?? (await tempFolder());
  const adminTokenFile = join(folder, 'admin.token');
  const config = registryConfigSchema.parse({
    dataDir: join(folder, 'registry'),
    port: 0,
    adminTokenFile,
    ...settings,
  });
  const logged: string[] = [];
  const log = createLogger({
    level: 'debug',
    name: 'registry',
    destination: { write: (line) => void logged.push(line) },
  });
  const registry = await startRegistry(config, { log });
  let running = true;
  const stop = async () => {
    if (!running) return;
    running = false;
    await registry.stop();
  };
  onTestFinished(stop);
  return { ...registry, stop, folder, adminToken: (await readFile(adminTokenFile, 'utf8')).trim(), logged };
}

/** Uploads an archive and publishes it, with the admin's token unless told otherwise. */
export async function publishTo(
  registry: { url: string; adminToken: string },
  skill: SkillPackage,
  token = registry.adminToken,
) {
  const to = { baseUrl: registry.url, token };
  await upload(registryApi.uploadBlob, { ...to, params: { hex: hexOf(skill) }, bytes: skill.archive });
  return callRoute(registryApi.publish, {
    ...to,
    body: { archive: skill.digest, bundle: skill.bundle as never },
  });
}

/** Makes a package, registers its key for its namespace, and publishes it. */
export async function publishNew(
  registry: TestRegistry,
  options: SkillPackageOptions = {},
): Promise<SkillPackage> {
  const skill = await skillPackage(options);
  await registry.admin.registerKey(skill.manifest.name.split('/')[0] ?? '', skill.key.record);
  await publishTo(registry, skill);
  return skill;
}

/** The digits of a package's digest. */
export function hexOf({ digest }: { digest: string }): string {
  return digest.slice('sha256:'.length);
}
