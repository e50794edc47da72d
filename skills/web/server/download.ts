import type { Admit } from './address.ts';
import { Refusal } from './refusal.ts';

/** By this name sites know who asks, and robots.txt may speak to it. */
export const AGENT = 'BerthWeb';
const USER_AGENT = `Mozilla/5.0 (compatible; ${AGENT}/1.0)`;
/** Also what robots.txt is followed for (RFC 9309 §2.3.1.2). */
const MOST_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** What one GET came to, its redirects followed. */
export interface Download {
  readonly url: URL;
  readonly status: number;
  readonly statusText: string;
  /** As the server says, in lower case; empty when it says nothing. */
  readonly contentType: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface DownloadTerms {
  readonly admit: Admit;
  readonly accept: string;
  readonly mostBytes: number;
  /** Whether what is larger is cut there instead of refused. */
  readonly cut?: boolean;
  /** Throws what keeps an address from being asked; asked of each one on the way. */
  readonly mayAsk: (url: URL) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Gets what is at an address of a granted host, over redirects to granted hosts. The body is bounded as it is once it
 * is unpacked, so that a small answer cannot become a large one.
 * @throws Refusal
 */
export async function download(start: URL, terms: DownloadTerms): Promise<Download> {
  let url = start;
  const seen = new Set<string>();
  for (;;) {
    if (seen.has(url.href)) throw new Refusal(`${start.href} redirects in a circle.`);
    if (seen.size > MOST_REDIRECTS)
      throw new Refusal(`${start.href} redirects more than ${MOST_REDIRECTS} times.`);
    seen.add(url.href);
    await terms.mayAsk(url);
    const response = await ask(url, terms);
    const location = response.headers.get('location');
    if (!REDIRECTS.has(response.status) || location === null) {
      const { status, statusText } = response;
      const contentType = (response.headers.get('content-type') ?? '').toLowerCase();
      return { url, status, statusText, contentType, bytes: await bodyOf(response, url, terms) };
    }
    await response.body?.cancel();
    url = await terms.admit(location, url);
  }
}

async function ask(url: URL, { accept, signal }: DownloadTerms): Promise<Response> {
  try {
    return await fetch(url, {
      redirect: 'manual',
      headers: { 'user-agent': USER_AGENT, accept },
      signal,
    });
  } catch (error) {
    throw explained(error, url, signal, BEFORE_AN_ANSWER);
  }
}

async function bodyOf(
  response: Response,
  url: URL,
  { mostBytes, cut = false, signal }: DownloadTerms,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new Refusal(`${url.href} is larger than ${Math.round(mostBytes / 1024 / 1024)} MB.`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > mostBytes && !cut) throw tooLarge();
      chunks.push(chunk);
      if (size > mostBytes) break;
    }
  } catch (error) {
    throw error instanceof Refusal ? error : explained(error, url, signal);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes.slice(0, mostBytes);
}

/** What went wrong on the way, in words: refused by the sandbox, unknown, badly certified, broken off. */
function explained(
  error: unknown,
  url: URL,
  signal: AbortSignal,
  reasons: Readonly<Record<string, string>> = REASONS,
): Refusal {
  if (signal.aborted) {
    const late = (signal.reason as Error).name === 'TimeoutError';
    return new Refusal(late ? `${url.host} did not answer in time.` : 'The request was cancelled.');
  }
  const { code = '', message } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  const why =
    reasons[code] ??
    (/CERT|TLS|SSL/.test(code) ? `its certificate does not hold (${code})` : code || message);
  return new Refusal(`${url.host} could not be read: ${why}.`);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name is not known, or this skill may not reach it',
  EAI_AGAIN: 'its name is not known, or this skill may not reach it',
  ECONNREFUSED: 'nobody listens there, or this skill may not reach that port',
  ENETUNREACH: 'this skill may not reach it',
  EHOSTUNREACH: 'it cannot be reached',
  ECONNRESET: 'the connection was broken off',
  UND_ERR_SOCKET: 'the connection was broken off',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  UND_ERR_HEADERS_OVERFLOW: 'its headers are too large',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer was broken off',
  ERR_CONTENT_DECODING_FAILED: 'it cannot be unpacked',
  Z_DATA_ERROR: 'it cannot be unpacked',
  Z_BUF_ERROR: 'it cannot be unpacked',
};

/** A sandbox that refuses where a name leads to breaks the connection off, and says why to nobody in it. */
const BROKEN_OFF =
  'the connection was broken off, by the site or by the sandbox, which lets this skill reach no private address; the audit log of the hub says which';
const BEFORE_AN_ANSWER = { ...REASONS, ECONNRESET: BROKEN_OFF, UND_ERR_SOCKET: BROKEN_OFF };
