import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { AppError } from '../protocol/errors.ts';

/** What the environment says to the CLI. Read here, once, and passed on; nothing else looks at it. */
export interface Settings {
  /** Absolute path of Berth's home on this machine. */
  home: string;
  /** Whether that is where it lies when nobody says otherwise. */
  usualHome: boolean;
  /** `BERTH_REGISTRY`, an http(s) URL without a trailing slash. */
  registry: string | undefined;
  /** `BERTH_HUB`, `unix:` and the path of a hub's admin socket. */
  hub: string | undefined;
  /** `BERTH_TOKEN`, for the registry. */
  token: string | undefined;
  /** True in continuous integration (`CI` set): nothing is ever asked. */
  ci: boolean;
  /** False when `NO_COLOR` is set or the terminal is dumb. */
  color: boolean;
  /** The whole environment, for `--secret NAME=env:VAR` and for the servers that `up` and `serve` start. */
  environment: Readonly<Record<string, string | undefined>>;
}

/** The address the registry has when nothing says otherwise. */
export const DEFAULT_REGISTRY = 'http://127.0.0.1:4751';

/**
 * Reads the flags `--home`, `--registry` and `--hub`, which win, and the environment (design §5).
 * @throws AppError `config-invalid` naming the flag or the variable and what it should be.
 */
export function readSettings(
  environment: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>> = {},
): Settings {
  const value = (name: string): string | undefined => environment[name] || undefined;
  const usual = defaultHome(value('XDG_DATA_HOME'));
  const home = flags['home'] ?? value('BERTH_HOME');
  const registry = flags['registry'] ?? value('BERTH_REGISTRY');
  const hub = flags['hub'] ?? value('BERTH_HUB');
  const said = (flag: string, variable: string): string =>
    flags[flag] === undefined ? variable : `--${flag}`;
  return {
    home: home === undefined ? usual : resolve(home),
    usualHome: home === undefined || resolve(home) === usual,
    registry: registry === undefined ? undefined : registryUrl(registry, said('registry', 'BERTH_REGISTRY')),
    hub: hub === undefined ? undefined : hubAddress(hub, said('hub', 'BERTH_HUB')),
    token: value('BERTH_TOKEN'),
    ci: !['', '0', 'false'].includes(environment['CI'] ?? ''),
    color: value('NO_COLOR') === undefined && environment['TERM'] !== 'dumb',
    environment,
  };
}

/** The settings of this very process, for the build, which has no `main`. */
export function settingsOfProcess(): Settings {
  return readSettings(process.env);
}

function defaultHome(dataHome: string | undefined): string {
  // XDG Base Directory: a relative path in the variable is invalid and ignored.
  const base = dataHome?.startsWith('/') ? dataHome : join(homedir(), '.local', 'share');
  return join(base, 'berth');
}

/** A registry's URL, checked and without a trailing slash. `said` names where it was said. */
function registryUrl(text: string, said: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.username !== '') {
    throw new AppError('config-invalid', {
      detail: `${said} is not the URL of a registry.`,
      hint: `Write it like ${DEFAULT_REGISTRY}, without a user name or password.`,
    });
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

/** A hub's admin address. Only the Unix socket answers an admin; a URL is refused with the reason. */
function hubAddress(text: string, said: string): string {
  if (text.startsWith('unix:/')) return text;
  throw new AppError('config-invalid', {
    detail: `${said} is not the address of a hub's admin socket.`,
    hint: 'Write unix:/path/to/home/hub/admin.sock. A hub on another machine is administered there.',
  });
}
