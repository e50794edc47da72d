import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

/** How much is logged; `silent` logs nothing. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Texts that are secret wherever they stand: our own tokens and whatever an Authorization header carries. */
const SECRETS = /\bberth_[0-9A-Za-z]{20,}|\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/g;

/** The same text without tokens, for logs and for messages built from foreign text. */
export function withoutSecrets(text: string): string {
  return text.replace(SECRETS, (_found, scheme?: string) =>
    scheme === undefined ? '[token]' : `${scheme} [token]`,
  );
}

/**
 * JSON lines on standard error (standard output belongs to results and to MCP). Tokens and
 * Authorization headers are taken out of every line as it is written, however they got there.
 */
export function createLogger({
  level,
  name,
  destination = pino.destination({ fd: 2, sync: true }),
}: {
  level: LogLevel;
  name: string;
  destination?: DestinationStream;
}): Logger {
  return pino(
    {
      name,
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      hooks: { streamWrite: withoutSecrets },
    },
    destination,
  );
}
