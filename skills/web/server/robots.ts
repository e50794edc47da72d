import type { Admit } from './address.ts';
import { type Download, download } from './download.ts';
import { Refusal } from './refusal.ts';

/** RFC 9309 §2.5 asks for at least 500 KiB; more is cut off there. */
const MOST_ROBOTS_BYTES = 512 * 1024;
/** RFC 9309 §2.4: not longer than a day. */
const KEPT_MS = 60 * 60 * 1000;
/** A site that could not say is asked again soon. */
const FAILURE_KEPT_MS = 60 * 1000;
const MOST_SITES = 200;
const TIMEOUT_MS = 10_000;

/** What a site says about who may ask for what. */
type Rules = { readonly text: string } | { readonly refusal: string };

interface RobotsParts {
  readonly admit: Admit;
  readonly now: () => number;
  /** Whether a robots.txt lets an address be fetched. */
  readonly judge: (text: string, url: string, signal: AbortSignal) => Promise<boolean>;
}

/**
 * Asks each site once an hour what may be fetched of it, and follows that (RFC 9309).
 * @throws Refusal for an address that is not to be fetched.
 */
export function robots({ admit, now, judge }: RobotsParts) {
  const known = new Map<string, { rules: Promise<Rules>; until: number }>();

  function rulesOf(origin: string): Promise<Rules> {
    const before = known.get(origin);
    if (before !== undefined && before.until > now()) return before.rules;
    const entry = { rules: ask(origin, admit), until: now() + KEPT_MS };
    known.delete(origin);
    known.set(origin, entry);
    const [oldest] = known.keys();
    if (known.size > MOST_SITES && oldest !== undefined) known.delete(oldest);
    void entry.rules.then((rules) => {
      if ('refusal' in rules) entry.until = Math.min(entry.until, now() + FAILURE_KEPT_MS);
    });
    return entry.rules;
  }

  return async function mayAsk(url: URL, signal: AbortSignal): Promise<void> {
    const rules = await unlessAborted(rulesOf(url.origin), signal);
    if ('refusal' in rules) throw new Refusal(rules.refusal);
    if (rules.text === '' || (await judge(rules.text, url.href, signal))) return;
    throw new Refusal(`The robots.txt of ${url.host} does not let programs fetch ${url.pathname}.`);
  };
}

/** Waits no longer than the caller wants to; others may go on waiting for the same. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new Refusal('It took too long, or was cancelled.'));
    signal.addEventListener('abort', stop, { once: true });
  });
  if (signal.aborted) stop();
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

/** For everybody who asks meanwhile, so that none of them can break it off for the others. */
async function ask(origin: string, admit: Admit): Promise<Rules> {
  const address = new URL('/robots.txt', origin);
  try {
    const answer = await download(address, {
      admit,
      accept: 'text/plain, */*;q=0.1',
      mostBytes: MOST_ROBOTS_BYTES,
      cut: true,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      mayAsk: async () => undefined,
    });
    return rulesIn(answer, address);
  } catch (error) {
    // RFC 9309 §2.3.1.4: what cannot be asked has to be taken for a no.
    const why = error instanceof Error ? error.message : String(error);
    return { refusal: `Whether ${address.host} lets programs fetch its pages is not known. ${why}` };
  }
}

function rulesIn({ status, bytes }: Download, { host }: URL): Rules {
  // RFC 9309 §2.3.1.3: a site without one lets everything be fetched.
  if (status >= 400 && status < 500) return { text: '' };
  if (status >= 200 && status < 300) return { text: new TextDecoder().decode(bytes) };
  return {
    refusal: `${host} answers ${status} for its robots.txt; its pages are left alone until it says more.`,
  };
}
