import { sayable } from '../protocol/canonical.ts';
import { AppError, type AppErrorOptions } from '../protocol/errors.ts';
import { redaction } from './secrets/redact.ts';

/** Longest result that goes on to a client, in bytes of JSON. */
export const MAX_RESULT_BYTES = 8 * 1024 * 1024;

/** Longest text of arguments that an audit record keeps, in characters. */
const MAX_PREVIEW_CHARS = 2000;
const MAX_PREVIEW_STRING = 200;
/** Shorter secrets would redact ordinary words. */
const MIN_REDACTED_LENGTH = 4;

/** @throws AppError `skill-output-too-large`. */
export function boundedResult(result: Record<string, unknown>): {
  result: Record<string, unknown>;
  bytes: number;
} {
  const bytes = Buffer.byteLength(JSON.stringify(result));
  if (bytes > MAX_RESULT_BYTES) {
    throw new AppError('skill-output-too-large', {
      detail: `The skill answered with ${bytes} bytes; at most ${MAX_RESULT_BYTES} go on to a client.`,
      hint: 'Ask for less at once, for example a range or fewer rows.',
    });
  }
  return { result, bytes };
}

/** The value with every occurrence of a secret replaced by its name; the value itself when there is none. */
export function redact(value: unknown, secrets: ReadonlyMap<string, string>): unknown {
  if (secrets.size === 0) return value;
  const clean = redaction(secrets, MIN_REDACTED_LENGTH);
  return clean === undefined ? value : redacted(value, clean);
}

function redacted(value: unknown, clean: (text: string) => string): unknown {
  if (typeof value === 'string') return clean(value);
  if (typeof value === 'number') {
    const text = String(value);
    return clean(text) === text ? value : clean(text);
  }
  if (Array.isArray(value)) return value.map((item) => redacted(item, clean));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [clean(key), redacted(item, clean)]),
    );
  }
  return value;
}

/** A failure as it may be told and recorded: what a skill said of it can hold its secrets. */
export function redactError(error: AppError, secrets: ReadonlyMap<string, string>): AppError {
  if (secrets.size === 0 || error.code === 'internal') return error;
  const { message: detail, hint, data, cause } = error;
  const told = redact({ detail, hint, data }, secrets) as Pick<AppErrorOptions, 'detail' | 'hint' | 'data'>;
  return new AppError(error.code, { ...told, cause });
}

/** Arguments as a person reads them in the audit log: long strings cut, the whole bounded. */
export function preview(value: unknown): string {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'string' && item.length > MAX_PREVIEW_STRING
      ? `${item.slice(0, MAX_PREVIEW_STRING)}… (${item.length} characters)`
      : item,
  );
  return text.length > MAX_PREVIEW_CHARS ? `${sayable(text, MAX_PREVIEW_CHARS)}…` : text;
}
