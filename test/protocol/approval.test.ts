import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { APPROVAL_KINDS, approvalIdSchema, newApprovalId } from '../../protocol/approval.ts';

describe('the id of an approval', () => {
  it('says what waits under it, and never repeats', () => {
    for (const kind of APPROVAL_KINDS) {
      const ids = Array.from({ length: 200 }, () => newApprovalId(kind, randomBytes));
      expect(new Set(ids).size).toBe(200);
      for (const id of ids) expect(approvalIdSchema.parse(id).startsWith(`${kind}_`)).toBe(true);
    }
  });

  it('comes from nothing but the bytes', () => {
    const bytes = (size: number) => Uint8Array.from({ length: size }, (_, index) => index * 17);
    expect(newApprovalId('call', bytes)).toBe(newApprovalId('call', bytes));
  });

  it.each([
    '',
    'install_',
    'plan_0123456789abcdef',
    'install_0123456789ABCDEF',
    'install_0123456789abcde/',
    'call_0123456789abcdef0',
  ])('is not %j', (id) => {
    expect(approvalIdSchema.safeParse(id).success).toBe(false);
  });
});
