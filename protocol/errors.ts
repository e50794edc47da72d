/**
 * The one table of errors. A code is stable and public: it names the fault in HTTP (RFC 9457),
 * in MCP, in the CLI's `--json` and in the documentation. `status` is the HTTP status, `exit` the
 * CLI's exit code: 1 failed · 2 usage · 3 denied · 4 not signed in · 5 waiting for approval ·
 * 6 integrity · 7 not found · 8 conflict.
 */
export const ERRORS = {
  internal: { status: 500, exit: 1, title: 'Something went wrong on our side' },
  unavailable: { status: 503, exit: 1, title: 'Not available right now' },
  'no-space': { status: 507, exit: 1, title: 'The disk is full' },
  'not-running': { status: 503, exit: 1, title: 'The server is not running' },
  'already-running': { status: 409, exit: 8, title: 'Already in use' },
  'data-newer': { status: 500, exit: 1, title: 'The data was written by a newer version of Berth' },
  'data-damaged': { status: 500, exit: 6, title: 'The data on disk is damaged' },
  'config-invalid': { status: 500, exit: 2, title: 'The configuration is not valid' },

  'usage-invalid': { status: 400, exit: 2, title: 'The command line is not right' },
  'request-invalid': { status: 400, exit: 2, title: 'The request is not valid' },
  'request-too-large': { status: 413, exit: 1, title: 'The request is too large' },
  'rate-limited': { status: 429, exit: 1, title: 'Too many requests' },
  'route-not-found': { status: 404, exit: 7, title: 'No such address' },

  'not-signed-in': { status: 401, exit: 4, title: 'Sign in first' },
  'token-expired': { status: 401, exit: 4, title: 'The token has expired' },
  forbidden: { status: 403, exit: 3, title: 'Not allowed' },
  'insufficient-scope': { status: 403, exit: 3, title: 'The token does not open this' },
  'host-refused': { status: 403, exit: 3, title: 'This Host or Origin is not allowed' },

  'manifest-invalid': { status: 422, exit: 2, title: 'The manifest is not valid' },
  'surface-invalid': { status: 422, exit: 6, title: 'The surface of the package is not valid' },
  'range-invalid': { status: 400, exit: 2, title: 'Not a version or a semver range' },
  'pack-failed': { status: 422, exit: 1, title: 'The skill could not be packed' },
  'not-adoptable': { status: 422, exit: 1, title: 'This server cannot be made a skill' },
  'client-config-changed': { status: 409, exit: 8, title: 'The settings of the client were changed since' },

  'archive-too-large': { status: 413, exit: 6, title: 'The archive is too large' },
  'archive-not-gzip': { status: 422, exit: 6, title: 'The archive is not a plain gzip file' },
  'archive-not-canonical': { status: 422, exit: 6, title: 'The archive is not in canonical form' },
  'archive-path-refused': { status: 422, exit: 6, title: 'The archive holds a path that is not allowed' },
  'archive-entry-refused': { status: 422, exit: 6, title: 'The archive holds an entry that is not allowed' },
  'archive-truncated': { status: 422, exit: 6, title: 'The archive is cut short' },
  'archive-incomplete': { status: 422, exit: 6, title: 'The archive lacks a file it needs' },

  'digest-mismatch': {
    status: 422,
    exit: 6,
    title: 'The bytes do not have the digest they were announced with',
  },
  'bundle-invalid': { status: 422, exit: 6, title: 'The signature does not verify' },
  'statement-mismatch': { status: 422, exit: 6, title: 'The signed statement speaks of something else' },
  'receipt-invalid': { status: 422, exit: 6, title: 'The receipt of the registry does not verify' },
  'signer-not-allowed': { status: 403, exit: 3, title: 'This signer may not sign for the namespace' },
  'key-retired': { status: 403, exit: 6, title: 'The key has been retired' },
  'key-not-found': { status: 404, exit: 7, title: 'No such key' },
  'key-exists': { status: 409, exit: 8, title: 'A key of this name exists' },
  'surface-mismatch': {
    status: 422,
    exit: 6,
    title: 'The skill does not say what its package was signed with',
  },
  'files-changed': { status: 409, exit: 6, title: 'Installed files have been changed' },

  'namespace-not-yours': { status: 403, exit: 3, title: 'This token may not publish in the namespace' },
  'version-exists': { status: 409, exit: 8, title: 'This version exists with other content' },
  'skill-not-found': { status: 404, exit: 7, title: 'No such skill' },
  'version-not-found': { status: 404, exit: 7, title: 'No version satisfies the request' },
  'blob-not-found': { status: 404, exit: 7, title: 'No such blob' },
  'token-not-found': { status: 404, exit: 7, title: 'No such token' },

  'not-installed': { status: 404, exit: 7, title: 'This skill is not installed' },
  'grant-not-found': { status: 404, exit: 7, title: 'No such grant' },
  'binding-missing': { status: 422, exit: 2, title: 'A value is missing' },
  'binding-refused': { status: 422, exit: 2, title: 'A value is not allowed' },
  'approval-not-found': { status: 404, exit: 7, title: 'Nothing waits under this id' },
  'approval-settled': { status: 409, exit: 8, title: 'This has been decided already' },
  'approval-required': { status: 409, exit: 5, title: 'Waiting for approval' },
  'client-not-found': { status: 404, exit: 7, title: 'No such client' },
  'client-exists': { status: 409, exit: 8, title: 'A client of this name exists' },
  'profile-not-found': { status: 404, exit: 7, title: 'No such profile' },
  'profile-in-use': { status: 409, exit: 8, title: 'A client sees by this profile' },
  'record-not-found': { status: 404, exit: 7, title: 'No such audit record' },
  'audit-broken': { status: 500, exit: 6, title: 'The audit log does not verify' },

  'sandbox-unavailable': { status: 503, exit: 1, title: 'No usable sandbox on this machine' },
  'sandbox-cannot-enforce': {
    status: 409,
    exit: 3,
    title: 'The sandbox cannot enforce what this skill asks',
  },
  'unsandboxed-not-allowed': { status: 403, exit: 3, title: 'Nothing runs without a sandbox here' },
  'learn-unavailable': { status: 503, exit: 1, title: 'What a skill does cannot be watched here' },
  'learn-incomplete': { status: 409, exit: 1, title: 'What the skill needs cannot be said' },
  'question-refused': { status: 422, exit: 3, title: 'The skill may not ask this' },
  'question-unanswered': { status: 504, exit: 1, title: 'The question was not answered' },
  'skill-quarantined': { status: 409, exit: 6, title: 'The skill is quarantined' },
  'skill-not-runnable': { status: 409, exit: 1, title: 'The skill has nothing to run' },
  'program-missing': { status: 409, exit: 1, title: 'This machine lacks a program that the skill needs' },
  'skill-start-failed': { status: 502, exit: 1, title: 'The skill did not start' },
  'skill-crashed': { status: 502, exit: 1, title: 'The skill stopped during the call' },
  'skill-timeout': { status: 504, exit: 1, title: 'The skill took too long' },
  'skill-output-invalid': {
    status: 502,
    exit: 1,
    title: 'The skill answered with something that is not MCP',
  },
  'skill-output-too-large': { status: 502, exit: 1, title: 'The skill answered with too much' },
  'skill-busy': { status: 503, exit: 1, title: 'Too many calls at once' },
  'skill-error': { status: 502, exit: 1, title: 'The skill answered with an error' },

  'remote-failed': {
    status: 502,
    exit: 1,
    title: 'The remote server was not reached or refused the request',
  },
  'remote-sign-in': { status: 403, exit: 4, title: 'The remote server wants its user to sign in' },

  'session-not-found': { status: 404, exit: 7, title: 'No such session' },
  'tool-not-found': { status: 404, exit: 7, title: 'No such tool' },
  'prompt-not-found': { status: 404, exit: 7, title: 'No such prompt' },
  'resource-not-found': { status: 404, exit: 7, title: 'No such resource' },
  'arguments-invalid': { status: 422, exit: 2, title: 'The arguments do not fit the tool' },
  'task-not-found': { status: 404, exit: 7, title: 'No such task' },
  'call-denied': { status: 403, exit: 3, title: 'Policy denies this call' },
  'call-needs-approval': { status: 403, exit: 3, title: 'This call needs an approval' },
  'call-cancelled': { status: 499, exit: 130, title: 'The call was cancelled' },
} as const satisfies Record<string, { status: number; exit: number; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

export interface AppErrorOptions {
  /** What happened, to which thing. Never a secret. */
  detail: string;
  /** What to do next. */
  hint?: string;
  /** Extension members that leave the process with the error, such as `faults`. */
  data?: Record<string, unknown>;
  cause?: unknown;
}

/** An expected failure. Anything else that is thrown is a bug and is reported as `internal`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly data: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, { detail, hint, data, cause }: AppErrorOptions) {
    super(detail, { cause });
    this.name = 'AppError';
    this.code = code;
    this.hint = hint;
    this.data = data;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }

  get title(): string {
    return ERRORS[this.code].title;
  }
}

/** RFC 9457 §3.1, with our extension members `code` and `hint`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  hint?: string;
  instance: string;
  [extension: string]: unknown;
}

/** The problem document of an error. `instance` is the id of the request it arose in. */
export function problemOf(error: AppError, instance: string): Problem {
  return {
    ...error.data,
    type: `https://berth.dev/problems/${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    instance: `urn:uuid:${instance}`,
  };
}

const STANDARD_MEMBERS = new Set(['type', 'title', 'status', 'detail', 'code', 'hint', 'instance']);

/** Reads a problem document that another Berth server sent; an unknown body becomes `internal`. */
export function errorOfProblem(body: unknown, status: number): AppError {
  if (isRecord(body) && typeof body['code'] === 'string' && Object.hasOwn(ERRORS, body['code'])) {
    const extensions = Object.entries(body).filter(([key]) => !STANDARD_MEMBERS.has(key));
    return new AppError(body['code'] as ErrorCode, {
      detail: typeof body['detail'] === 'string' ? body['detail'] : ERRORS[body['code'] as ErrorCode].title,
      ...(typeof body['hint'] === 'string' ? { hint: body['hint'] } : {}),
      ...(extensions.length === 0 ? {} : { data: Object.fromEntries(extensions) }),
    });
  }
  return new AppError(status === 404 ? 'route-not-found' : 'internal', {
    detail: `The server answered with status ${status} and no explanation.`,
  });
}

/** What the file system and SQLite say when there is no room left. */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE']);

/** Every error as an `AppError`: an unexpected one becomes `internal` and keeps its cause. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  // A stream that was stopped by a signal carries the signal's reason.
  if (isRecord(error) && error['name'] === 'AbortError' && error['cause'] instanceof AppError)
    return error['cause'];
  if (isRecord(error) && DISK_FULL.has(String(error['code']))) {
    return new AppError('no-space', {
      detail: 'The disk is full; nothing was kept of this.',
      hint: 'Free some space and try again.',
      cause: error,
    });
  }
  return new AppError('internal', { detail: 'An unexpected fault; the log has it in full.', cause: error });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
