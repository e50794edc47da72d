import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { bundleFromJSON } from '@sigstore/bundle';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../protocol/canonical.ts';
import {
  appendLeaf,
  changeEntry,
  changeSchema,
  EMPTY_FRONTIER,
  emptyRoot,
  frontierSchema,
  leafHash,
  nodeHash,
  publishEntry,
  rootOf,
  rootOfLeaves,
  treeHeadBytes,
  type Frontier,
} from '../../protocol/log.ts';
import { publicKeyRecordOf, signStatement, statementOf } from '../../protocol/provenance.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

// The leaves and roots with which Certificate Transparency implementations check themselves.
const REFERENCE_LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => Buffer.from(hex, 'hex'));
const REFERENCE_ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const grow = (leaves: readonly Buffer[]): Frontier =>
  leaves.reduce<Frontier>((frontier, leaf) => appendLeaf(frontier, leaf), EMPTY_FRONTIER);

const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));

/** RFC 6962 §2.1.1, from the definition. */
function inclusionPath(index: number, leaves: Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const left = leaves.slice(0, split);
  const right = leaves.slice(split);
  return index < split
    ? [...inclusionPath(index, left), rootOfLeaves(right)]
    : [...inclusionPath(index - split, right), rootOfLeaves(left)];
}

describe('the log tree', () => {
  it('has the roots of RFC 6962 for the reference leaves', verifies('log.rfc6962'), () => {
    const leaves = REFERENCE_LEAVES.map(leafHash);
    expect(emptyRoot().toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    expect(rootOf(EMPTY_FRONTIER)).toEqual(emptyRoot());
    expect(rootOfLeaves([])).toEqual(emptyRoot());
    for (const [index, root] of REFERENCE_ROOTS.entries()) {
      expect(rootOfLeaves(leaves.slice(0, index + 1)).toString('hex')).toBe(root);
      expect(rootOf(grow(leaves.slice(0, index + 1))).toString('hex')).toBe(root);
    }
  });

  it('keeps leaves and inner nodes apart', () => {
    const [left, right] = [leafHash(Buffer.from('a')), leafHash(Buffer.from('b'))];
    expect(leafHash(Buffer.concat([left, right]))).not.toEqual(nodeHash(left, right));
  });

  it('has the same root by appending as by definition', verifies('log.rfc6962'), () => {
    const leaves = numbered(400);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 }), (size) => {
        const frontier = frontierSchema.parse(JSON.parse(JSON.stringify(grow(leaves.slice(0, size)))));
        expect(frontier.size).toBe(size);
        expect(rootOf(frontier)).toEqual(rootOfLeaves(leaves.slice(0, size)));
      }),
    );
  });

  it('needs one hash per level to go on, at any size', () => {
    // A frontier of 2^40 + 2^39 - 1 entries, far beyond 32-bit arithmetic.
    const size = 2 ** 40 + 2 ** 39 - 1;
    const hash = 'ab'.repeat(32);
    const next = appendLeaf(
      { size, hashes: Array.from({ length: 40 }, () => hash) },
      leafHash(Buffer.from('x')),
    );
    expect(frontierSchema.parse(next).hashes).toHaveLength(2);
    expect(next.size).toBe(size + 1);
  });

  it('does not alter the frontier it is given, and refuses one that cannot be', () => {
    const before = grow(numbered(3));
    const copy = structuredClone(before);
    appendLeaf(before, leafHash(Buffer.from('x')));
    expect(before).toEqual(copy);
    expect(frontierSchema.safeParse({ ...before, size: 4 }).success).toBe(false);
    expect(frontierSchema.safeParse({ size: -1, hashes: [] }).success).toBe(false);
  });

  it('states its head as the body of a checkpoint', () => {
    const root = Buffer.alloc(32, 1);
    expect(treeHeadBytes({ origin: 'registry.example/log', size: 7, root }).toString()).toBe(
      `registry.example/log\n7\n${root.toString('base64')}\n`,
    );
  });
});

