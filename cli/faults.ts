import { AppError, asAppError } from '../protocol/errors.ts';

/** What the file system says, for people. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this account may not use it',
  EPERM: 'this account may not change it',
  EROFS: 'the file system is read-only',
  ENOENT: 'it does not exist',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
};

/**
 * Any failure in words. A server hides the cause of a bug from its clients; here it is the person's own machine.
 * `home` is left out where it isn't known yet.
 */
export function faultInWords(error: unknown, home?: string): AppError {
  const known = asAppError(error);
  if (known.code !== 'internal' || error instanceof AppError) return known;
  const { code = '', path } = (error ?? {}) as NodeJS.ErrnoException;
  const reason = REASONS[code];
  if (reason !== undefined && typeof path === 'string') {
    const isHome = home !== undefined && (path === home || path.startsWith(`${home}/`));
    return new AppError(isHome ? 'config-invalid' : 'usage-invalid', {
      detail: `${path} cannot be used: ${reason}.`,
      hint: isHome
        ? 'Run this as the account that owns the home, or choose another home with BERTH_HOME.'
        : 'Name another path, or change who may use this one.',
      cause: error,
    });
  }
  return new AppError('internal', {
    detail: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    hint: 'If this looks like a fault of Berth, run it again with BERTH_DEBUG=1 and report what it prints.',
    cause: error,
  });
}
