import { createPublicKey, verify } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { writeArchive } from '../../protocol/archive.ts';
import { digestOf, type Digest } from '../../protocol/canonical.ts';
import { leafHash, rootOfLeaves, treeHeadBytes } from '../../protocol/log.ts';
import { callRoute, download, upload } from '../../protocol/node/http-client.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { purlOf, verifyBundle, verifyReceipt } from '../../protocol/provenance.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { expectCode } from '../support/expect-code.ts';
import { hexOf, publishNew, publishTo, testRegistry, type TestRegistry } from '../support/registry.ts';
import { greetTool, skillPackage, type SkillPackage } from '../support/skill-package.ts';
import { verifies } from '../support/verifies.ts';

const api = registryApi;

async function registryFor(skill: SkillPackage, settings = {}): Promise<TestRegistry> {
  const registry = await testRegistry(settings);
  await registry.admin.registerKey('local.*', skill.key.record);
  return registry;
}

async function bytesOf(registry: TestRegistry, digest: Digest): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const from = { baseUrl: registry.url, params: { hex: hexOf({ digest }) }, maxBytes: 30_000_000 };
  for await (const chunk of download(api.blob, from)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('publish', () => {
  for (const algorithm of ['ed25519', 'p256'] as const) {
    it(
      `takes a package signed with ${algorithm}, and serves all that proves it`,
      verifies('registry.publish'),
      async () => {
        const skill = await skillPackage({
          key: createKey(algorithm),
          manifest: { permissions: { filesystem: [{ path: '${workspace}', mode: 'r' }] } },
        });
        const registry = await registryFor(skill);
        const published = await publishTo(registry, skill);
        const { key } = await callRoute(api.registry, { baseUrl: registry.url });
        const reply = await callRoute(api.version, {
          baseUrl: registry.url,
          params: { namespace: 'local.me', name: 'hello', version: '1.0.0' },
        });

        expect(published).toMatchObject({ name: 'local.me/hello', version: '1.0.0', digest: skill.digest });
        expect(reply.receipt).toEqual(published.receipt);
        expect(verifyReceipt(reply.receipt, key)).toMatchObject({
          purl: purlOf('local.me/hello', '1.0.0'),
          digest: skill.digest,
          signer: `key:${skill.key.record.keyId}`,
        });
        const { keys } = await callRoute(api.keys, {
          baseUrl: registry.url,
          params: { namespace: 'local.me' },
        });
        const expected = { name: reply.name, version: reply.version, archiveDigest: reply.digest };
        expect(verifyBundle(reply.bundle, expected, keys).keyId).toBe(skill.key.record.keyId);
        expect(await bytesOf(registry, reply.digest)).toEqual(skill.archive);
        expect(reply).toMatchObject({
          size: skill.archive.length,
          surfaceDigest: skill.statement.predicate.surfaceDigest,
          permissionsDigest: skill.statement.predicate.permissionsDigest,
          manifest: { name: 'local.me/hello', title: 'Hello' },
          tools: [{ name: 'greet', effects: ['read'] }],
          yanked: false,
          deprecated: null,
        });
        expect(reply.sentences.can.join()).toContain('${workspace}');
      },
    );
  }

  it(
    'answers the first receipt when the same archive comes again',
    verifies('registry.same-receipt'),
    async () => {
      const skill = await skillPackage({ key: createKey('p256') });
      const registry = await registryFor(skill);
      const first = await publishTo(registry, skill);
      // P-256 signatures differ each time; the archive is the same.
      const again = await skillPackage({ key: skill.key });
      expect(again.bundle).not.toEqual(skill.bundle);
      expect(await publishTo(registry, again)).toEqual(first);
    },
  );

  it('refuses other bytes under a published version', verifies('registry.version-exists'), async () => {
    const skill = await skillPackage();
    const registry = await registryFor(skill);
    await publishTo(registry, skill);
    const other = await skillPackage({ key: skill.key, files: { 'server/index.js': 'changed' } });
    await expectCode(publishTo(registry, other), 'version-exists');
  });

  it('gives one of two racing publishers the version', verifies('registry.race'), async () => {
    const skill = await skillPackage();
    const other = await skillPackage({ key: skill.key, files: { 'server/index.js': 'other' } });
    const registry = await registryFor(skill);
    const results = await Promise.allSettled(
      [skill, other, skill, other].map((one) => publishTo(registry, one)),
    );
    const won = results.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
    const lost = results
      .filter((result) => result.status === 'rejected')
      .map(({ reason }) => (reason as { code: string }).code);
    expect(new Set(won.map(({ digest }) => digest)).size).toBe(1);
    expect(new Set(won.map(({ receipt }) => receipt.signature)).size).toBe(1);
    expect([won.length, lost]).toEqual([2, ['version-exists', 'version-exists']]);
    const { versions } = await callRoute(api.versions, {
      baseUrl: registry.url,
      params: { namespace: 'local.me', name: 'hello' },
    });
    expect(versions.length).toBe(1);
  });

  it(
    'refuses a statement that says anything else than the archive',
    verifies('registry.statement'),
    async () => {
      const key = createKey();
      const registry = await registryFor(await skillPackage({ key }));
      const wrong = digestOf('wrong');
      const states: Parameters<typeof skillPackage>[0][] = [
        { state: (s) => ({ ...s, predicate: { ...s.predicate, manifestDigest: wrong } }) },
        { state: (s) => ({ ...s, predicate: { ...s.predicate, surfaceDigest: wrong } }) },
        { state: (s) => ({ ...s, predicate: { ...s.predicate, permissionsDigest: wrong } }) },
        {
          state: (s) => ({
            ...s,
            predicate: { ...s.predicate, files: { ...s.predicate.files, more: wrong.slice(7) } },
          }),
        },
        {
          state: (s) => ({
            ...s,
            predicate: { ...s.predicate, files: { ...s.predicate.files, 'skill.json': wrong.slice(7) } },
          }),
        },
        { state: (s) => ({ ...s, predicate: { ...s.predicate, files: {} } }) },
        {
          state: (s) => ({
            ...s,
            subject: [
              { name: purlOf('local.me/other', '1.0.0'), digest: s.subject[0]?.digest ?? { sha256: '' } },
            ],
          }),
        },
        {
          state: (s) => ({
            ...s,
            subject: [{ name: s.subject[0]?.name ?? '', digest: { sha256: wrong.slice(7) } }],
          }),
        },
      ];
      for (const options of states) {
        await expectCode(publishTo(registry, await skillPackage({ key, ...options })), 'statement-mismatch');
      }
      await expectCode(
        callRoute(api.versions, { baseUrl: registry.url, params: { namespace: 'local.me', name: 'hello' } }),
        'skill-not-found',
      );
    },
  );

  it(
    'refuses a foreign signer, a forged signature and a retired key',
    verifies('registry.signer'),
    async () => {
      const skill = await skillPackage();
      const registry = await registryFor(skill);
      const stranger = await skillPackage({ key: createKey() });
      await expectCode(publishTo(registry, stranger), 'signer-not-allowed');
      const forged = structuredClone(stranger.bundle);
      forged.verificationMaterial.publicKey = { hint: skill.key.record.keyId };
      await expectCode(publishTo(registry, { ...stranger, bundle: forged }), 'bundle-invalid');
      await expectCode(publishTo(registry, { ...skill, bundle: {} as never }), 'bundle-invalid');
      await callRoute(api.retireKey, {
        baseUrl: registry.url,
        token: registry.adminToken,
        params: { namespace: 'local.*' },
        body: { keyId: skill.key.record.keyId },
      });
      await expectCode(publishTo(registry, skill), 'key-retired');
    },
  );

  it(
    'names a fault of the archive before any of the bundle',
    verifies('registry.archive-first'),
    async () => {
      const skill = await skillPackage();
      const registry = await registryFor(skill);
      const publishBytes = (archive: Buffer, bundle: unknown = {}) =>
        publishTo(registry, { ...skill, archive, digest: digestOf(archive), bundle: bundle as never });
      await expectCode(publishBytes(Buffer.from('not gzip')), 'archive-not-gzip');
      await expectCode(publishBytes(skill.archive.subarray(0, -20)), 'archive-truncated');
      await expectCode(
        publishBytes(Buffer.concat([skill.archive, Buffer.from([0])])),
        'archive-not-canonical',
      );
      const without = writeArchive(skill.files.filter(({ path }) => path !== 'surface.json'));
      await expectCode(publishBytes(without, skill.bundle), 'archive-incomplete');
      const broken = writeArchive(
        skill.files.map((file) =>
          file.path === 'skill.json' ? { ...file, bytes: Buffer.from('{}') } : file,
        ),
      );
      const error = await expectCode(publishBytes(broken), 'manifest-invalid');
      expect(error.data).toMatchObject({
        faults: expect.arrayContaining([expect.objectContaining({ path: 'name' })]),
      });
      const odd = writeArchive(
        skill.files.map((file) =>
          file.path === 'surface.json' ? { ...file, bytes: Buffer.from('{}') } : file,
        ),
      );
      await expectCode(publishBytes(odd), 'surface-invalid');
    },
  );

  it('needs the archive first', async () => {
    const skill = await skillPackage();
    const registry = await registryFor(skill);
    const call = {
      baseUrl: registry.url,
      token: registry.adminToken,
      body: { archive: skill.digest, bundle: {} },
    };
    await expectCode(callRoute(api.publish, call), 'blob-not-found');
  });

  it('refuses unknown fields and deep JSON', verifies('registry.bounds'), async () => {
    const skill = await skillPackage();
    const registry = await registryFor(skill);
    const call = (body: unknown) =>
      callRoute(api.publish, { baseUrl: registry.url, token: registry.adminToken, body: body as never });
    await expectCode(call({ archive: skill.digest, bundle: {}, force: true }), 'request-invalid');
    await expectCode(call({ archive: 'sha1:0', bundle: {} }), 'request-invalid');
    let deep: unknown = {};
    for (let level = 0; level < 1_000; level += 1) deep = { deep };
    await expectCode(call({ archive: skill.digest, bundle: deep }), 'request-invalid');
    await expectCode(
      call({ archive: skill.digest, bundle: { padding: 'x'.repeat(9_000_000) } }),
      'request-too-large',
    );
  });
});

describe('an upload', () => {
  it('keeps nothing of wrong, truncated and oversized bytes', verifies('registry.upload'), async () => {
    const skill = await skillPackage();
    const registry = await registryFor(skill, { uploadBytes: 4_000 });
    const blobs = join(registry.folder, 'registry', 'blobs');
    const kept = async () =>
      (await readdir(blobs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
        .length;
    const to = { baseUrl: registry.url, token: registry.adminToken, params: { hex: hexOf(skill) } };
    await expectCode(upload(api.uploadBlob, { ...to, bytes: Buffer.from('other bytes') }), 'digest-mismatch');
    await expectCode(upload(api.uploadBlob, { ...to, bytes: Buffer.alloc(5_000) }), 'request-too-large');
    async function* chunks() {
      for (let index = 0; index < 10; index += 1) yield Buffer.alloc(500);
    }
    await expectCode(upload(api.uploadBlob, { ...to, bytes: chunks() }), 'request-too-large');
    expect(await kept()).toBe(0);
    await upload(api.uploadBlob, { ...to, bytes: skill.archive });
    await upload(api.uploadBlob, { ...to, bytes: skill.archive });
    expect(await kept()).toBe(1);
  });

  it('that is cut off half-way leaves nothing', verifies('registry.upload'), async () => {
    const skill = await skillPackage();
    const registry = await registryFor(skill);
    const { port } = new URL(registry.url);
    const closed = new Promise<void>((resolve) => {
      const outgoing = request({
        host: '127.0.0.1',
        port,
        method: 'PUT',
        path: `/v1/blobs/sha256/${hexOf(skill)}`,
        headers: { authorization: `Bearer ${registry.adminToken}`, 'content-length': skill.archive.length },
      });
      outgoing.on('error', () => undefined).on('close', resolve);
      outgoing.write(skill.archive.subarray(0, 100), () => outgoing.destroy());
    });
    await closed;
    await registry.stop();
    const incoming = join(registry.folder, 'registry', 'blobs', 'incoming');
    expect(await readdir(incoming)).toEqual([]);
  });

  it('is not served before a version refers to it', verifies('registry.no-file-host'), async () => {
    const skill = await skillPackage();
    const registry = await registryFor(skill);
    const to = { baseUrl: registry.url, token: registry.adminToken, params: { hex: hexOf(skill) } };
    await upload(api.uploadBlob, { ...to, bytes: skill.archive });
    await expectCode(bytesOf(registry, skill.digest), 'blob-not-found');
  });
});

describe('a published archive', () => {
  it('is served with ranges, an ETag and immutable caching', verifies('registry.blob'), async () => {
    const registry = await testRegistry();
    const skill = await publishNew(registry);
    const address = `${registry.url}/v1/blobs/sha256/${hexOf(skill)}`;
    const size = skill.archive.length;
    const get = async (headers: Record<string, string> = {}, method = 'GET') => {
      const reply = await fetch(address, { headers, method });
      return { status: reply.status, headers: reply.headers, bytes: Buffer.from(await reply.arrayBuffer()) };
    };

    const whole = await get();
    expect(whole.headers.get('etag')).toBe(`"${skill.digest}"`);
    expect(whole.headers.get('cache-control')).toContain('immutable');
    expect(whole.headers.get('accept-ranges')).toBe('bytes');
    expect(whole.bytes).toEqual(skill.archive);

    const head = await get({}, 'HEAD');
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(size)]);

    for (const [range, from, to] of [
      ['bytes=0-9', 0, 10],
      ['bytes=10-', 10, size],
      ['bytes=-5', size - 5, size],
      [`bytes=5-${size * 2}`, 5, size],
    ] as const) {
      const part = await get({ range });
      expect([part.status, part.headers.get('content-range')]).toEqual([
        206,
        `bytes ${from}-${to - 1}/${size}`,
      ]);
      expect(part.bytes).toEqual(skill.archive.subarray(from, to));
    }
    const outside = await get({ range: `bytes=${size}-` });
    expect([outside.status, outside.headers.get('content-range')]).toEqual([416, `bytes */${size}`]);
    expect((await get({ range: 'bytes=0-1,3-4' })).status).toBe(200);
    expect((await get({ range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200);
    expect((await get({ 'if-none-match': `"${skill.digest}"` })).status).toBe(304);
  });

  it('is counted when it is fetched from its start', verifies('registry.downloads'), async () => {
    const registry = await testRegistry();
    const skill = await publishNew(registry);
    await bytesOf(registry, skill.digest);
    await bytesOf(registry, skill.digest);
    const address = `${registry.url}/v1/blobs/sha256/${hexOf(skill)}`;
    await (await fetch(address, { headers: { range: 'bytes=5-' } })).arrayBuffer();
    await fetch(address, { method: 'HEAD' });
    await registry.stop();
    const again = await testRegistry({}, registry.folder);
    const reply = await callRoute(api.skill, {
      baseUrl: again.url,
      params: { namespace: 'local.me', name: 'hello' },
    });
    expect(reply.downloads).toBe(2);
  });
});

describe('the log', () => {
  it(
    'has every change in order, and its signed head is the root of its entries',
    verifies('registry.log'),
    async () => {
      const registry = await testRegistry();
      const skill = await publishNew(registry);
      const second = await skillPackage({
        key: skill.key,
        version: '1.1.0',
        surface: { tools: [greetTool('wave')] },
      });
      const { receipt } = await publishTo(registry, second);
      const which = {
        baseUrl: registry.url,
        token: registry.adminToken,
        params: { namespace: 'local.me', name: 'hello', version: '1.0.0' },
      };
      await callRoute(api.yank, { ...which, body: { reason: 'broken' } });
      await callRoute(api.unyank, which);
      await callRoute(api.deprecate, { ...which, body: { message: 'use 1.1' } });
      const { key, name } = await callRoute(api.registry, { baseUrl: registry.url });
      await registry.stop();

      const database = new Sqlite(join(registry.folder, 'registry', 'registry.db'), { readonly: true });
      const leaves = database
        .prepare('select kind, entry, leaf_hash from log_leaf order by leaf_index')
        .all() as { kind: string; entry: Buffer; leaf_hash: Buffer }[];
      const heads = database
        .prepare('select tree_size, root_hash, signature from log_head order by tree_size')
        .all() as { tree_size: number; root_hash: Buffer; signature: string }[];
      database.close();
      expect(leaves.map(({ kind }) => kind)).toEqual([
        'namespace-claimed',
        'key-added',
        'publish',
        'publish',
        'yank',
        'unyank',
        'deprecate',
      ]);
      const publicKey = createPublicKey({
        key: Buffer.from(key.publicKey, 'base64'),
        format: 'der',
        type: 'spki',
      });
      for (const { tree_size: size, root_hash: root, signature } of heads) {
        expect(root).toEqual(rootOfLeaves(leaves.slice(0, size).map(({ entry }) => leafHash(entry))));
        expect(
          verify(
            null,
            treeHeadBytes({ origin: name, size, root }),
            publicKey,
            Buffer.from(signature, 'base64'),
          ),
        ).toBe(true);
      }
      expect(heads.length).toBe(leaves.length);
      expect(receipt).toMatchObject({
        logIndex: 3,
        treeSize: 4,
        rootHash: heads[3]?.root_hash.toString('hex'),
      });
    },
  );

  it('that was altered stops the start', verifies('registry.log-checked'), async () => {
    const registry = await testRegistry();
    await publishNew(registry);
    await registry.stop();
    const database = new Sqlite(join(registry.folder, 'registry', 'registry.db'));
    database.exec(
      "drop trigger log_leaf_no_update; update log_leaf set entry = x'7b7d' where leaf_index = 1",
    );
    database.close();
    await expectCode(testRegistry({}, registry.folder), 'data-damaged');
  });
});

describe('what was published', () => {
  it('cannot be changed or removed in the database', verifies('registry.immutable'), async () => {
    const registry = await testRegistry();
    await publishNew(registry);
    await registry.stop();
    const database = new Sqlite(join(registry.folder, 'registry', 'registry.db'));
    database.pragma('recursive_triggers = on');
    for (const table of [
      'version',
      'version_permission',
      'log_leaf',
      'log_head',
      'audit',
      'identity',
      'namespace',
    ]) {
      const column = (database.pragma(`table_info(${table})`) as { name: string }[])[0]?.name;
      expect(() => database.exec(`update ${table} set ${column} = ${column}`), table).toThrow('immutable');
      expect(() => database.exec(`delete from ${table}`), table).toThrow('immutable');
    }
    expect(() => database.exec('insert or replace into version select * from version')).toThrow('immutable');
    expect(() => database.exec("update namespace_key set public_key = 'other'")).toThrow('immutable');
    expect(() => database.exec('delete from namespace_key')).toThrow('immutable');
    expect(() => database.exec("insert into log_leaf values (9, 'x', x'00', x'00')")).toThrow('append-only');
    database.close();
  });
});
