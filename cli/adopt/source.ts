import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import type { Context } from '../command.ts';
import { type ClientConfig, CONFIG_MAX_BYTES, readClientConfig, type ServerEntry } from './configs.ts';
import { onlyPlace, readBoundedFile, usualPlaces } from './places.ts';

/** Where servers are adopted from: settings of a client, or one command line. */
export interface Source {
  /** Undefined for a command line: then there is nothing to replace. */
  file: { path: string; bytes: Buffer; config: ClientConfig } | undefined;
  servers: readonly ServerEntry[];
  /** The folder that the settings are for. */
  folder: string;
}

/**
 * Reads what was named: a file, a command behind `--`, or neither: then the one file of the usual places.
 * @throws AppError `usage-invalid`, `config-invalid`.
 */
export async function sourceOf(
  context: Pick<Context, 'workingDirectory' | 'settings'>,
  userHome: string,
  { file, command }: { file: string | undefined; command: readonly string[] },
): Promise<Source> {
  const project = context.workingDirectory;
  const [program, ...args] = command;
  if (program !== undefined) {
    if (file !== undefined) {
      throw new AppError('usage-invalid', {
        detail: 'A file and a command were given.',
        hint: 'Give one of them: berth adopt mcp.json, or berth adopt -- npx -y some-mcp-server',
      });
    }
    return { file: undefined, servers: [serverOfCommand(program, args)], folder: project };
  }
  const { environment } = context.settings;
  const places = usualPlaces({
    userHome,
    configHome: environment['XDG_CONFIG_HOME'],
    codexHome: environment['CODEX_HOME'],
    project,
  });
  const path =
    file === undefined ? onlyPlace(places, (one) => holdsServers(one, project)) : resolve(project, file);
  const bytes = await readBoundedFile(path);
  const config = readClientConfig(bytes.toString('utf8'), path, project);
  return { file: { path, bytes, config }, servers: config.servers, folder: folderOf(path) };
}

/** A server that only a command line names: it is called like its package or program. */
function serverOfCommand(command: string, args: readonly string[]): ServerEntry {
  const words = [command, ...args].filter((word) => !word.startsWith('-'));
  const main = /^(?:npx|bunx|node|python[\d.]*)$/.test(basename(command)) ? (words[1] ?? command) : command;
  const name = basename(main)
    .replace(/(?<=.)@.*$/, '')
    .replace(/\.(?:[cm]?[jt]s|py)$/, '')
    .replace(/^(?:mcp-)?server-|-mcp(?:-server)?$|-server$/g, '');
  return {
    name: name || basename(main),
    at: [],
    disabled: false,
    way: { kind: 'local', command, args, env: {}, passedOn: [], envFiles: [], cwd: undefined },
  };
}

function holdsServers(path: string, project: string): boolean {
  if (statSync(path).size > CONFIG_MAX_BYTES) return false;
  try {
    return readClientConfig(readFileSync(path, 'utf8'), path, project).servers.length > 0;
  } catch {
    // A file that names none, or cannot be read, is none to choose from.
    return false;
  }
}

/** The project that a file of settings lies in. */
function folderOf(path: string): string {
  const folder = dirname(path);
  return ['.vscode', '.cursor', '.codex'].includes(basename(folder)) ? dirname(folder) : folder;
}
