import { AppError } from '../protocol/errors.ts';

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
  const known = [...secrets].filter(([, secret]) => secret.length >= MIN_REDACTED_LENGTH);
  return known.length === 0 ? value : redacted(value, known);
}

function redacted(value: unknown, secrets: readonly (readonly [string, string])[]): unknown {
  if (typeof value === 'string') {
    return secrets.reduce((text, [name, secret]) => text.replaceAll(secret, `[secret ${name}]`), value);
  }
  if (Array.isArray(value)) return value.map((item) => redacted(item, secrets));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [String(redacted(key, secrets)), redacted(item, secrets)]),
    );
  }
  return value;
}

/** Arguments as a person reads them in the audit log: long strings cut, the whole bounded. */
export function preview(value: unknown): string {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'string' && item.length > MAX_PREVIEW_STRING
      ? `${item.slice(0, MAX_PREVIEW_STRING)}… (${item.length} characters)`
      : item,
  );
  return text.length > MAX_PREVIEW_CHARS ? `${text.slice(0, MAX_PREVIEW_CHARS)}…` : text;
}
