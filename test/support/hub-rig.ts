import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { z } from 'zod';
import { claimsOf } from '../../cli/package-claims.ts';
import { packSkill } from '../../cli/pack.ts';
import { type Acceptance, adminApi } from '../../hub/admin-api.ts';
import { hubConfigSchema } from '../../hub/config.ts';
import { type RunningHub, startHub } from '../../hub/main.ts';
import type { Authorize } from '../../hub/remote/oauth-client.ts';
import { guardedFetch, type Outside } from '../../hub/remote/guarded-fetch.ts';
import { createBwrapDriver } from '../../hub/sandbox/bwrap.ts';
import { createKey, type SigningKey } from '../../protocol/node/keys.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { signStatement } from '../../protocol/provenance.ts';
import { publishTo, type TestRegistry, testRegistry } from './registry.ts';
import { tempFolder } from './temp-folder.ts';

const PATH = process.env['PATH'] ?? '';

/** A real hub with its real sandbox before a real registry, driven through its admin API. */
export interface HubRig {
  registry: TestRegistry;
  hub: RunningHub;
  home: string;
  /** A folder that may be granted. */
  workspace: string;
  /** Packs, signs and publishes a folder; the first key of a namespace is registered for it. */
  publish(
    folder: string,
    key?: SigningKey,
    authorize?: Authorize,
  ): Promise<{ name: string; version: string; digest: string }>;
  install(name: string, range?: string, accept?: Acceptance): ReturnType<typeof install>;
  call(skill: string, tool: string, args?: Record<string, unknown>): Promise<Record<string, any>>;
  /** The text of a call's first content item. */
  text(skill: string, tool: string, args?: Record<string, unknown>): Promise<string>;
  admin: { socketPath: string };
  /** What is on record of the networks of skills, oldest first. */
  contacts(): Promise<Record<string, unknown>[]>;
  restart(): Promise<void>;
}

async function install(admin: { socketPath: string }, name: string, range?: string, accept?: Acceptance) {
  return callRoute(adminApi.install, {
    ...admin,
    body: { name, ...(range === undefined ? {} : { range }), ...(accept === undefined ? {} : { accept }) },
  });
}

/**
 * Starts both; `registryUrl` puts something else, such as a liar, between them, and `config` are settings of the hub
 * beside those of the rig.
 */
export async function hubRig({
  registryUrl,
  config: settings = {},
  outside,
}: {
  registryUrl?: (real: string) => Promise<string>;
  config?: Partial<z.input<typeof hubConfigSchema>>;
  /** Where remote skills are, instead of on the open internet. */
  outside?: Outside;
} = {}): Promise<HubRig> {
  const registry = await testRegistry();
  const home = await tempFolder();
  const workspace = join(await tempFolder(), 'workspace');
  await mkdir(workspace);
  const log = createLogger({ level: 'silent', name: 'test' });
  const config = hubConfigSchema.parse({
    home,
    port: 0,
    registry: registryUrl === undefined ? registry.url : await registryUrl(registry.url),
    path: PATH,
    logLevel: 'silent',
    // What a test has left hanging is nothing to wait for.
    drainMs: 0,
    ...settings,
  });
  const parts = {
    log,
    version: '0.0.0-test',
    environment: { TZ: 'Pacific/Auckland', HUB_ONLY: 'hush' },
    ...(outside === undefined ? {} : { outside }),
  };
  let hub = await startHub(config, parts);
  onTestFinished(() => hub.stop());
  const admin = { socketPath: join(home, 'hub', 'admin.sock') };
  const driver = createBwrapDriver({
    path: PATH,
    stateDir: join(await tempFolder(), 'pack'),
    forbidden: [],
    log,
  });
  const defaultKey = createKey();
  const call = (skill: string, tool: string, args: Record<string, unknown> = {}) =>
    callRoute(adminApi.call, { ...admin, body: { skill, tool, arguments: args } });
  return {
    registry,
    get hub() {
      return hub;
    },
    home,
    workspace,
    admin,
    async publish(folder, key = defaultKey, authorize) {
      const remote = outside && { fetch: guardedFetch(outside), authorize };
      const { archive } = await packSkill({ driver, ...(remote && { remote }) }, folder);
      const { statement, digest, manifest, surface } = await claimsOf(archive);
      await registry.admin.registerKey(manifest.name.split('/')[0] ?? '', key.record);
      const bundle = await signStatement(statement, key.privateKey);
      await publishTo(registry, { archive, digest, manifest, surface, statement, bundle, key, files: [] });
      return { name: manifest.name, version: manifest.version, digest };
    },
    install: (name, range, accept) => install(admin, name, range, accept),
    call,
    text: async (skill, tool, args) => String(((await call(skill, tool, args)) as any)['content'][0].text),
    async contacts() {
      const entries = await callRoute(adminApi.audit, { ...admin, query: { event: 'network.', limit: 100 } });
      return entries.toReversed().map(({ record, sentence }) => ({ ...record, sentence }));
    },
    async restart() {
      await hub.stop();
      hub = await startHub(config, parts);
    },
  };
}
