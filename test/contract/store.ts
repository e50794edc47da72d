import { expect, it } from 'vitest';
import { digestOf } from '../../protocol/canonical.ts';
import { EMPTY_FRONTIER, appendLeaf, leafHash, rootOf } from '../../protocol/log.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { NO_PERMISSIONS, permissionsDigest } from '../../protocol/permissions.ts';
import { signReceipt } from '../../protocol/provenance.ts';
import type { LogLeaf, NewVersion, Store, TreeHead } from '../../registry/store/store.ts';
import { expectCode } from '../support/expect-code.ts';

const TIME = '2026-01-01T00:00:00.000Z';
const LATER = '2026-02-01T00:00:00.000Z';
const KEY = createKey();

function newVersion(name: string, version: string, more: Partial<NewVersion> = {}): NewVersion {
  const digest = digestOf(`${name}@${version}`);
  return {
    name,
    version,
    digest,
    size: 10,
    kind: 'node',
    manifest: { name, version, title: name, description: 'Does things.', keywords: ['word'] },
    tools: [{ name: 'do_it', effects: ['read'] }],
    surfaceDigest: digestOf('surface'),
    permissions: NO_PERMISSIONS,
    permissionsDigest: permissionsDigest(NO_PERMISSIONS),
    signer: 'key:x',
    bundle: { some: ['bundle'] },
    receipt: signReceipt(
      {
        purl: 'pkg:berth/x',
        digest,
        signer: 'key:x',
        logIndex: 0,
        treeSize: 1,
        rootHash: '0'.repeat(64),
        time: TIME,
      },
      KEY.privateKey,
    ),
    publishedAt: TIME,
    publishedBy: 'tok_1',
    ...more,
  };
}

function nextEntry(before: TreeHead | undefined, text: string): [LogLeaf, TreeHead] {
  const entry = Buffer.from(text);
  const frontier = appendLeaf(before?.frontier ?? EMPTY_FRONTIER, leafHash(entry));
  const head = { frontier, rootHash: rootOf(frontier), time: TIME, signature: 'signed' };
  return [{ kind: 'test', entry, leafHash: leafHash(entry) }, head];
}

