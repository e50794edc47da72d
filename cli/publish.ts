import { AppError } from '../protocol/errors.ts';
import { splitName } from '../protocol/manifest.ts';
import { callRoute, upload } from '../protocol/node/http-client.ts';
import type { SigningKey } from '../protocol/node/keys.ts';
import {
  purlOf,
  signStatement,
  verifyBundle,
  verifyReceipt,
  type PublicKeyRecord,
  type Receipt,
} from '../protocol/provenance.ts';
import { registryApi } from '../protocol/registry-api.ts';
import { claimsOf, type PackageClaims } from './package-claims.ts';
import type { RegistryAddress } from './servers.ts';

/** A version that a registry has taken in. */
export interface Published {
  name: string;
  version: string;
  digest: string;
  receipt: Receipt;
  /** True when the registry had the same bytes before: nothing changed there. */
  repeated: boolean;
}

/** With what a package is signed: a key that signs now, or a signature that was made before. */
export type Signature = { key: SigningKey } | { bundle: unknown };

/**
 * Publishes an archive: reads it as the registry will, signs it (or checks the signature it came with), makes sure
 * that the namespace knows the key, uploads, and believes the receipt only when it verifies.
 * @throws AppError `not-signed-in`, `archive-…`, `signer-not-allowed`, `version-exists`, `receipt-invalid`, …
 */
export async function publishArchive(
  { registry }: { registry: RegistryAddress },
  archive: Buffer,
  signature: Signature,
): Promise<Published> {
  const claims = await claimsOf(archive);
  const { baseUrl, token } = signedIn(registry);
  const { namespace } = splitName(claims.manifest.name);
  const { key: registryKey } = await callRoute(registryApi.registry, { baseUrl });
  if ('key' in signature) await registerKey({ baseUrl, token }, namespace, signature.key.record);
  const bundle =
    'key' in signature ? await signStatement(claims.statement, signature.key.privateKey) : signature.bundle;
  const { keys } = await callRoute(registryApi.keys, { baseUrl, params: { namespace } });
  // Refused here, nothing is uploaded that the registry would refuse.
  const { signer } = verifyBundle(bundle, subjectOf(claims), keys);

  const repeated = await isPublished(baseUrl, claims);
  if (!repeated) {
    const hex = claims.digest.slice('sha256:'.length);
    await upload(registryApi.uploadBlob, { baseUrl, token, params: { hex }, bytes: archive });
  }
  const body = { archive: claims.digest, bundle: bundle as Record<string, never> };
  const answer = await callRoute(registryApi.publish, { baseUrl, token, body });
  const receipt = verifyReceipt(answer.receipt, registryKey);
  // What was published before may have been signed with another key of the namespace.
  refuseOtherReceipt(receipt, claims, repeated ? receipt.signer : signer);
  return { name: answer.name, version: answer.version, digest: answer.digest, receipt, repeated };
}

/** What a signature over this package has to be about. */
export function subjectOf({ manifest, digest }: PackageClaims) {
  return { name: manifest.name, version: manifest.version, archiveDigest: digest };
}

/** @throws AppError `not-signed-in`, naming how to sign in, or that somebody is: to `others`. */
export function signedIn(
  { baseUrl, token }: RegistryAddress,
  others: readonly string[] = [],
): { baseUrl: string; token: string } {
  if (token !== undefined) return { baseUrl, token };
  const [other] = others;
  throw new AppError('not-signed-in', {
    detail: `Publishing to ${baseUrl} needs a token, and none is known.`,
    hint:
      other === undefined
        ? `berth login --registry ${baseUrl}`
        : `You are signed in to ${others.join(', ')}: add --registry ${other}. Or: berth login --registry ${baseUrl}`,
  });
}

/** Binds the key to the namespace unless it is; who may do that is the registry's to say. */
async function registerKey(
  registry: { baseUrl: string; token: string },
  namespace: string,
  record: PublicKeyRecord,
): Promise<void> {
  const { keys } = await callRoute(registryApi.keys, { baseUrl: registry.baseUrl, params: { namespace } });
  if (keys.some(({ keyId }) => keyId === record.keyId)) return;
  try {
    const body = { publicKey: record.publicKey };
    await callRoute(registryApi.addKey, { ...registry, params: { namespace }, body });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'forbidden') throw error;
    throw new AppError('signer-not-allowed', {
      detail: `The key ${record.keyId.slice(0, 8)}… may not sign for ${namespace} yet, and others may: only an admin can add it.`,
      hint: `An admin of the registry runs: berth keys register ${namespace} --public-key ${record.publicKey}`,
      cause: error,
    });
  }
}

async function isPublished(baseUrl: string, { manifest, digest }: PackageClaims): Promise<boolean> {
  const params = { ...splitName(manifest.name), version: manifest.version };
  try {
    return (await callRoute(registryApi.version, { baseUrl, params })).digest === digest;
  } catch (error) {
    if (error instanceof AppError && ['skill-not-found', 'version-not-found'].includes(error.code))
      return false;
    throw error;
  }
}

function refuseOtherReceipt(receipt: Receipt, { manifest, digest }: PackageClaims, signer: string): void {
  const purl = purlOf(manifest.name, manifest.version);
  if (receipt.purl === purl && receipt.digest === digest && receipt.signer === signer) return;
  throw new AppError('receipt-invalid', {
    detail: `The registry answered with a receipt for ${receipt.purl} ${receipt.digest}, not for ${purl} ${digest}.`,
    hint: 'Do not rely on this registry before its admin has explained it.',
  });
}
