import { describe, expect, it } from 'vitest';
import {
  AppError,
  asAppError,
  ERRORS,
  errorOfProblem,
  problemOf,
  type ErrorCode,
} from '../../protocol/errors.ts';

describe('the error table', () => {
  it('survives a trip through problem+json, code, detail, hint and extensions', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const error = new AppError(code, { detail: 'what', hint: 'do this', data: { faults: [1] } });
      const back = errorOfProblem(JSON.parse(JSON.stringify(problemOf(error, 'id'))), error.status);
      expect([back.code, back.message, back.hint, back.data]).toEqual([
        code,
        'what',
        'do this',
        { faults: [1] },
      ]);
    }
  });

  it('has kebab-case codes, HTTP statuses and documented exit codes only', () => {
    for (const [code, { status, exit }] of Object.entries(ERRORS)) {
      expect(code).toMatch(/^[a-z]+(-[a-z0-9]+)*$/);
      expect(status).toBeGreaterThanOrEqual(400);
      expect([1, 2, 3, 4, 5, 6, 7, 8, 130]).toContain(exit);
    }
  });

  it('turns what it does not know into internal, and a full disk into no-space', () => {
    expect(asAppError(new TypeError('secret')).message).not.toContain('secret');
    expect(asAppError(Object.assign(new Error('write'), { code: 'ENOSPC' })).code).toBe('no-space');
    expect(errorOfProblem('<html>', 502).code).toBe('internal');
  });
});
