import { AppError } from '../protocol/errors.ts';
import { shellWord } from './shell-word.ts';

/** How a client reaches the hub: by HTTP with its token, or by a program that it starts and that has the token. */
export type Way = { url: string; token: string } | { command: string; args: readonly string[] };

/** A piece of a client's settings, ready to be pasted. */
export interface ClientEntry {
  /** Which client, as `--print` names it. */
  client: EntryName;
  /** Where it belongs, in words. */
  file: string;
  text: string;
  /** The same as data, where the file is JSON. */
  json?: Record<string, unknown>;
  /** The client's own command that does the same, where it has one. */
  command?: string;
}

interface Format {
  file: string;
  /** It can't send HTTP, or no token with it. */
  pipeOnly?: true;
  make: (way: Way) => Record<string, unknown> | string;
  command?: (way: Way) => string;
}

/** What a client calls the hub in its settings. */
const NAME = 'berth';

/**
 * The settings of clients that differ. Each is the form that the client's own documentation names; a client that is
 * not here reads `json`.
 */
const FORMATS = {
  claude: {
    file: '.mcp.json of a project',
    make: (way) => ({ mcpServers: { [NAME]: typed(way) } }),
    command: (way) =>
      'url' in way
        ? `claude mcp add --transport http ${NAME} ${shellWord(way.url)} --header ${shellWord(`Authorization: Bearer ${way.token}`)}`
        : `claude mcp add ${NAME} -- ${[way.command, ...way.args].map(shellWord).join(' ')}`,
  },
  'claude-desktop': {
    file: 'claude_desktop_config.json (Settings > Developer > Edit Config)',
    pipeOnly: true,
    make: (way) => ({ mcpServers: { [NAME]: bare(way) } }),
  },
  vscode: {
    file: '.vscode/mcp.json of a project, or mcp.json of the user profile',
    make: (way) => ({ servers: { [NAME]: typed(way) } }),
  },
  cursor: {
    file: '~/.cursor/mcp.json, or .cursor/mcp.json of a project',
    make: (way) => ({ mcpServers: { [NAME]: bare(way) } }),
  },
  codex: { file: '~/.codex/config.toml', make: codexToml },
  inspector: {
    file: 'a file named with --config',
    make: (way) => ({
      mcpServers: { [NAME]: 'url' in way ? { ...typed(way), type: 'streamable-http' } : typed(way) },
    }),
  },
  json: {
    file: 'the MCP settings of the client',
    make: (way) => ({ mcpServers: { [NAME]: typed(way) } }),
  },
} as const satisfies Record<string, Format>;

export type EntryName = keyof typeof FORMATS;

/** The clients that `--print` knows. */
export const ENTRY_NAMES = Object.keys(FORMATS) as readonly EntryName[];

/** @throws AppError `usage-invalid` for a client that is not known. */
export function entryName(name: string): EntryName {
  const known = ENTRY_NAMES.find((one) => one === name);
  if (known !== undefined) return known;
  throw new AppError('usage-invalid', {
    detail: `There is no entry for ${shellWord(name)}.`,
    hint: `Choose one of ${ENTRY_NAMES.join(', ')}; json suits most others.`,
  });
}

/** Whether this client reaches the hub through `berth proxy` alone. */
export function needsProxy(name: EntryName): boolean {
  return (FORMATS[name] as Format).pipeOnly === true;
}

/** The entry of a client. It holds the token only where the way does. */
export function clientEntry(name: EntryName, way: Way): ClientEntry {
  const { file, make, command }: Format = FORMATS[name];
  const made = make(way);
  return {
    client: name,
    file,
    ...(typeof made === 'string' ? { text: made } : { text: JSON.stringify(made, undefined, 2), json: made }),
    ...(command === undefined ? {} : { command: command(way) }),
  };
}

function bare(way: Way): Record<string, unknown> {
  return 'url' in way
    ? { url: way.url, headers: { Authorization: `Bearer ${way.token}` } }
    : { command: way.command, args: way.args };
}

function typed(way: Way): Record<string, unknown> {
  return { type: 'url' in way ? 'http' : 'stdio', ...bare(way) };
}

/** Codex ignores `headers` and refuses an inline `bearer_token`; `http_headers` it takes. */
function codexToml(way: Way): string {
  const lines =
    'url' in way
      ? [`url = ${toml(way.url)}`, `http_headers = { Authorization = ${toml(`Bearer ${way.token}`)} }`]
      : [`command = ${toml(way.command)}`, `args = [${way.args.map(toml).join(', ')}]`];
  return [`[mcp_servers.${NAME}]`, ...lines].join('\n');
}

/** A basic string of TOML 1.0, whose escapes are those of JSON, except that U+007F has to be escaped, too. */
function toml(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', String.raw`\u007f`);
}
