import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { shellWord } from '../shell-word.ts';
import { CONFIG_MAX_BYTES } from './configs.ts';

/** Where clients keep their MCP servers: of a project first, then of the user. */
export function usualPlaces({
  userHome,
  configHome,
  codexHome,
  project,
}: {
  userHome: string;
  /** `$XDG_CONFIG_HOME`. */
  configHome: string | undefined;
  /** `$CODEX_HOME`. */
  codexHome: string | undefined;
  project: string;
}): string[] {
  const config = configHome?.startsWith('/') === true ? configHome : join(userHome, '.config');
  return [
    join(project, '.mcp.json'),
    join(project, '.vscode', 'mcp.json'),
    join(project, '.cursor', 'mcp.json'),
    join(project, '.codex', 'config.toml'),
    join(userHome, '.claude.json'),
    join(config, 'Claude', 'claude_desktop_config.json'),
    join(userHome, 'Library', 'Application Support', 'Claude', 'claude_desktop_config.json'),
    join(userHome, '.cursor', 'mcp.json'),
    join(config, 'Code', 'User', 'mcp.json'),
    join(userHome, 'Library', 'Application Support', 'Code', 'User', 'mcp.json'),
    join(codexHome ?? join(userHome, '.codex'), 'config.toml'),
  ].filter((path, at, all) => all.indexOf(path) === at);
}

/**
 * The one file of the usual places that is there.
 * @throws AppError `usage-invalid` when there is none, or several: then it lists them.
 */
export function onlyPlace(places: readonly string[], holdsServers: (path: string) => boolean): string {
  const found = places.filter((path) => existsSync(path) && holdsServers(path));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  throw new AppError('usage-invalid', {
    detail:
      only === undefined
        ? `No client keeps MCP servers in ${places.length} usual places, from ${places[0]} to ${places.at(-1)}.`
        : `Several files name MCP servers:\n${found.map((path) => `  ${path}`).join('\n')}`,
    hint:
      only === undefined
        ? 'Name the file: berth adopt path/to/mcp.json. Or one server: berth adopt -- npx -y some-mcp-server'
        : `Name one of them: berth adopt ${shellWord(only)}`,
    data: { found },
  });
}

/** @throws AppError `usage-invalid` when there is no such file, `config-invalid` when it is too large. */
export async function readBoundedFile(path: string, maxBytes: number = CONFIG_MAX_BYTES): Promise<Buffer> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) {
    throw new AppError('usage-invalid', {
      detail: `There is no file ${path}.`,
      hint: 'Name the file in which the client keeps its MCP servers, or berth adopt -- and a command.',
    });
  }
  if (found.size > maxBytes)
    throw new AppError('config-invalid', { detail: `${path} is larger than ${maxBytes} bytes.` });
  return readFile(path);
}
