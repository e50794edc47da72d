import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { sha256 } from '../canonical.ts';
import { AppError } from '../errors.ts';
import { writeNewFile } from './durable.ts';

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

/**
 * The token in a file of mode 0600, made on the first use. Two first uses at once end with the same
 * token. `config-invalid` when the file holds something else.
 */
export async function readOrCreateToken(path: string): Promise<string> {
  const known = await readTokenFile(path);
  if (known !== undefined) return known;
  const token = createToken();
  try {
    await writeNewFile(path, `${token}\n`);
    return token;
  } catch (error) {
    const first = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await readTokenFile(path) : undefined;
    if (first === undefined) throw error;
    return first;
  }
}

async function readTokenFile(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined || isToken(text.trim())) return text?.trim();
  throw new AppError('config-invalid', {
    detail: `${path} does not hold a token.`,
    hint: 'Delete the file; a new token is made at the next start.',
  });
}
