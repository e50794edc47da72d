import { z } from 'zod';

/** A sha256 in hexadecimal. */
export const hexSchema = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');

/** The id of a key: base64 sha256 of its SPKI DER. */
export const keyIdSchema = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, 'must be a base64 sha256');

/** An RFC 3339 time in UTC. */
export const timeSchema = z.iso.datetime({ message: 'must be an RFC 3339 time in UTC' });

/** Base64 with padding, not empty, of at most so many characters. */
export const base64 = (max: number) => z.base64().min(1).max(max);

/** The first few faults of a value from outside, for an error's detail. */
export function problemsOf(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.join('.') || 'bundle'}: ${message}`)
    .join('; ');
}
