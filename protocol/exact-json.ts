import { AppError } from './errors.ts';

/** Only such texts can hold a number that parsing changes: 15 digits always survive a double (IEEE 754), exponents may not. */
const SUSPICIOUS = /[\d.]{16}|\d[eE]/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const ESCAPED_SURROGATE = /\\u[dD][89a-fA-F]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Refuses JSON whose value is not what its text says: numbers that a double cannot hold, and strings with half a
 * surrogate pair. What is decided on, recorded and sent on is the parsed value, so both must be the same.
 * The text has been parsed already. @throws AppError `request-invalid` naming what was found.
 */
export function refuseInexactJson(text: string): void {
  if (SUSPICIOUS.test(text)) {
    for (const [token] of text.matchAll(STRING_OR_NUMBER)) {
      if (!token.startsWith('"') && !isExact(token)) throw refused(`the number ${token.slice(0, 60)}`);
    }
  }
  if (ESCAPED_SURROGATE.test(text)) {
    for (const [token] of text.matchAll(STRING_OR_NUMBER)) {
      if (token.startsWith('"') && LONE_SURROGATE.test(JSON.parse(token) as string))
        throw refused('a string with half a surrogate pair');
    }
  }
}

function isExact(token: string): boolean {
  const value = Number(token);
  return Number.isFinite(value) && decimalOf(token) === decimalOf(String(value));
}

/** One text for equal decimal numbers: sign, digits without leading and trailing zeros, power of ten. */
function decimalOf(number: string): string {
  const [mantissa = '', exponent = '0'] = number.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power = Number(exponent) - fraction.length + (digits.length - significant.length);
  return `${mantissa.startsWith('-') ? '-' : ''}${significant}e${power}`;
}

function refused(what: string): AppError {
  return new AppError('request-invalid', {
    detail: `The body holds ${what}, which no double-precision number or Unicode text can carry unchanged.`,
    hint: 'Send large numbers as strings.',
  });
}
