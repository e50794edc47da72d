import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalJson, digestOf } from '../../protocol/canonical.ts';
import {
  PAYLOAD_TYPE,
  publicKeyRecordOf,
  purlOf,
  receiptBytes,
  signReceipt,
  signStatement,
  statementOf,
  verifyBundle,
  verifyReceipt,
  type PublicKeyRecord,
  type SignedBundle,
} from '../../protocol/provenance.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const KEYS = {
  ed25519: () => generateKeyPairSync('ed25519').privateKey,
  p256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
};
const EXPECTED = { name: 'com.acme/weather', version: '1.2.3', archiveDigest: digestOf('archive') };
const STATEMENT = statementOf({
  ...EXPECTED,
  manifestDigest: digestOf('manifest'),
  permissionsDigest: digestOf('permissions'),
  surfaceDigest: digestOf('surface'),
  files: { 'skill.json': digestOf('{}').slice(7), 'server/index.js': digestOf('').slice(7) },
});

/** A bundle as a careless or hostile signer makes it: any payload, correctly signed. */
function signAnything(payload: string | Buffer, key: KeyObject, payloadType = PAYLOAD_TYPE): unknown {
  const { keyId, algorithm } = publicKeyRecordOf(key);
  const bytes = Buffer.from(payload);
  // DSSE pre-authentication encoding.
  const encoded = Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${bytes.length} `),
    bytes,
  ]);
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: keyId }, tlogEntries: [] },
    dsseEnvelope: {
      payload: bytes.toString('base64'),
      payloadType,
      signatures: [{ sig: sign(algorithm === 'p256' ? 'sha256' : null, encoded, key).toString('base64') }],
    },
  };
}

/** A copy with one place changed, addressed as `a.b.0.c`; `undefined` removes it. */
function changed(bundle: unknown, place: string, value: unknown): unknown {
  const copy = structuredClone(bundle) as Record<string, unknown>;
  const steps = place.split('.');
  const last = steps.pop() ?? '';
  let holder = copy;
  for (const step of steps) holder = holder[step] as Record<string, unknown>;
  if (value === undefined) delete holder[last];
  else holder[last] = value;
  return copy;
}

function flipped(base64: string, byte: number): string {
  const bytes = Buffer.from(base64, 'base64');
  bytes[byte]! ^= 1;
  return bytes.toString('base64');
}

describe('a package URL', () => {
  it('is percent-encoded as the purl specification asks', () => {
    expect(purlOf('com.acme/weather', '1.2.3-rc.1')).toBe('pkg:berth/com.acme/weather@1.2.3-rc.1');
    expect(purlOf('com.acme/we_at-her', '1.2.3+build.7')).toBe(
      'pkg:berth/com.acme/we_at-her@1.2.3%2Bbuild.7',
    );
    expect(purlOf('a/b', "1 @(!*')")).toBe('pkg:berth/a/b@1%20%40%28%21%2A%27%29');
  });
});

describe.each(Object.entries(KEYS))('a bundle signed with %s', (algorithm, newKey) => {
  const key = newKey();
  const record = publicKeyRecordOf(key);
  const other = publicKeyRecordOf(newKey());
  const signed = () => signStatement(STATEMENT, key);
  const check = (bundle: unknown, expected = EXPECTED, keys: PublicKeyRecord[] = [other, record]) =>
    verifyBundle(bundle, expected, keys);

  it('verifies, also after a trip through JSON, and says who signed what', async () => {
    const bundle = JSON.parse(JSON.stringify(await signed())) as SignedBundle;
    expect(record.algorithm).toBe(algorithm);
    expect(check(bundle)).toEqual({
      signer: `key:${record.keyId}`,
      keyId: record.keyId,
      statement: STATEMENT,
    });
    expect(check(signAnything(canonicalJson(STATEMENT), key)).statement).toEqual(STATEMENT);
  });

  it('is refused when any part of it was changed', verifies('provenance.tampering'), async () => {
    const bundle = await signed();
    const { payload, signatures } = bundle.dsseEnvelope;
    const sig = signatures[0]!.sig;
    const forged = Buffer.from(canonicalJson({ ...STATEMENT, predicateType: 'other' })).toString('base64');
    const places: [place: string, value: unknown][] = [
      ['mediaType', 'application/vnd.dev.sigstore.bundle+json;version=0.3'],
      ['mediaType', 'application/vnd.dev.sigstore.bundle.v0.2+json'],
      ['dsseEnvelope.payload', flipped(payload, 20)],
      ['dsseEnvelope.payload', forged],
      ['dsseEnvelope.payload', ''],
      ['dsseEnvelope.payload', `${payload}\n`],
      ['dsseEnvelope.payloadType', 'text/plain'],
      ['dsseEnvelope.payloadType', undefined],
      ['dsseEnvelope.signatures.0.sig', flipped(sig, 40)],
      ['dsseEnvelope.signatures.0.sig', ''],
      ['dsseEnvelope.signatures', []],
      ['dsseEnvelope.signatures', [...signatures, ...signatures]],
      ['dsseEnvelope.signatures', null],
      ['dsseEnvelope', undefined],
      ['messageSignature', { signature: sig }],
      ['verificationMaterial.publicKey', undefined],
      ['verificationMaterial.publicKey.hint', other.keyId],
      ['verificationMaterial.publicKey.hint', ''],
      ['verificationMaterial.surprise', true],
      ['surprise', true],
    ];
    for (const [place, value] of places) {
      await expectCode(() => check(changed(bundle, place, value)), 'bundle-invalid');
    }
    for (const junk of [null, undefined, 'bundle', [], 1, {}])
      await expectCode(() => check(junk), 'bundle-invalid');
  });

  it('is refused when it claims a log entry or a timestamp that nobody trusted vouches for', async () => {
    const bundle = await signed();
    const entry = {
      logIndex: '1',
      logId: { keyId: 'AAAA' },
      kindVersion: { kind: 'dsse', version: '0.0.2' },
      integratedTime: '0',
      canonicalizedBody: 'AAAA',
    };
    const time = { rfc3161Timestamps: [{ signedTimestamp: 'AAAA' }] };
    const twice = { rfc3161Timestamps: [...time.rfc3161Timestamps, ...time.rfc3161Timestamps] };
    for (const entries of [[entry], [entry, entry], [{}]]) {
      await expectCode(
        () => check(changed(bundle, 'verificationMaterial.tlogEntries', entries)),
        'bundle-invalid',
      );
    }
    for (const times of [time, twice]) {
      await expectCode(
        () => check(changed(bundle, 'verificationMaterial.timestampVerificationData', times)),
        'bundle-invalid',
      );
    }
    const doubled = changed(bundle, 'verificationMaterial.tlogEntries', [entry, { ...entry }]);
    expect((await expectCode(() => check(doubled), 'bundle-invalid')).message).toContain('twice');
  });

  it('is refused with a certificate, which this release does not accept', async () => {
    const bundle = await signed();
    for (const [place, value] of [
      ['verificationMaterial.certificate', { rawBytes: 'AAAA' }],
      ['verificationMaterial.x509CertificateChain', { certificates: [{ rawBytes: 'AAAA' }] }],
    ] as const) {
      const keyless = changed(changed(bundle, place, value), 'verificationMaterial.publicKey', undefined);
      const error = await expectCode(() => check(keyless), 'bundle-invalid');
      expect(error.message).toContain('certificate');
    }
  });

  it('speaks only for its own name, version and archive', verifies('provenance.binds'), async () => {
    const bundle = await signed();
    for (const expected of [
      { ...EXPECTED, name: 'com.acme/weather2' },
      { ...EXPECTED, name: 'com.evil/weather' },
      { ...EXPECTED, version: '1.2.4' },
      { ...EXPECTED, version: '1.2.3+1' },
      { ...EXPECTED, archiveDigest: digestOf('another archive') },
    ]) {
      await expectCode(() => check(bundle, expected), 'statement-mismatch');
    }
  });

  it('is refused when what is signed is not exactly one statement of ours', async () => {
    const subject = STATEMENT.subject[0]!;
    const wrong: unknown[] = [
      { ...STATEMENT, _type: 'https://in-toto.io/Statement/v0.1' },
      { ...STATEMENT, predicateType: 'https://slsa.dev/provenance/v1' },
      { ...STATEMENT, subject: [] },
      { ...STATEMENT, subject: [subject, { ...subject, name: 'pkg:berth/com.acme/other@1.0.0' }] },
      { ...STATEMENT, subject: [{ name: subject.name, digest: { sha512: 'ab' } }] },
      { ...STATEMENT, subject: [{ ...subject, digest: { ...subject.digest, sha1: 'ab' } }] },
      { ...STATEMENT, predicate: { ...STATEMENT.predicate, files: { a: 'not a digest' } } },
      { ...STATEMENT, predicate: {} },
      { ...STATEMENT, surprise: 1 },
    ];
    for (const value of wrong) {
      await expectCode(() => check(signAnything(canonicalJson(value), key)), 'statement-mismatch');
    }
    const text = canonicalJson(STATEMENT);
    const notCanonical: (string | Buffer)[] = [
      JSON.stringify(STATEMENT),
      ` ${text}`,
      text.replace('{', '{"subject":[],'),
      'no JSON',
      Buffer.concat([Buffer.from('"'), Buffer.of(0xff), Buffer.from('"')]),
    ];
    for (const payload of notCanonical) {
      await expectCode(() => check(signAnything(payload, key)), 'bundle-invalid');
    }
    await expectCode(() => check(signAnything(text, key, 'application/json')), 'bundle-invalid');
  });

  it('is refused from a key that is not registered', async () => {
    const bundle = await signed();
    await expectCode(() => check(bundle, EXPECTED, []), 'signer-not-allowed');
    await expectCode(() => check(bundle, EXPECTED, [other]), 'signer-not-allowed');
  });

  it(
    'counts for a retired key only if it was signed before, for certain',
    verifies('provenance.retired'),
    async () => {
      const bundle = await signed();
      const keys = [{ ...record, retiredAt: '2026-05-01T00:00:00Z' }];
      await expectCode(() => check(bundle, EXPECTED, keys), 'key-retired');
      for (const signedBefore of [
        '2026-05-01T00:00:00Z',
        '2026-05-01T00:00:00.001Z',
        '2027-01-01T00:00:00Z',
        'soon',
      ]) {
        await expectCode(() => verifyBundle(bundle, { ...EXPECTED, signedBefore }, keys), 'key-retired');
      }
      const before = { ...EXPECTED, signedBefore: '2026-04-30T23:59:59.999Z' };
      expect(verifyBundle(bundle, before, keys).keyId).toBe(record.keyId);
    },
  );

  it('is refused when the registered key is not what its record says', async () => {
    const bundle = await signed();
    const untrue: PublicKeyRecord[] = [
      { ...record, publicKey: other.publicKey },
      { ...record, algorithm: record.algorithm === 'p256' ? 'ed25519' : 'p256' },
      { ...record, publicKey: 'AAAA' },
    ];
    for (const entry of untrue) await expectCode(() => check(bundle, EXPECTED, [entry]), 'bundle-invalid');
  });
});

describe('keys', () => {
  it('of other kinds neither sign nor get a record', async () => {
    for (const key of [
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
      generateKeyPairSync('x25519').privateKey,
    ]) {
      await expectCode(() => publicKeyRecordOf(key), 'key-not-found');
      await expectCode(signStatement(STATEMENT, key), 'key-not-found');
    }
  });
});

describe('a receipt', () => {
  const registry = KEYS.ed25519();
  const record = publicKeyRecordOf(registry);
  const receipt = signReceipt(
    {
      purl: purlOf(EXPECTED.name, EXPECTED.version),
      digest: EXPECTED.archiveDigest,
      signer: 'key:abc',
      logIndex: 4,
      treeSize: 5,
      rootHash: 'ab'.repeat(32),
      time: '2026-11-23T10:00:00.000Z',
    },
    registry,
  );

  it('verifies as signed, whatever the order of its members', () => {
    const reordered = Object.fromEntries(Object.entries(receipt).toReversed());
    expect(verifyReceipt(reordered, record)).toEqual(receipt);
    expect(receiptBytes(receipt).toString()).not.toContain(receipt.signature);
  });

  it('is refused when any member was changed, added or removed', verifies('provenance.receipt'), async () => {
    const changes: Record<string, unknown> = {
      purl: 'pkg:berth/com.acme/weather@1.2.4',
      digest: digestOf('another'),
      signer: 'key:abd',
      logIndex: 3,
      treeSize: 6,
      rootHash: 'ac'.repeat(32),
      time: '2026-11-23T10:00:00.001Z',
      keyId: publicKeyRecordOf(KEYS.ed25519()).keyId,
      signature: flipped(receipt.signature, 10),
      surprise: 1,
    };
    for (const [member, value] of Object.entries(changes)) {
      await expectCode(() => verifyReceipt({ ...receipt, [member]: value }, record), 'receipt-invalid');
      if (member === 'surprise') continue;
      await expectCode(() => verifyReceipt(changed(receipt, member, undefined), record), 'receipt-invalid');
    }
    await expectCode(() => verifyReceipt({ ...receipt, logIndex: 5 }, record), 'receipt-invalid');
    await expectCode(() => verifyReceipt(null, record), 'receipt-invalid');
  });

  it('is refused from another registry', async () => {
    const stranger = publicKeyRecordOf(KEYS.ed25519());
    await expectCode(() => verifyReceipt(receipt, stranger), 'receipt-invalid');
    await expectCode(() => verifyReceipt(receipt, { ...stranger, keyId: record.keyId }), 'receipt-invalid');
    expect(() => signReceipt(receipt, KEYS.p256())).toThrow(TypeError);
  });
});
