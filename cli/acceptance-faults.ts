import { AppError } from '../protocol/errors.ts';

/** A refusal for want of values, with the whole command that brings them. */
export function refusedAsTyped(error: unknown, command: string): unknown {
  if (!(error instanceof AppError) || error.code !== 'binding-missing') return error;
  const needs = error.data?.['needs'] as readonly { flag: string }[] | undefined;
  if (needs === undefined) return error;
  return new AppError(error.code, {
    detail: error.message,
    hint: `${command} ${needs.map(({ flag }) => flag).join(' ')}`,
    data: { ...error.data },
    cause: error,
  });
}
