import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import { publicKeyRecordOf, type PublicKeyRecord } from '../provenance.ts';
import { writeNewFile } from './durable.ts';

export { publicKeyRecordOf as publicRecord };

export type KeyAlgorithm = PublicKeyRecord['algorithm'];

/** A key pair that signs; the private half never leaves `privateKey`. */
export interface SigningKey {
  record: PublicKeyRecord;
  privateKey: KeyObject;
}

/** A new key pair; Ed25519 unless said otherwise. */
export function createKey(algorithm: KeyAlgorithm = 'ed25519'): SigningKey {
  const { privateKey } =
    algorithm === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return signingKey(privateKey);
}

function signingKey(privateKey: KeyObject): SigningKey {
  return { record: publicKeyRecordOf(privateKey), privateKey };
}

/** Reads a public key that a peer sent as base64 SPKI DER; `request-invalid` when it is none we sign with. */
export function publicKeyOf(base64: string): PublicKeyRecord {
  try {
    const der = Buffer.from(base64, 'base64');
    return publicKeyRecordOf(createPublicKey({ key: der, format: 'der', type: 'spki' }));
  } catch (error) {
    throw new AppError('request-invalid', {
      detail: 'The public key is neither an Ed25519 nor a P-256 key.',
      hint: 'Send its SPKI DER as base64.',
      cause: error,
    });
  }
}

/** Signs bytes as DSSE and our receipts want it: Ed25519 plain, P-256 over SHA-256 in DER. */
export function signBytes(key: SigningKey, bytes: Uint8Array): Buffer {
  return sign(key.record.algorithm === 'ed25519' ? null : 'sha256', bytes, key.privateKey);
}

/**
 * Keeps a private key: PKCS #8 PEM, mode 0600, on disk before it answers. Either the whole file
 * appears under its name or none; an existing file is never replaced (`key-exists`).
 */
export async function writeKey(path: string, key: SigningKey): Promise<void> {
  const pem = key.privateKey.export({ type: 'pkcs8', format: 'pem' });
  try {
    await writeNewFile(path, String(pem));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new AppError('key-exists', {
      detail: `${path} holds a key already.`,
      hint: 'Choose another name; keys are never overwritten.',
      cause: error,
    });
  }
}

const KEY_FILE_MAX_BYTES = 16_384;

/** Reads a private key; `key-not-found` when there is none, `config-invalid` when others can read it too. */
export async function readKey(path: string): Promise<SigningKey> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (found === undefined || !found.isFile() || found.size > KEY_FILE_MAX_BYTES) {
    throw new AppError('key-not-found', {
      detail: `${path} is not a key file.`,
      hint: 'berth keys create',
    });
  }
  if ((found.mode & 0o077) !== 0) {
    throw new AppError('config-invalid', {
      detail: `The private key ${path} can be read by others on this machine.`,
      hint: `chmod 600 ${path}`,
    });
  }
  return parsePrivateKey(await readFile(path, 'utf8'), path);
}

function parsePrivateKey(pem: string, path: string): SigningKey {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (error) {
    throw new AppError('key-not-found', {
      detail: `${path} holds no private key in PEM form.`,
      cause: error,
    });
  }
  return signingKey(privateKey);
}

/** The key under this path, made on the first use. Two first uses at once end with the same key. */
export async function readOrCreateKey(
  path: string,
  algorithm: KeyAlgorithm = 'ed25519',
): Promise<SigningKey> {
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  if (exists) return readKey(path);
  try {
    const key = createKey(algorithm);
    await writeKey(path, key);
    return key;
  } catch (error) {
    if (error instanceof AppError && error.code === 'key-exists') return readKey(path);
    throw error;
  }
}
