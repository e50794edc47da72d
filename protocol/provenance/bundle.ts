import { sign, type KeyObject } from 'node:crypto';
import { BUNDLE_V03_MEDIA_TYPE, bundleFromJSON, bundleToJSON } from '@sigstore/bundle';
import { toSignedEntity, toTrustMaterial, VerificationError, Verifier } from '@sigstore/verify';
import { z } from 'zod';
import { canonicalJson, type Digest } from '../canonical.ts';
import { AppError } from '../errors.ts';
import { base64, keyIdSchema, problemsOf } from './fields.ts';
import { HASH_OF, keyObjectOf, publicKeyRecordOf, type PublicKeyRecord } from './keys.ts';
import { hexOf, PAYLOAD_TYPE, purlOf, statementSchema, type Statement } from './statement.ts';

/** Bounds of a bundle. A payload of 10,000 long paths needs most of it. */
export const BUNDLE_LIMITS = { payloadCharacters: 6_000_000, logEntries: 8, timestamps: 8 };

/** A Sigstore bundle v0.3 as JSON, bounded. Whether it is worth anything is `verifyBundle`'s to say. */
export const bundleSchema = z.strictObject({
  mediaType: z.literal(BUNDLE_V03_MEDIA_TYPE),
  verificationMaterial: z.strictObject({
    publicKey: z.strictObject({ hint: keyIdSchema }).optional(),
    certificate: z.unknown().optional(),
    x509CertificateChain: z.unknown().optional(),
    tlogEntries: z.array(z.record(z.string(), z.unknown())).max(BUNDLE_LIMITS.logEntries).optional(),
    timestampVerificationData: z
      .strictObject({
        rfc3161Timestamps: z
          .array(z.strictObject({ signedTimestamp: base64(20_000) }))
          .max(BUNDLE_LIMITS.timestamps)
          .optional(),
      })
      .optional(),
  }),
  dsseEnvelope: z.strictObject({
    payload: base64(BUNDLE_LIMITS.payloadCharacters),
    payloadType: z.literal(PAYLOAD_TYPE),
    signatures: z
      .array(z.strictObject({ sig: base64(200), keyid: z.string().max(200).optional() }))
      .length(1, 'must be exactly one signature'),
  }),
});

/** A Sigstore bundle v0.3 around one signed statement. */
export type SignedBundle = z.infer<typeof bundleSchema>;

/** Signs a statement with an Ed25519 or P-256 key. Throws `key-not-found` for another kind of key. */
export async function signStatement(statement: Statement, key: KeyObject): Promise<SignedBundle> {
  const { keyId, algorithm, publicKey } = publicKeyRecordOf(key);
  // Loaded when used, for it brings HTTP clients along that verification never needs.
  const { DSSEBundleBuilder } = await import('@sigstore/sign');
  const signer = {
    sign: async (data: Buffer) => ({
      signature: sign(HASH_OF[algorithm], data, key),
      key: { $case: 'publicKey' as const, publicKey, hint: keyId },
    }),
  };
  const bundle = await new DSSEBundleBuilder({ signer, witnesses: [] }).create({
    data: Buffer.from(canonicalJson(statement)),
    type: PAYLOAD_TYPE,
  });
  // The library leaves members that are `undefined`; on paper they do not exist.
  return bundleSchema.parse(JSON.parse(JSON.stringify(bundleToJSON(bundle))));
}

/** What a bundle has to speak of. */
export interface ExpectedSubject {
  name: string;
  version: string;
  archiveDigest: Digest;
  /**
   * When the signature existed for certain: the time of a receipt that has been verified. A key that was retired
   * later still counts; without this, a retired key counts for nothing.
   */
  signedBefore?: string;
}

/** A bundle that holds. */
export interface VerifiedBundle {
  /** `key:<keyId>`. */
  signer: string;
  keyId: string;
  statement: Statement;
}

/**
 * Verifies a bundle with `@sigstore/verify` and checks what that leaves to its caller. Throws `bundle-invalid` for
 * a bundle that is malformed or not signed by the key it names, `signer-not-allowed` for a key that is not among
 * `keys`, `key-retired`, and `statement-mismatch` for a good signature over something else than expected.
 */
