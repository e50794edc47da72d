import { getPublicSuffix } from 'tldts';
import { MAX_HOST } from './shape.ts';

/** A text that was read, in its one canonical spelling, or what is wrong with it. */
export type Reading<T> = { ok: true; value: T } | { ok: false; problem: string; remedy: string };

/** A reference to a config value that stands for a whole host or for the root of a path. */
export const CONFIG_REFERENCE = /^\$\{config\.([A-Za-z][A-Za-z0-9_]{0,63})\}$/;

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Reads a host as a manifest may name it: an exact name or IP address, `*.` before a name that
 * somebody owns, or `${config.x}`. The value is lower case, ASCII (IDNA by way of the URL
 * standard), without a trailing dot; an IPv6 address stands without brackets.
 *
 * A wildcard on a public suffix (`*.com`, `*.github.io`) would grant strangers' hosts; that list
 * changes with time, so it is asked here, where a manifest enters, and never of stored grants.
 */
export function readHost(text: string): Reading<string> {
  if (CONFIG_REFERENCE.test(text)) return { ok: true, value: text };
  if (text.includes('${')) {
    return refused(`"${text}" mixes a reference with other text`, 'Let "${config.x}" be the whole host.');
  }
  if (!text.startsWith('*.')) return readExactHost(text);

  const rest = readExactHost(text.slice(2));
  if (!rest.ok) return rest;
  if (isAddress(rest.value))
    return refused('a wildcard cannot stand before an address', 'Name the address itself.');
  if (getPublicSuffix(rest.value, { allowPrivateDomains: true }) === rest.value) {
    return refused(
      `"${text}" is a wildcard on a public suffix, whose hosts belong to many owners`,
      'Put the wildcard below a domain that one owner holds, such as "*.example.com".',
    );
  }
  return { ok: true, value: `*.${rest.value}` };
}

function readExactHost(text: string): Reading<string> {
  const address = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (address.includes(':')) return readIpv6(address);
  if (text === '' || /[\s/@?#%\\[\]*<>^|"'`{}$\p{C}]/u.test(text)) {
    return refused(
      `"${text}" is not a host`,
      'Write a host only, such as "api.example.com": no scheme, path or port.',
    );
  }
  const ascii = hostnameOf(text)?.replace(/\.$/, '');
  if (ascii === undefined || ascii.length > MAX_HOST) {
    return refused(`"${text}" is not a host`, 'Write a host such as "api.example.com".');
  }
  if (isAddress(ascii)) {
    if (ascii === text) return { ok: true, value: ascii };
    return refused(`"${text}" is an unusual spelling of an address`, `Write "${ascii}".`);
  }
  if (!ascii.split('.').every((label) => LABEL.test(label))) {
    return refused(
      `"${text}" is not a host`,
      'Each part holds letters, digits and inner hyphens, 63 at most.',
    );
  }
  return { ok: true, value: ascii };
}

function readIpv6(text: string): Reading<string> {
  const hostname = /^[0-9a-fA-F:.]+$/.test(text) ? hostnameOf(`[${text}]`) : undefined;
  if (hostname === undefined) {
    return refused(`"${text}" is not a host`, 'Write a host only; ports have a field of their own.');
  }
  return { ok: true, value: hostname.slice(1, -1) };
}

/** The URL standard's host parser: IDNA, lower case, canonical addresses. */
function hostnameOf(host: string): string | undefined {
  try {
    return new URL(`http://${host}/`).hostname || undefined;
  } catch {
    return undefined;
  }
}

/** Whether a host that was read is an IP address. */
export function isAddress(host: string): boolean {
  return host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

function refused(problem: string, remedy: string): { ok: false; problem: string; remedy: string } {
  return { ok: false, problem, remedy };
}

/**
 * Whether a grant for one host is a grant for the other. `*.x.org` covers `a.x.org`, `a.b.x.org`
 * and `*.a.x.org`, but not `x.org` itself. `${config.x}` is known only to itself.
 */
export function hostCovers(grant: string, asked: string): boolean {
  if (grant === asked) return true;
  return grant.startsWith('*.') && !asked.startsWith('$') && asked.endsWith(grant.slice(1));
}

/** A host with its port as one reads it in a URL; IPv6 in brackets. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
