import { hash } from 'node:crypto';
import { z } from 'zod';
import { AppError } from './errors.ts';

/** What JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** How deep values may nest; deeper ones are refused before they can exhaust the stack. */
export const JSON_MAX_DEPTH = 128;

const LONE_SURROGATES = /\p{Surrogate}/gu;

/**
 * The one text of a JSON value (RFC 8785), for everything that is hashed or signed.
 * What JSON cannot say is never dropped in silence: `undefined` (also as a property or a hole in an
 * array), functions, symbols, bigints and class instances throw a `TypeError`, being bugs of ours;
 * non-finite numbers, lone surrogates and too deep values throw `request-invalid`, for a peer may send them.
 */
export function canonicalJson(value: unknown): string {
  return textOf(value, 0);
}

function textOf(value: unknown, depth: number): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return textOfString(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'number') return textOfNumber(value);
  if (typeof value !== 'object') throw new TypeError(`Canonical JSON cannot say ${typeof value}.`);
  if (depth >= JSON_MAX_DEPTH)
    throw refused(`A JSON value is nested more than ${JSON_MAX_DEPTH} levels deep.`);
  return Array.isArray(value) ? textOfArray(value, depth + 1) : textOfObject(value, depth + 1);
}

// RFC 8785 §3.2.2.3: numbers as ECMAScript prints them, which makes -0 a plain 0.
function textOfNumber(value: number): string {
  if (!Number.isFinite(value)) throw refused('A JSON number must be finite.');
  return String(value);
}

// RFC 8785 §3.2.2.2: JSON.stringify escapes exactly what it asks for, but lets lone surrogates through.
function textOfString(value: string): string {
  if (!value.isWellFormed()) throw refused('A JSON string holds half a surrogate pair.');
  return JSON.stringify(value);
}

// By index: `map` would skip a hole that must be refused.
function textOfArray(values: unknown[], depth: number): string {
  let text = '[';
  for (let index = 0; index < values.length; index += 1) {
    text += (index === 0 ? '' : ',') + textOf(values[index], depth);
  }
  return `${text}]`;
}

// RFC 8785 §3.2.3: sorted by UTF-16 code units, which is what a plain `sort` of strings does.
function textOfObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new TypeError(`Canonical JSON cannot say an instance of ${value.constructor.name}.`);
  }
  const properties = value as Record<string, unknown>;
  let text = '';
  for (const key of Object.keys(properties).sort()) {
    text += `${text === '' ? '' : ','}${textOfString(key)}:${textOf(properties[key], depth)}`;
  }
  return `{${text}}`;
}

function refused(detail: string): AppError {
  return new AppError('request-invalid', { detail });
}

/** At most `most` characters of a foreign text, without the half of a surrogate pair that canonical JSON cannot say. */
export function sayable(text: string, most: number): string {
  return text.slice(0, most).replaceAll(LONE_SURROGATES, '\ufffd');
}

/** A SHA-256 as written everywhere: `sha256:` and 64 lower-case hexadecimal digits. */
export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** True for a well-formed digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** A digest that comes from outside. */
export const digestSchema = z
  .string()
  .regex(DIGEST, 'must be sha256: followed by 64 lower-case hexadecimal digits') as unknown as z.ZodType<
  Digest,
  Digest
>;

/** SHA-256; a string is hashed as UTF-8. */
export function sha256(bytes: Uint8Array | string): Buffer {
  return hash('sha256', bytes, 'buffer');
}

/** The digest of bytes; a string is hashed as UTF-8. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}

/** The digest of a JSON value, independent of how it was spaced and ordered. */
export function digestOfJson(value: unknown): Digest {
  return digestOf(canonicalJson(value));
}