export function verifyBundle(
  bundle: unknown,
  expected: ExpectedSubject,
  keys: readonly PublicKeyRecord[],
): VerifiedBundle {
  const parsed = parseBundle(bundle);
  const record = keyNamedBy(parsed, keys);
  checkRetirement(record, expected.signedBefore);
  checkSignature(parsed, keyObjectOf(record, 'bundle-invalid'));
  const statement = parseStatement(Buffer.from(parsed.dsseEnvelope.payload, 'base64'));
  checkSubject(statement, expected);
  return { signer: `key:${record.keyId}`, keyId: record.keyId, statement };
}

function parseBundle(input: unknown): SignedBundle {
  const parsed = bundleSchema.safeParse(input);
  if (!parsed.success) throw bundleInvalid(`The bundle is malformed: ${problemsOf(parsed.error)}`);
  const { certificate, x509CertificateChain, tlogEntries, timestampVerificationData } =
    parsed.data.verificationMaterial;
  if (certificate !== undefined || x509CertificateChain !== undefined) {
    throw bundleInvalid(
      'The bundle is signed with a certificate; this release accepts signatures by key only.',
    );
  }
  // One proof counted twice would pass for two.
  for (const proofs of [tlogEntries ?? [], timestampVerificationData?.rfc3161Timestamps ?? []]) {
    if (new Set(proofs.map(canonicalJson)).size < proofs.length) {
      throw bundleInvalid('The bundle carries the same log entry or timestamp twice.');
    }
  }
  return parsed.data;
}

function keyNamedBy(bundle: SignedBundle, keys: readonly PublicKeyRecord[]): PublicKeyRecord {
  const hint = bundle.verificationMaterial.publicKey?.hint;
  if (hint === undefined) throw bundleInvalid('The bundle does not name the key that signed it.');
  const record = keys.find(({ keyId }) => keyId === hint);
  if (record === undefined) {
    throw new AppError('signer-not-allowed', {
      detail: `The key ${hint} is not registered for this namespace.`,
      hint: 'Register the key for the namespace, or sign with one that is.',
    });
  }
  return record;
}

// `@sigstore/verify` asks a key for its validity only when the bundle carries a trusted time.
function checkRetirement({ keyId, retiredAt }: PublicKeyRecord, signedBefore: string | undefined): void {
  if (retiredAt === undefined) return;
  if (signedBefore !== undefined && Date.parse(signedBefore) < Date.parse(retiredAt)) return;
  throw new AppError('key-retired', { detail: `The key ${keyId} was retired at ${retiredAt}.` });
}

function checkSignature(bundle: SignedBundle, publicKey: KeyObject): void {
  const nothingElse = {
    certificateAuthorities: [],
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
    mediaType: '',
  };
  const trust = toTrustMaterial(nothingElse, () => ({ publicKey, validFor: () => true }));
  const thresholds = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
  try {
    new Verifier(trust, thresholds).verify(toSignedEntity(bundleFromJSON(bundle)));
  } catch (cause) {
    const why = cause instanceof VerificationError ? cause.message : 'the bundle cannot be read';
    throw bundleInvalid(`The signature does not verify: ${why}.`, cause);
  }
}

function parseStatement(payload: Buffer): Statement {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    // A statement has one text, so that no reader can find another value in it (a second `subject`, say).
    if (!payload.equals(Buffer.from(canonicalJson(value)))) throw new SyntaxError('not canonical JSON');
  } catch (cause) {
    throw bundleInvalid('The signed statement is not canonical JSON.', cause);
  }
  const parsed = statementSchema.safeParse(value);
  if (!parsed.success) throw mismatch(`The signed statement is not one of ours: ${problemsOf(parsed.error)}`);
  return parsed.data;
}

function checkSubject(statement: Statement, { name, version, archiveDigest }: ExpectedSubject): void {
  const [subject] = statement.subject;
  const purl = purlOf(name, version);
  if (subject?.name !== purl) throw mismatch(`The statement is about ${subject?.name}, not about ${purl}.`);
  if (subject.digest.sha256 !== hexOf(archiveDigest)) {
    throw mismatch(`The statement is about an archive with another digest than ${archiveDigest}.`);
  }
}

function bundleInvalid(detail: string, cause?: unknown): AppError {
  return new AppError('bundle-invalid', { detail, cause });
}

function mismatch(detail: string): AppError {
  return new AppError('statement-mismatch', { detail });
}