describe.each([
  ['ed25519', () => generateKeyPairSync('ed25519').privateKey],
  ['p256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
] as const)('the entry of a publication signed with %s', (_, newKey) => {
  it(
    'is accepted by the stock Sigstore verifier, with its proof',
    verifies('log.stock-verifier'),
    async () => {
      const author = newKey();
      const authorRecord = publicKeyRecordOf(author);
      const digest = digestOf('x');
      const statement = statementOf({
        name: 'com.acme/weather',
        version: '1.2.3',
        archiveDigest: digest,
        manifestDigest: digest,
        permissionsDigest: digest,
        surfaceDigest: digest,
        files: {},
      });
      const bundle = await signStatement(statement, author);
      const entry = publishEntry(bundle, authorRecord);

      const leaves = [...numbered(11), leafHash(entry), ...numbered(7)];
      const root = rootOf(grow(leaves));
      const log = generateKeyPairSync('ed25519');
      const origin = 'registry.example';
      const rawKey = log.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
      // C2SP signed-note: the key id is 4 bytes of sha256 over name, newline, algorithm 1 and key.
      const logId = createHash('sha256')
        .update(`${origin}\n`)
        .update(Buffer.of(1))
        .update(rawKey)
        .digest()
        .subarray(0, 4);
      const note = treeHeadBytes({ origin, size: leaves.length, root });
      const signature = Buffer.concat([logId, sign(null, note, log.privateKey)]).toString('base64');
      const proven = (hashes: Buffer[]) => ({
        ...bundle,
        verificationMaterial: {
          ...bundle.verificationMaterial,
          tlogEntries: [
            {
              logIndex: '11',
              logId: { keyId: logId.toString('base64') },
              kindVersion: { kind: 'dsse', version: '0.0.2' },
              integratedTime: '0',
              canonicalizedBody: entry.toString('base64'),
              inclusionProof: {
                logIndex: '11',
                treeSize: String(leaves.length),
                rootHash: root.toString('base64'),
                hashes: hashes.map((hash) => hash.toString('base64')),
                checkpoint: { envelope: `${note.toString()}\n\u2014 ${origin} ${signature}\n` },
              },
            },
          ],
        },
      });
      const trust = {
        ...toTrustMaterial(
          { mediaType: '', certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] },
          () => ({ publicKey: createPublicKey(author), validFor: () => true }),
        ),
        tlogs: [
          {
            logID: logId,
            baseURL: `https://${origin}`,
            publicKey: log.publicKey,
            validFor: { start: new Date(0), end: new Date(8.64e15) },
          },
        ],
      };
      const check = (hashes: Buffer[]) =>
        new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 }).verify(
          toSignedEntity(bundleFromJSON(proven(hashes))),
        );
      const path = inclusionPath(11, leaves);
      expect(() => check(path)).not.toThrow();
      expect(() => check(path.with(0, Buffer.alloc(32)))).toThrow();
    },
  );
});

describe('the entry of a change', () => {
  const common = { time: '2026-11-23T10:00:00Z', by: 'admin' };

  it('is canonical JSON that says what changed', () => {
    const change = changeSchema.parse({
      kind: 'yank',
      purl: 'pkg:berth/a.b/c@1.0.0',
      reason: 'broken',
      ...common,
    });
    expect(changeEntry(change).toString()).toBe(
      '{"apiVersion":"berth.dev/v1","kind":"yank","spec":{"by":"admin","purl":"pkg:berth/a.b/c@1.0.0",' +
        '"reason":"broken","time":"2026-11-23T10:00:00Z"}}',
    );
  });

  it('differs for every kind of change', () => {
    const purl = 'pkg:berth/a.b/c@1.0.0';
    const key = { namespace: 'a.b', keyId: 'k', publicKey: 'p', ...common };
    const entries = [
      { kind: 'yank', purl, ...common },
      { kind: 'unyank', purl, ...common },
      { kind: 'deprecate', purl, message: 'old', replacement: 'pkg:berth/a.b/d', ...common },
      { kind: 'namespace-claimed', namespace: 'a.b', ...common },
      { kind: 'key-added', ...key },
      { kind: 'key-retired', ...key },
    ].map((change) => changeEntry(changeSchema.parse(change)).toString());
    expect(new Set(entries).size).toBe(entries.length);
    expect(changeSchema.safeParse({ kind: 'yank', purl, ...common, surprise: 1 }).success).toBe(false);
  });

  it('fits the tiles in which logs are served', async () => {
    const message = 'x'.repeat(70_000);
    await expectCode(
      () => changeEntry({ kind: 'deprecate', purl: 'p', message, ...common }),
      'request-too-large',
    );
  });
});
