import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson, digestOf, digestOfJson, digestSchema, type Digest } from '../canonical.ts';
import type { PublicKeyRecord } from '../provenance.ts';
import type { AuditEntry, AuditEvent, AuditRecord } from './events.ts';

/** What the first record names as its predecessor: the digest of nothing. */
export const FIRST_PREVIOUS: Digest = digestOf('');

/** Where a chain ends: what the next record is put behind, and what a head is signed over. */
export type ChainTip = Pick<AuditRecord, 'seq' | 'hash' | 'time'>;

/** Puts an entry behind a record; `undefined` begins a chain. */
export function link(previous: ChainTip | undefined, { time, ...event }: AuditEntry): AuditRecord {
  return JSON.parse(linked(previous, time, event).text) as AuditRecord;
}

/**
 * The same as the record's canonical JSON alone, with the tip it makes. Each member is written once, and both texts, the
 * hashed one and the whole, are put together from the same parts: every call waits for this.
 */
export function linked(
  previous: ChainTip | undefined,
  time: string,
  event: AuditEvent,
): ChainTip & { text: string } {
  const own: Readonly<Record<string, unknown>> = event;
  const seq = previous === undefined ? 1 : previous.seq + 1;
  const added = { time, seq, previous: previous?.hash ?? FIRST_PREVIOUS };
  let beforeHash = '';
  let afterHash = '';
  for (const key of [...Object.keys(event), 'previous', 'seq', 'time'].sort()) {
    const member = `"${key}":${canonicalJson(key in added ? added[key as keyof typeof added] : own[key])}`;
    if (key < 'hash') beforeHash += `${member},`;
    else afterHash += `,${member}`;
  }
  const hash = digestOf(`{${beforeHash}${afterHash.slice(1)}}`);
  return { seq, hash, time, text: `{${beforeHash}"hash":"${hash}"${afterHash}}` };
}

/** The hub's word that its log, up to record `seq`, ends in `hash`. */
export const signedHeadSchema = z.strictObject({
  seq: z.int().positive(),
  hash: digestSchema,
  /** Of the record. */
  time: z.string().max(40),
  keyId: z.string().max(100),
  /** base64 Ed25519 over the canonical JSON of the other members. */
  signature: z.base64().max(100),
});

/** The hub's word on where its log ended. */
export type SignedHead = z.infer<typeof signedHeadSchema>;

/** Signs the chain up to a record with the hub's Ed25519 key. */
export function signHead(
  record: ChainTip,
  key: { record: PublicKeyRecord; privateKey: KeyObject },
): SignedHead {
  if (key.record.algorithm !== 'ed25519')
    throw new TypeError('A hub signs its audit log with an Ed25519 key.');
  const head = { seq: record.seq, hash: record.hash, time: record.time, keyId: key.record.keyId };
  return {
    ...head,
    signature: sign(null, Buffer.from(canonicalJson(head)), key.privateKey).toString('base64'),
  };
}

/** What a check of a whole log found; `record` is the number of the first record that is not as it was written. */
export type ChainVerdict =
  | { ok: true; records: number; head: Digest }
  | { ok: false; record: number; reason: string };

/** A record as stored: canonical JSON as text, under its number. */
export interface StoredRecord {
  seq: number;
  record: string;
}

/**
 * Checks a log as it is stored. `rows` come in the order of `seq`; `heads` are signed heads, parsed or as JSON
 * text; `keys` are the hub's public keys. `end` is the last record that a running hub knows it wrote.
 *
 * Whoever can write the database can also compute hashes. What cannot be forged without the hub's key is what
 * lies at or before a signed head; behind the last one only careless changes are found, unless `end` is given.
 */
