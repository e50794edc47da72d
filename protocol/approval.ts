import { z } from 'zod';

export const APPROVAL_KINDS = ['install', 'upgrade', 'call'] as const;
export type ApprovalKind = (typeof APPROVAL_KINDS)[number];

/** `install_…`, `upgrade_…` or `call_…`: whoever sees an id knows what waits under it. */
export const approvalIdSchema = z.templateLiteral([
  z.enum(APPROVAL_KINDS),
  '_',
  z.string().regex(/^[0-9a-hjkmnp-tv-z]{16}$/),
]);
export type ApprovalId = z.output<typeof approvalIdSchema>;

/** `replaced`: a newer proposal for the same thing took its place; this one can't be answered. */
export type ApprovalState = 'waiting' | 'approved' | 'denied' | 'replaced';

/** Crockford's alphabet: no letter that is taken for another one when read aloud. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

const DIGITS = 16;

/** A new id with 80 bits of chance, taken from `randomBytes` (such as that of `node:crypto`). */
export function newApprovalId(kind: ApprovalKind, randomBytes: (size: number) => Uint8Array): ApprovalId {
  // 256 is a multiple of 32, so that every digit is as likely as any other.
  const digits = [...randomBytes(DIGITS)].map((byte) => ALPHABET.charAt(byte % ALPHABET.length));
  return `${kind}_${digits.join('')}`;
}
