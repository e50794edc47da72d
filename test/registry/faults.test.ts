import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { callRoute, upload } from '../../protocol/node/http-client.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { readOrCreateToken } from '../../protocol/node/tokens.ts';
import { verifyReceipt } from '../../protocol/provenance.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { expectCode } from '../support/expect-code.ts';
import { bundleRegistryProgram, startRegistryProcess } from '../support/registry-process.ts';
import { hexOf, publishTo, testRegistry } from '../support/registry.ts';
import { skillPackage } from '../support/skill-package.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

const api = registryApi;
let program: string;
beforeAll(async () => {
  const bundled = await bundleRegistryProgram();
  program = bundled.program;
  return bundled.remove;
});

async function homeWithToken() {
  const home = await tempFolder();
  const adminTokenFile = join(home, 'admin.token');
  const adminToken = await readOrCreateToken(adminTokenFile);
  return { home, adminToken, config: { dataDir: join(home, 'registry'), port: 0, adminTokenFile } };
}

const BEFORE_COMMIT = [
  'upload begun',
  'upload ended',
  'upload stored',
  'read begun',
  'read ended',
  'change asked',
  'change begun',
  'namespace claimed',
  'log appended',
  'version added',
  'latest set',
  'change done',
];

describe('a registry that is killed while it publishes', () => {
  for (const step of [...BEFORE_COMMIT, 'change committed']) {
    it(
      `at "${step}" has all of the version or nothing after a restart, and takes it then`,
      verifies('registry.crash'),
      async () => {
        const { home, adminToken, config } = await homeWithToken();
        const skill = await skillPackage();
        const keys = [{ namespace: 'local.*', record: skill.key.record }];
        const killed = await startRegistryProcess(program, { config, keys, pauseAt: step });
        const publishing = publishTo({ url: killed.url, adminToken }, skill).catch((error: unknown) => error);
        expect(await killed.event('paused')).toEqual({ paused: step });
        await killed.kill();
        expect(await publishing).toMatchObject({ code: 'unavailable' });

        // The start checks the whole log against its signed head.
        const registry = await testRegistry({}, home);
        const incoming = join(home, 'registry', 'blobs', 'incoming');
        expect(await readdir(incoming)).toEqual([]);
        const which = { baseUrl: registry.url, params: { namespace: 'local.me', name: 'hello' } };
        const there = await callRoute(api.skill, which).catch((error: unknown) => error);
        const { hits } = await callRoute(api.search, { baseUrl: registry.url, query: { q: 'hello' } });
        if (step === 'change committed') {
          expect(there).toMatchObject({ latest: '1.0.0' });
          expect(hits).toHaveLength(1);
        } else {
          expect(there).toMatchObject({ code: 'skill-not-found' });
          expect(hits).toEqual([]);
        }
        const { receipt } = await publishTo(registry, skill);
        // key-added, namespace-claimed, publish: nothing twice, nothing lost.
        expect(verifyReceipt(receipt, registry.key)).toMatchObject({ logIndex: 2, treeSize: 3 });
        await registry.stop();
        const database = new Sqlite(join(home, 'registry', 'registry.db'), { readonly: true });
        expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
        database.close();
      },
    );
  }
});

describe('a full disk', () => {
  it(
    'refuses uploads and publications with nothing kept, and goes on once there is room',
    verifies('registry.disk-full'),
    async () => {
      const { adminToken, config } = await homeWithToken();
      await mkdir(config.dataDir);
      const key = createKey();
      const [first, large, second] = await Promise.all([
        skillPackage({ key }),
        skillPackage({ key, version: '2.0.0', files: { 'assets/noise': randomBytes(6_000_000) } }),
        skillPackage({ key, version: '3.0.0' }),
      ]);
      const keys = [{ namespace: 'local.*', record: key.record }];
      const registry = await startRegistryProcess(program, { config, keys }, { diskBytes: 5_000_000 });
      const at = { url: registry.url, adminToken };
      const versions = async () => {
        const which = { baseUrl: registry.url, params: { namespace: 'local.me', name: 'hello' } };
        return (await callRoute(api.versions, which)).versions.map(({ version }) => version);
      };
      await publishTo(at, first);

      await expectCode(publishTo(at, large), 'no-space');
      expect((await registry.tell('list')).incoming).toEqual([]);
      expect(await versions()).toEqual(['1.0.0']);

      // The archive is there already: now it is the database that finds no room.
      const to = { baseUrl: registry.url, token: adminToken };
      await upload(api.uploadBlob, { ...to, params: { hex: hexOf(second) }, bytes: second.archive });
      await registry.tell('fill');
      const publishing = callRoute(api.publish, {
        ...to,
        body: { archive: second.digest, bundle: second.bundle as never },
      });
      const refused = await expectCode(publishing, 'no-space');
      expect(refused.hint).toContain('space');
      expect(await versions()).toEqual(['1.0.0']);

      await registry.tell('free');
      const { receipt } = await publishTo(at, second);
      expect(receipt.logIndex).toBe(3);
      expect(await versions()).toEqual(['3.0.0', '1.0.0']);
    },
  );
});

describe('the data folder', () => {
  it(
    'belongs to one registry at a time, and to its key for good',
    verifies('registry.home-lock'),
    async () => {
      const { home, config } = await homeWithToken();
      const registry = await testRegistry({}, home);
      await expectCode(testRegistry({}, home), 'already-running');
      await registry.stop();
      await rm(join(config.dataDir, 'registry.pem'));
      await expectCode(testRegistry({}, home), 'data-damaged');
      // A failed start lets go of the folder.
      await expectCode(testRegistry({}, home), 'data-damaged');
    },
  );
});
