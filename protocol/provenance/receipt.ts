import { sign, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson, digestSchema } from '../canonical.ts';
import { AppError } from '../errors.ts';
import { base64, hexSchema, keyIdSchema, problemsOf, timeSchema } from './fields.ts';
import { keyObjectOf, publicKeyRecordOf, type PublicKeyRecord } from './keys.ts';

/** What a registry attests about a version it took in. */
export const receiptSchema = z
  .strictObject({
    purl: z.string().max(1024),
    digest: digestSchema,
    /** `key:<keyId>`. */
    signer: z.string().max(2048),
    /** Position of the publication in the registry's log. */
    logIndex: z.int().nonnegative(),
    /** Size of the log just after it, and the root of that tree in hexadecimal. */
    treeSize: z.int().positive(),
    rootHash: hexSchema,
    time: timeSchema,
    /** The registry's key. */
    keyId: keyIdSchema,
    /** base64 Ed25519 over `receiptBytes`. */
    signature: base64(100),
  })
  .refine(({ logIndex, treeSize }) => logIndex < treeSize, 'the log index must lie within the tree');

/** What a registry attests about a version it took in. */
export type Receipt = z.infer<typeof receiptSchema>;

/** What the signature of a receipt covers: the canonical JSON of everything else. */
export function receiptBytes(receipt: Omit<Receipt, 'signature'> & { signature?: string }): Buffer {
  const signed = { ...receipt };
  delete signed.signature;
  return Buffer.from(canonicalJson(signed));
}

/** Signs a receipt with the registry's Ed25519 key, whose id it puts in. */
export function signReceipt(receipt: Omit<Receipt, 'keyId' | 'signature'>, key: KeyObject): Receipt {
  const { keyId, algorithm } = publicKeyRecordOf(key);
  if (algorithm !== 'ed25519') throw new TypeError('A registry signs receipts with an Ed25519 key.');
  const unsigned = { ...receipt, keyId };
  return { ...unsigned, signature: sign(null, receiptBytes(unsigned), key).toString('base64') };
}

/**
 * Checks that the registry of this key issued the receipt, and answers with it. Whether it is a receipt for what the
 * caller holds (purl, digest, signer) is the caller's to compare. Throws `receipt-invalid`.
 */
export function verifyReceipt(receipt: unknown, key: PublicKeyRecord): Receipt {
  const invalid = (detail: string) => new AppError('receipt-invalid', { detail });
  const parsed = receiptSchema.safeParse(receipt);
  if (!parsed.success) throw invalid(`The receipt is malformed: ${problemsOf(parsed.error)}`);
  if (parsed.data.keyId !== key.keyId || key.algorithm !== 'ed25519') {
    throw invalid(`The receipt is signed with ${parsed.data.keyId}, not with the key of the registry.`);
  }
  const signature = Buffer.from(parsed.data.signature, 'base64');
  if (!verify(null, receiptBytes(parsed.data), keyObjectOf(key, 'receipt-invalid'), signature)) {
    throw invalid('The signature of the registry does not fit the receipt.');
  }
  return parsed.data;
}