/** What every adapter of the registry's `Store` has to do. `make` gives an empty one. */
export function storeContract(make: () => Promise<Store>): void {
  const withVersions = async (...added: NewVersion[]) => {
    const store = await make();
    for (const version of added) {
      await store.change(async (change) => {
        await change.addVersion(version);
        const record = await change.version(version.name, version.version);
        await change.setLatest(version.name, record ?? null, version.publishedAt);
      });
    }
    return store;
  };

  it('gives back a version as it was added', async () => {
    const added = newVersion('local.me/one', '1.0.0');
    const store = await withVersions(added);
    const { publishedBy: _publishedBy, ...expected } = added;
    const fresh = { yanked: false, yankReason: null, deprecated: null, changedAt: TIME };
    expect(await store.version('local.me/one', '1.0.0')).toEqual({ ...expected, ...fresh });
    expect(await store.version('local.me/one', '2.0.0')).toBeUndefined();
    expect(await store.skill('local.me/none')).toBeUndefined();
    expect(await store.isPublished(added.digest)).toBe(true);
    expect(await store.isPublished(digestOf('other'))).toBe(false);
  });

  it('orders versions by number, not by text or time', async () => {
    const numbers = ['1.9.0', '1.10.0', '1.10.0-rc.1', '0.1.0'];
    const store = await withVersions(...numbers.map((number) => newVersion('local.me/one', number)));
    const found = await store.versionsOf('local.me/one');
    expect(found.map(({ version }) => version)).toEqual(['1.10.0', '1.10.0-rc.1', '1.9.0', '0.1.0']);
  });

  it('refuses a second version of one number, and a change that fails leaves nothing', async () => {
    const store = await withVersions(newVersion('local.me/one', '1.0.0'));
    const twice = store.change(async (change) => {
      await change.addVersion(newVersion('local.me/two', '1.0.0'));
      await change.appendToLog(...nextEntry(await change.treeHead(), 'entry'));
      await change.addVersion(newVersion('local.me/one', '1.0.0', { digest: digestOf('other') }));
    });
    await expectCode(twice, 'version-exists');
    expect(await store.versionsOf('local.me/two')).toEqual([]);
    expect(await store.treeHead()).toBeUndefined();
  });

  it('sees its own changes inside a change', async () => {
    const store = await make();
    await store.change(async (change) => {
      await change.addVersion(newVersion('local.me/one', '1.0.0'));
      await change.setStanding(
        'local.me/one',
        '1.0.0',
        { yanked: true, yankReason: 'why', deprecated: 'old' },
        LATER,
      );
      expect(await change.version('local.me/one', '1.0.0')).toMatchObject({
        yanked: true,
        yankReason: 'why',
        deprecated: 'old',
        changedAt: LATER,
      });
    });
    expect((await store.versionsOf('local.me/one'))[0]?.yanked).toBe(true);
    expect(await store.skill('local.me/one')).toMatchObject({ latest: null, shown: { version: '1.0.0' } });
  });

  it('keeps changes apart that come at the same time', async () => {
    const store = await make();
    const append = (text: string) =>
      store.change(async (change) => change.appendToLog(...nextEntry(await change.treeHead(), text)));
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map(append));
    const entries: string[] = [];
    for await (const { entry } of store.logLeaves()) entries.push(entry.toString());
    expect(entries.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect((await store.treeHead())?.frontier.size).toBe(5);
  });

  it('finds skills by their latest text, until it is taken away', async () => {
    const store = await withVersions(
      newVersion('local.me/one', '1.0.0'),
      newVersion('local.me/two', '1.0.0'),
    );
    const names = async (words: string[]) =>
      (await store.search(words, 10)).map(({ name }) => name).toSorted();
    expect(await names(['one'])).toEqual(['local.me/one']);
    expect(await names(['wor'])).toEqual(['local.me/one', 'local.me/two']);
    expect(await names(['one', 'things'])).toEqual(['local.me/one']);
    expect(await names(['one', 'nowhere'])).toEqual(['local.me/one']);
    expect(await names(['nowhere'])).toEqual([]);
    expect(await names([])).toEqual([]);
    expect(await store.search(['do'], 1)).toHaveLength(1);
    expect((await store.named('tw', 10)).map(({ name }) => name)).toEqual(['local.me/two']);
    expect((await store.named('local.me/o', 10)).map(({ name }) => name)).toEqual(['local.me/one']);
    expect(await store.named('%', 10)).toEqual([]);
    await store.change((change) => change.setLatest('local.me/one', null, LATER));
    expect(await names(['one'])).toEqual([]);
    expect((await store.recent(10)).map(({ name }) => name)).toEqual(['local.me/two']);
  });

  it('counts downloads by version and day, and forgets those of unknown archives', async () => {
    const added = newVersion('local.me/one', '1.0.0');
    const store = await withVersions(added);
    const use = {
      downloads: new Map([
        [added.digest, 2],
        [digestOf('unknown'), 5],
      ]),
      tokens: new Map<string, string>(),
    };
    await store.recordUse({ day: '2026-01-01', ...use });
    await store.recordUse({ day: '2026-01-01', ...use });
    await store.recordUse({ day: '2026-01-02', ...use });
    expect((await store.skill('local.me/one'))?.downloads).toBe(6);
  });

  it('keeps keys and tokens', async () => {
    const store = await make();
    const hash = Buffer.alloc(32, 1);
    const token = {
      id: 'tok_1',
      name: 'author',
      hash,
      admin: false,
      namespaces: ['local.*'],
      createdAt: TIME,
      expiresAt: LATER,
      lastUsedAt: null,
    };
    await store.change(async (change) => {
      await change.addToken(token);
      expect(await change.claimNamespace('local.me', TIME, 'tok_1')).toBe(true);
      expect(await change.claimNamespace('local.me', LATER, 'tok_1')).toBe(false);
      await change.addKey({ namespace: 'local.*', record: KEY.record }, TIME, 'tok_1');
      await change.audit({ time: TIME, byToken: 'tok_1', action: 'test', subject: 'it' });
    });
    expect(await store.tokenByHash(hash)).toEqual(token);
    expect(await store.tokenByHash(Buffer.alloc(32))).toBeUndefined();
    await store.recordUse({ day: '2026-01-01', downloads: new Map(), tokens: new Map([['tok_1', LATER]]) });
    expect(await store.tokens()).toEqual([{ ...token, lastUsedAt: LATER }]);
    expect(await store.keysOf('local.me.sub')).toEqual([{ namespace: 'local.*', record: KEY.record }]);
    expect(await store.keysOf('com.acme')).toEqual([]);
    await store.change(async (change) => {
      await change.retireKey('local.*', KEY.record.keyId, LATER);
      expect(await change.removeToken('tok_1')).toMatchObject({ id: 'tok_1' });
      expect(await change.removeToken('tok_1')).toBeUndefined();
    });
    expect((await store.keysOf('local.me'))[0]?.record.retiredAt).toBe(LATER);
  });

  it('is bound to the first key that comes, for good', async () => {
    const store = await make();
    expect(await store.bindIdentity('first')).toBe('first');
    expect(await store.bindIdentity('second')).toBe('first');
    await store.check();
  });
}
