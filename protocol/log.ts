import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson, sha256 } from './canonical.ts';
import { AppError } from './errors.ts';
import type { PublicKeyRecord, SignedBundle } from './provenance.ts';

/** The hash of a log entry (RFC 6962 §2.1: 0x00 and the entry). */
export function leafHash(entry: Uint8Array): Buffer {
  return createHash('sha256').update(LEAF).update(entry).digest();
}

/** The hash of an inner node (RFC 6962 §2.1: 0x01 and both children). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash('sha256').update(NODE).update(left).update(right).digest();
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The root of a log without entries (RFC 6962 §2.1). */
export function emptyRoot(): Buffer {
  return sha256('');
}

/**
 * The right edge of a log: all that is needed to append and to state the root. `hashes` are the roots (hexadecimal)
 * of the full subtrees from left to right, one for each bit that is set in `size`.
 */
export const frontierSchema = z
  .strictObject({ size: z.int().nonnegative(), hashes: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(53) })
  .refine(({ size, hashes }) => bitsSetIn(size) === hashes.length, 'must hold one hash per full subtree');

/** The right edge of a log. */
export type Frontier = z.infer<typeof frontierSchema>;

/** The frontier of a log without entries. */
export const EMPTY_FRONTIER: Frontier = Object.freeze({ size: 0, hashes: [] });

/** The frontier after one more leaf, given by its `leafHash`: at most one hash per level of the tree. */
export function appendLeaf(frontier: Frontier, leaf: Uint8Array): Frontier {
  const hashes = [...frontier.hashes];
  let merged: Buffer = Buffer.from(leaf);
  // Each trailing one-bit of the size is a full subtree of the height that `merged` has just reached.
  for (let size = frontier.size; size % 2 === 1; size = Math.floor(size / 2)) {
    merged = nodeHash(Buffer.from(hashes.pop() ?? '', 'hex'), merged);
  }
  return { size: frontier.size + 1, hashes: [...hashes, merged.toString('hex')] };
}

/** The root of the log that the frontier belongs to. */
export function rootOf(frontier: Frontier): Buffer {
  const hashes: Buffer[] = frontier.hashes.map((hash) => Buffer.from(hash, 'hex'));
  return hashes.length === 0 ? emptyRoot() : hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** The root over the leaf hashes of a whole log, straight from the definition (RFC 6962 §2.1). */
export function rootOfLeaves(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 0) return emptyRoot();
  if (leaves.length === 1) return Buffer.from(leaves[0]!);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(rootOfLeaves(leaves.slice(0, split)), rootOfLeaves(leaves.slice(split)));
}

/** A tree head as the text that a log signs: the body of a C2SP checkpoint. */
export function treeHeadBytes(head: { origin: string; size: number; root: Uint8Array }): Buffer {
  return Buffer.from(`${head.origin}\n${head.size}\n${Buffer.from(head.root).toString('base64')}\n`);
}

/** An entry may be no longer, so that it fits the tiles in which logs are served (C2SP tlog-tiles). */
export const ENTRY_MAX_BYTES = 65_535;

const KEY_DETAILS = { ed25519: 'PKIX_ED25519', p256: 'PKIX_ECDSA_P256_SHA_256' } as const;

/**
 * The entry of a publication: the canonical body of a Rekor v2 `dsse` 0.0.2 entry, so that any Sigstore verifier
 * can check that the log holds the bundle. The bundle must have been verified with the key.
 */
export function publishEntry(bundle: SignedBundle, key: PublicKeyRecord): Buffer {
  const { payload, signatures } = bundle.dsseEnvelope;
  return entryBytes({
    apiVersion: '0.0.2',
    kind: 'dsse',
    spec: {
      dsseV002: {
        payloadHash: {
          algorithm: 'SHA2_256',
          digest: sha256(Buffer.from(payload, 'base64')).toString('base64'),
        },
        signatures: signatures.map(({ sig }) => ({
          content: sig,
          verifier: { keyDetails: KEY_DETAILS[key.algorithm], publicKey: { rawBytes: key.publicKey } },
        })),
      },
    },
  });
}

const CHANGED = { time: z.iso.datetime(), by: z.string().max(200) };
const VERSION = { ...CHANGED, purl: z.string().max(1024) };
const NAMESPACE = { ...CHANGED, namespace: z.string().max(200) };
const KEY = { ...NAMESPACE, keyId: z.string().max(100), publicKey: z.string().max(200) };

/** What can happen in a registry besides a publication. */
export const changeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('yank'), ...VERSION, reason: z.string().max(1000).optional() }),
  z.strictObject({ kind: z.literal('unyank'), ...VERSION }),
  z.strictObject({
    kind: z.literal('deprecate'),
    ...VERSION,
    message: z.string().max(1000),
    replacement: z.string().max(1024).optional(),
  }),
  z.strictObject({
    kind: z.literal('namespace-claimed'),
    ...NAMESPACE,
    signer: z.string().max(2048).optional(),
  }),
  z.strictObject({ kind: z.literal('key-added'), ...KEY }),
  z.strictObject({ kind: z.literal('key-retired'), ...KEY }),
]);

/** What can happen in a registry besides a publication. */
export type Change = z.infer<typeof changeSchema>;

/** The entry of a change. */
export function changeEntry({ kind, ...spec }: Change): Buffer {
  return entryBytes({ apiVersion: 'berth.dev/v1', kind, spec });
}

function entryBytes(entry: unknown): Buffer {
  const bytes = Buffer.from(canonicalJson(entry));
  if (bytes.length > ENTRY_MAX_BYTES) {
    throw new AppError('request-too-large', { detail: `A log entry has at most ${ENTRY_MAX_BYTES} bytes.` });
  }
  return bytes;
}

function bitsSetIn(size: number): number {
  let bits = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits;
}
