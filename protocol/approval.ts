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

/** Something that waits, or waited, for an admin's `approve` or `deny`. */
export const approvalSchema = z
  .strictObject({
    id: approvalIdSchema,
    kind: z.enum(APPROVAL_KINDS),
    /** `replaced`: a newer proposal for the same thing took its place; this one can't be answered. */
    state: z.enum(['waiting', 'approved', 'denied', 'replaced']),
    createdAt: z.iso.datetime(),
    settledAt: z.iso.datetime().optional(),
    /** Who answered. */
    by: z.string().min(1).max(200).optional(),
    /** Exactly what is decided about; its form depends on the kind. */
    proposal: z.record(z.string(), z.unknown()),
  })
  .refine(({ id, kind }) => id.startsWith(`${kind}_`), 'the id is of another kind')
  .refine(
    ({ state, settledAt }) => (state === 'waiting') === (settledAt === undefined),
    'settledAt belongs to an approval that no longer waits',
  );
export type Approval = z.output<typeof approvalSchema>;

/** Crockford's alphabet: no letter that is taken for another one when read aloud. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

const DIGITS = 16;

/** A new id with 80 bits of chance, taken from `randomBytes` (such as that of `node:crypto`). */
export function newApprovalId(kind: ApprovalKind, randomBytes: (size: number) => Uint8Array): ApprovalId {
  // 256 is a multiple of 32, so that every digit is as likely as any other.
  const digits = [...randomBytes(DIGITS)].map((byte) => ALPHABET.charAt(byte % ALPHABET.length));
  return `${kind}_${digits.join('')}`;
}
