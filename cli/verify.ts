import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { canonicalJson } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import { publicKeyRecordOf, verifyBundle, type PublicKeyRecord } from '../protocol/provenance.ts';
import { claimsOf } from './package-claims.ts';
import { subjectOf } from './publish.ts';

/** A package whose signature holds for all that is in it. */
export interface VerifiedPackage {
  name: string;
  version: string;
  digest: string;
  signer: string;
  files: number;
}

/**
 * Checks a downloaded archive against its signature without any server: the archive is canonical, the signature is
 * by one of the keys, and it speaks of exactly this manifest, these permissions, this surface and these files.
 * @throws AppError of exit code 6 (`archive-…`, `bundle-invalid`, `statement-mismatch`), `signer-not-allowed`.
 */
export async function verifyPackage(
  archive: Buffer,
  bundle: unknown,
  keys: readonly PublicKeyRecord[],
): Promise<VerifiedPackage> {
  const claims = await claimsOf(archive);
  const { signer, statement } = verifyBundle(bundle, subjectOf(claims), keys);
  if (canonicalJson(statement) !== canonicalJson(claims.statement)) {
    throw new AppError('statement-mismatch', {
      detail: 'The package does not hold what was signed.',
      hint: 'Do not use it; download it again or tell its author.',
      data: { differs: differencesIn(statement.predicate, claims.statement.predicate) },
    });
  }
  return {
    name: claims.manifest.name,
    version: claims.manifest.version,
    digest: claims.digest,
    signer,
    files: Object.keys(statement.predicate.files).length,
  };
}

function differencesIn(signed: object, found: object): string[] {
  const other = new Map(Object.entries(found));
  return Object.entries(signed)
    .filter(([key, value]) => canonicalJson(value) !== canonicalJson(other.get(key)))
    .map(([key]) => key);
}

/**
 * Public keys from a file: PEM, or the JSON that a registry serves at `/v1/keys/<namespace>`.
 * @throws AppError `usage-invalid`.
 */
export async function readPublicKeys(path: string): Promise<PublicKeyRecord[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    if (text.trimStart().startsWith('{')) {
      const { publicKeyRecordSchema } = await import('../protocol/provenance.ts');
      const { keys } = JSON.parse(text) as { keys: unknown[] };
      return keys.map((key) => publicKeyRecordSchema.parse(key));
    }
    return [publicKeyRecordOf(createPublicKey(text))];
  } catch (error) {
    throw new AppError('usage-invalid', {
      detail: `${path} holds no public key.`,
      hint: 'Name a PEM file, or the JSON of a registry’s /v1/keys/<namespace>.',
      cause: error,
    });
  }
}
