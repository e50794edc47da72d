import { lookup } from 'node:dns/promises';
import { request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { FetchLike } from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import { responseOf } from '../../protocol/node/fetch-response.ts';
import { isPublicAddress } from '../egress/addresses.ts';

const FORM = 'application/x-www-form-urlencoded;charset=UTF-8';

interface Address {
  address: string;
  family: number;
}

/** What lies outside of this machine, as far as remote skills may reach it. */
export interface Outside {
  resolve(host: string): Promise<readonly Address[]>;
  permits(address: string): boolean;
  /** Certificates that are trusted beside the public ones: none, except where a test has its own authority. */
  ca?: string;
}

/** The open internet, and nothing of this machine or its network. */
export const OPEN_INTERNET: Outside = {
  resolve: (host) => lookup(host, { all: true }),
  permits: isPublicAddress,
};

/**
 * A `fetch` for addresses that somebody else chose. It speaks TLS only, resolves a name once, connects to nothing but
 * what it then checked, and follows no redirect. Its answers may be silent for as long as they like.
 * @throws AppError `remote-failed` for an address that is not to be reached, before anything is sent.
 */
export function guardedFetch({ resolve, permits, ca }: Outside): FetchLike {
  async function checked(host: string): Promise<readonly Address[]> {
    const literal = host.replace(/^\[|\]$/g, '');
    const family = isIP(literal);
    const addresses = family === 0 ? await resolve(host).catch(asFetchDoes) : [{ address: literal, family }];
    // All of them: which one a connection takes is for the network to choose.
    if (addresses.length === 0 || !addresses.every(({ address }) => permits(address)))
      throw refused(`${host} leads to no address of the open internet`);
    return addresses;
  }

  return async (url, { method = 'GET', headers, body, signal } = {}) => {
    const target = new URL(url);
    if (target.protocol !== 'https:') throw refused(`${target.host} is asked for without encryption`);
    const addresses = await checked(target.hostname);
    const all = new Headers(headers);
    if (body instanceof URLSearchParams && !all.has('content-type')) all.set('content-type', FORM);
    return new Promise((answer, reject) => {
      const outgoing = request(
        target,
        {
          method,
          headers: Object.fromEntries(all),
          // One connection a request: a stale one would leave it unknown whether a call took effect.
          agent: false,
          lookup: pinnedTo(addresses),
          ...(ca === undefined ? {} : { ca }),
          ...(signal ? { signal } : {}),
        },
        (incoming) => answer(responseOf(incoming)),
      );
      outgoing.once('error', (cause) => reject(fetchFailed(cause)));
      // Also without an error, as when a server wants to change the protocol.
      outgoing.once('close', () => reject(fetchFailed(undefined)));
      outgoing.end(
        typeof body === 'string' ? body : body instanceof URLSearchParams ? String(body) : undefined,
      );
    });
  };
}

/** A failure in the form that `fetch` gives it, which is what the SDK looks for. */
function fetchFailed(cause: unknown): TypeError {
  return new TypeError('fetch failed', { cause });
}

function asFetchDoes(cause: unknown): never {
  throw fetchFailed(cause);
}

/** Answers with what was checked, whatever the name leads to by now. */
function pinnedTo(addresses: readonly Address[]): LookupFunction {
  return (_host, options, callback) => {
    const [first] = addresses;
    if (options.all === true) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family);
  };
}

function refused(why: string): AppError {
  return new AppError('remote-failed', {
    detail: `${why}; nothing was sent.`,
    hint: 'A remote skill is a server on the open internet that speaks TLS.',
  });
}
