import { expect } from 'vitest';
import { AppError, type ErrorCode } from '../../protocol/errors.ts';

/** Asserts that the work fails with the given code, and answers with the error for a closer look. */
export async function expectCode(
  work: Promise<unknown> | (() => unknown),
  code: ErrorCode,
): Promise<AppError> {
  let failure: unknown;
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    failure = error;
  }
  expect(failure, `expected ${code}, but nothing failed`).toBeInstanceOf(AppError);
  const appError = failure as AppError;
  expect(appError.code, `${appError.message} ${JSON.stringify(appError.data ?? {})}`).toBe(code);
  return appError;
}
