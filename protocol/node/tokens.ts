import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { sha256 } from '../canonical.ts';

const PREFIX = 'berth_';
const SECRET_BYTES = 32;
/** 62^43 > 2^256 and 62^6 > 2^32. */
const SECRET_DIGITS = 43;
const CHECK_DIGITS = 6;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FORM = new RegExp(`^${PREFIX}([0-9A-Za-z]{${SECRET_DIGITS}})([0-9A-Za-z]{${CHECK_DIGITS}})$`);

/**
 * A new secret token: `berth_`, 32 random bytes, and a check sum, so that scanners find a leaked one
 * and a mistyped one is told apart from a wrong one.
 */
export function createToken(): string {
  const secret = base62(BigInt(`0x${randomBytes(SECRET_BYTES).toString('hex')}`), SECRET_DIGITS);
  return `${PREFIX}${secret}${checkOf(secret)}`;
}

/** True for a text that `createToken` can have made; says nothing about whether anyone accepts it. */
export function isToken(text: string): boolean {
  const [, secret, check] = FORM.exec(text) ?? [];
  return secret !== undefined && check === checkOf(secret);
}

/** What is kept of a token. A plain hash is enough: the secret has 256 random bits. */
export function hashOfToken(token: string): Buffer {
  return sha256(token);
}

function checkOf(secret: string): string {
  return base62(BigInt(crc32(secret)), CHECK_DIGITS);
}

function base62(value: bigint, digits: number): string {
  let text = '';
  for (let rest = value; text.length < digits; rest /= 62n) text = ALPHABET.charAt(Number(rest % 62n)) + text;
  return text;
}
