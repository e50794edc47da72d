import { createPublicKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { sha256 } from '../canonical.ts';
import { AppError } from '../errors.ts';
import { keyIdSchema, timeSchema } from './fields.ts';

/** A public key as registries serve and hubs pin it. */
export const publicKeyRecordSchema = z.strictObject({
  /** base64 sha256 of the SPKI DER. */
  keyId: keyIdSchema,
  algorithm: z.enum(['ed25519', 'p256']),
  /** base64 SPKI DER. */
  publicKey: z.base64().max(200),
  /** From then on the key signs nothing more. */
  retiredAt: timeSchema.optional(),
});

/** A public key as registries serve and hubs pin it. */
export type PublicKeyRecord = z.infer<typeof publicKeyRecordSchema>;

/** The record of a key (or of its public half). Throws `key-not-found` for anything but Ed25519 and P-256. */
export function publicKeyRecordOf(key: KeyObject): PublicKeyRecord {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const algorithm = algorithmOf(publicKey);
  if (algorithm === undefined) {
    throw new AppError('key-not-found', { detail: 'This is neither an Ed25519 nor a P-256 key.' });
  }
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { keyId: sha256(spki).toString('base64'), algorithm, publicKey: spki.toString('base64') };
}

function algorithmOf(key: KeyObject): PublicKeyRecord['algorithm'] | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'p256' : undefined;
}

/** The digest to name to Node's `sign`: none for Ed25519, which has its own. */
export const HASH_OF = { ed25519: null, p256: 'sha256' } as const;

/** The key of a record, after checking that the record is true to it. */
export function keyObjectOf(record: PublicKeyRecord, code: 'bundle-invalid' | 'receipt-invalid'): KeyObject {
  const untrue = (detail: string, cause?: unknown) => new AppError(code, { detail, cause });
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(record.publicKey, 'base64'), format: 'der', type: 'spki' });
  } catch (cause) {
    throw untrue(`The key ${record.keyId} cannot be read.`, cause);
  }
  if (algorithmOf(key) !== record.algorithm)
    throw untrue(`The key ${record.keyId} is not of kind ${record.algorithm}.`);
  if (publicKeyRecordOf(key).keyId !== record.keyId)
    throw untrue(`The id ${record.keyId} belongs to another key.`);
  return key;
}
