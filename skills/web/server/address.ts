import { Refusal } from './refusal.ts';

/** A host that was granted, as the admin named it. */
export interface GrantedHost {
  /** In lower case; `*.` at the start stands for any name below. */
  readonly name: string;
  /** Any port that the sandbox lets through where it is absent. */
  readonly port: string | undefined;
}

const MOST_CHARS = 2048;
const TLS_PORT = '443';

/** Answers with the address of a page that may be fetched, by its text and by what it is relative to. */
export type Admit = (text: string, base?: URL) => Promise<URL>;

/** The host of an address was not granted. */
class NotGranted extends Refusal {
  readonly host: string;
  constructor(message: string, host: string) {
    super(message);
    this.host = host;
  }
}

/**
 * Refuses hosts that were not granted, once `ask` has asked where they are: the sandbox says no as well, and keeps on
 * record that somebody wanted to go there.
 */
export function admission(granted: readonly GrantedHost[], ask: (host: string) => Promise<unknown>): Admit {
  return async (text, base) => {
    try {
      return pageAddress(text, granted, base);
    } catch (error) {
      if (error instanceof NotGranted) await ask(error.host).catch(() => undefined);
      throw error;
    }
  };
}

/** Hosts of a setting such as `example.org, *.example.net, example.com:8443`. */
export function readHosts(setting: string): readonly GrantedHost[] {
  return setting
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [, name = entry, port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
      return { name: name.replace(/\.$/, ''), port };
    });
}

/**
 * The address of a page that may be fetched. Plain HTTP is never spoken: such an address is asked for over TLS.
 * @param base of a redirect: what its address is relative to.
 * @throws Refusal what is wrong with it, or that its host was not granted.
 */
function pageAddress(text: string, granted: readonly GrantedHost[], base?: URL): URL {
  if (text.length > MOST_CHARS) throw new Refusal(`The address is longer than ${MOST_CHARS} characters.`);
  if (!URL.canParse(text, base?.href))
    throw new Refusal('That is not an address. Give a whole one: https://example.org/page');
  const url = new URL(text, base);
  if (url.protocol === 'http:' && url.port === '') url.protocol = 'https:';
  if (url.protocol !== 'https:') throw new Refusal(`Only https addresses are fetched, not ${url.protocol}`);
  if (url.username !== '' || url.password !== '')
    throw new Refusal('An address with a user name or password in it is not fetched.');
  url.hash = '';
  if (!granted.some((host) => covers(host, url)))
    throw new NotGranted(notGranted(url, granted, base), url.hostname);
  return url;
}

function covers({ name, port }: GrantedHost, url: URL): boolean {
  if (port !== undefined && port !== (url.port || TLS_PORT)) return false;
  const host = url.hostname.replace(/\.$/, '');
  return name.startsWith('*.') ? host.endsWith(name.slice(1)) : host === name;
}

function notGranted(url: URL, granted: readonly GrantedHost[], base: URL | undefined): string {
  const names = granted.map(({ name, port }) => (port === undefined ? name : `${name}:${port}`));
  const may = names.length === 0 ? 'no host at all' : names.join(', ');
  const what =
    base === undefined ? `${url.host} was not granted` : `It redirects to ${url.host}, which was not granted`;
  return `${what}. This skill may reach ${may}; an admin decides about others.`;
}