export async function verifyChain(
  rows: Iterable<StoredRecord> | AsyncIterable<StoredRecord>,
  heads: Iterable<unknown>,
  keys: readonly PublicKeyRecord[],
  end?: { seq: number; hash: string },
): Promise<ChainVerdict> {
  const claims = claimsOf(heads, keys);
  let seq = 0;
  let hash = FIRST_PREVIOUS;
  let provenUpTo = 0;
  for await (const row of rows) {
    const checked = checkRow(row, seq + 1, hash);
    if ('reason' in checked) return { ok: false, ...checked };
    seq += 1;
    hash = checked.hash;
    const claim = claims.get(seq);
    if (claim === undefined) continue;
    if (claim.fault !== undefined) return broken(seq, claim.fault);
    if (claim.hash !== hash) {
      const first = provenUpTo + 1;
      return broken(seq, `is not the one that was signed; it or a record from ${first} on was rewritten`);
    }
    provenUpTo = seq;
  }
  for (const [claimed, { fault }] of claims) {
    if (claimed <= seq) continue;
    if (fault === undefined) return broken(seq + 1, `is missing; the log was signed up to record ${claimed}`);
    return broken(Number.isFinite(claimed) ? claimed : Math.max(1, seq), fault);
  }
  if (end !== undefined && seq < end.seq)
    return broken(seq + 1, `is missing; ${end.seq} records were written`);
  if (end !== undefined && (seq > end.seq || (seq > 0 && hash !== end.hash))) {
    return broken(Math.max(1, Math.min(seq, end.seq + 1)), 'is not one that this hub wrote');
  }
  return { ok: true, records: seq, head: hash };
}

const storedSchema = z.looseObject({ seq: z.int(), previous: z.string(), hash: z.string() });

/** The hash to go on with, or what is wrong with which record. */
function checkRow(
  row: StoredRecord,
  expected: number,
  previous: Digest,
): { hash: Digest } | { record: number; reason: string } {
  if (row.seq > expected) return { record: expected, reason: 'is missing' };
  if (row.seq !== expected) return { record: row.seq, reason: 'was inserted' };
  const record = parseStored(row.record);
  if (record === undefined) return { record: expected, reason: 'was edited: it is not a record any more' };
  if (record.seq !== expected)
    return { record: expected, reason: `was replaced: it holds record ${record.seq}` };
  const { hash, ...unhashed } = record;
  if (hash !== digestOfJson(unhashed)) return { record: expected, reason: 'was edited' };
  if (record.previous !== previous) {
    // The record is whole and names another predecessor: so it is the predecessor that changed.
    return expected === 1
      ? { record: 1, reason: 'was replaced: it is not the first of a log' }
      : { record: expected - 1, reason: `was replaced: record ${expected} was written after another one` };
  }
  return { hash };
}

/** The record, if the text is exactly as we write it: other spacing or order is an edit, too. */
function parseStored(text: string): z.infer<typeof storedSchema> | undefined {
  try {
    const record = storedSchema.parse(JSON.parse(text));
    return canonicalJson(record) === text ? record : undefined;
  } catch {
    return undefined;
  }
}

interface Claim {
  hash: Digest;
  /** Why the claim counts for nothing. */
  fault: string | undefined;
}

/** What the heads say, by record number in ascending order; one that cannot be read and names no record comes last. */
function claimsOf(heads: Iterable<unknown>, keys: readonly PublicKeyRecord[]): Map<number, Claim> {
  const claims = [...heads].map((stored): [number, Claim] => {
    const value = typeof stored === 'string' ? parsedOrText(stored) : stored;
    const head = signedHeadSchema.safeParse(value);
    if (!head.success) {
      const named = z.looseObject({ seq: z.int().positive() }).safeParse(value);
      const fault = 'has a signed head that cannot be read';
      return [named.success ? named.data.seq : Infinity, { hash: FIRST_PREVIOUS, fault }];
    }
    const fault = isSigned(head.data, keys) ? undefined : 'has a signed head that this hub did not sign';
    return [head.data.seq, { hash: head.data.hash, fault }];
  });
  // Of two heads for one record the faulty one counts, being evidence.
  const faulty = ([, { fault }]: [number, Claim]) => (fault === undefined ? 0 : 1);
  return new Map(claims.toSorted((a, b) => (a[0] === b[0] ? faulty(a) - faulty(b) : a[0] - b[0])));
}

function isSigned({ signature, ...head }: SignedHead, keys: readonly PublicKeyRecord[]): boolean {
  const key = keys.find(({ keyId, algorithm }) => keyId === head.keyId && algorithm === 'ed25519');
  if (key === undefined) return false;
  const publicKey = createPublicKey({
    key: Buffer.from(key.publicKey, 'base64'),
    format: 'der',
    type: 'spki',
  });
  return verify(null, Buffer.from(canonicalJson(head)), publicKey, Buffer.from(signature, 'base64'));
}

function parsedOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function broken(record: number, reason: string): ChainVerdict {
  return { ok: false, record, reason };
}
