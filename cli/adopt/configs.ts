import { basename, dirname } from 'node:path';
import { type ParseError, parse as parseJsonc, printParseErrorCode } from 'jsonc-parser';
import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import type { EntryName } from '../client-entries.ts';

/** What a file of settings may be at most; `~/.claude.json` also holds what was said in each project. */
export const CONFIG_MAX_BYTES = 16 * 1024 * 1024;
const MAX_SERVERS = 100;
const MAX_WORDS = 256;

/** One server as a client's settings name it, before any `${…}` in it is filled. */
export interface ServerEntry {
  name: string;
  /** Where it stands in the document. */
  at: readonly string[];
  /** Its owner switched it off. */
  disabled: boolean;
  way: LocalWay | { kind: 'remote'; url: string };
}

/** A server that the client starts as a process. */
export interface LocalWay {
  kind: 'local';
  command: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Variables that the client passes on from its own environment. */
  passedOn: readonly string[];
  /** Files of `NAME=value` lines; `env` wins over them. */
  envFiles: readonly string[];
  cwd?: string | undefined;
}

/** Something that the client asks its user for, once, and puts in place of `${input:<id>}`. */
export interface Input {
  id: string;
  description: string | undefined;
  password: boolean;
}

/** The MCP servers of one client's settings. */
export interface ClientConfig {
  /** Whose form it has, which is the form that Berth's own entry must have. */
  client: EntryName;
  syntax: 'json' | 'toml';
  /** The client takes comments and trailing commas. */
  lenient: boolean;
  /** Where a new server of this client belongs. */
  container: readonly string[];
  servers: readonly ServerEntry[];
  inputs: readonly Input[];
}

const text = z.string().max(32_768);
const scalar = z.union([text, z.number(), z.boolean()]).transform(String);
const words = z.array(scalar).max(MAX_WORDS);
const variables = z
  .record(z.string().max(256), z.union([scalar, z.null()]))
  .refine((all) => Object.keys(all).length <= MAX_WORDS, `has more than ${MAX_WORDS} variables`);

const serverSchema = z.looseObject({
  type: z.string().max(64).optional(),
  command: text.optional(),
  args: words.default([]),
  env: variables.default({}),
  env_vars: z
    .array(z.union([text, z.looseObject({ name: text })]))
    .max(MAX_WORDS)
    .default([]),
  envFile: z.union([text, z.array(text).max(16)]).optional(),
  cwd: text.optional(),
  url: text.optional(),
  serverUrl: text.optional(),
  disabled: z.boolean().optional(),
  enabled: z.boolean().optional(),
});
type Server = z.output<typeof serverSchema>;

/** It is shown before anything is decided: one visible line, in which nothing steers a terminal or hides. */
const serverName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, 'has a name with invisible characters');

const serversSchema = z
  .record(serverName, z.unknown())
  .refine((all) => Object.keys(all).length <= MAX_SERVERS, `has more than ${MAX_SERVERS} servers`);

const inputsSchema = z
  .array(
    z.looseObject({
      id: z.string().min(1).max(200),
      description: z.string().max(1000).optional(),
      password: z.boolean().optional(),
    }),
  )
  .max(MAX_WORDS)
  .default([]);

/**
 * The servers that a client's settings name: the `mcpServers` of Claude Desktop, Claude Code (of the user, and of
 * `project` in `~/.claude.json`), Cursor and their like; the `servers` of VS Code, also below `mcp` in its
 * `settings.json`; the `[mcp_servers.*]` of Codex. Comments are taken where the client takes them.
 * @param path tells which client it is of; nothing is read here.
 * @throws AppError `config-invalid` naming the place.
 */
export function readClientConfig(input: string, path: string, project?: string): ClientConfig {
  const content = input.startsWith('\ufeff') ? input.slice(1) : input;
  if (path.endsWith('.toml')) {
    const document = objectOf(tomlOf(content, path), path);
    return configOf(document, path, { client: 'codex', syntax: 'toml', containers: [['mcp_servers']] });
  }
  const client = clientOf(path);
  // Claude reads strict JSON; what it could not read itself holds no servers of it.
  const lenient = client !== 'claude' && client !== 'claude-desktop';
  const document = objectOf(jsonOf(content, path, lenient), path);
  const vscode = [['servers'], ['mcp', 'servers']].filter((at) => isObject(valueAt(document, at)));
  if (vscode.length > 0 && !isObject(document['mcpServers'])) {
    return configOf(document, path, { client: 'vscode', syntax: 'json', containers: vscode });
  }
  const ofProject = project === undefined ? [] : [['projects', project, 'mcpServers']];
  const containers = [['mcpServers'], ...ofProject].filter((at) => isObject(valueAt(document, at)));
  return configOf(document, path, { client, syntax: 'json', containers });
}

function configOf(
  document: Record<string, unknown>,
  path: string,
  { client, syntax, containers }: Pick<ClientConfig, 'client' | 'syntax'> & { containers: string[][] },
): ClientConfig {
  const servers = containers.flatMap((at) => {
    const found = checked(serversSchema, valueAt(document, at), path, at);
    return Object.entries(found ?? {}).map(([name, entry]) =>
      serverOf(name, [...at, name], checked(serverSchema, entry, path, [...at, name]), path),
    );
  });
  const [container] = containers;
  if (container === undefined || servers.length === 0) {
    throw new AppError('config-invalid', {
      detail: `${path} names no MCP servers.`,
      hint: 'Name a file with "mcpServers" (Claude, Cursor), "servers" (VS Code) or [mcp_servers.…] (Codex).',
    });
  }
  return {
    client,
    syntax,
    lenient: syntax === 'json' && client !== 'claude' && client !== 'claude-desktop',
    container,
    servers,
    inputs: [['inputs'], ['mcp', 'inputs']].flatMap((at) =>
      client === 'vscode'
        ? checked(inputsSchema, valueAt(document, at), path, at).map(({ id, description, password }) => ({
            id,
            description,
            password: password ?? false,
          }))
        : [],
    ),
  };
}

function serverOf(name: string, at: readonly string[], server: Server, path: string): ServerEntry {
  const disabled = server.disabled === true || server.enabled === false;
  const url = server.url ?? server.serverUrl;
  if (server.command !== undefined && server.command.trim() !== '') {
    const { command, args, env, env_vars, envFile, cwd } = server;
    return {
      name,
      at,
      disabled,
      way: {
        kind: 'local',
        command,
        args,
        // VS Code: null takes a variable of the client away, which a sandbox does not pass on anyway.
        env: Object.fromEntries(
          Object.entries(env).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
        ),
        passedOn: env_vars.map((entry) => (typeof entry === 'string' ? entry : entry.name)),
        envFiles: envFile === undefined ? [] : [envFile].flat(),
        cwd,
      },
    };
  }
  if (url !== undefined) return { name, at, disabled, way: { kind: 'remote', url } };
  throw new AppError('config-invalid', {
    detail: `${at.join('.')} in ${path} has neither a "command" nor a "url".`,
    hint: 'Correct the entry, or take it out.',
  });
}

/** The client whose settings have this path; `json` stands for the many that read `mcpServers` alike. */
function clientOf(path: string): EntryName {
  const file = basename(path);
  if (file === 'claude_desktop_config.json') return 'claude-desktop';
  if (file === '.mcp.json' || file === '.claude.json') return 'claude';
  if (basename(dirname(path)) === '.cursor') return 'cursor';
  return 'json';
}

function jsonOf(content: string, path: string, lenient: boolean): unknown {
  const errors: ParseError[] = [];
  const value: unknown = parseJsonc(content, errors, {
    disallowComments: !lenient,
    allowTrailingComma: lenient,
  });
  const [first] = errors;
  if (first === undefined) return value;
  const before = content.slice(0, first.offset).split('\n');
  throw new AppError('config-invalid', {
    detail: `${path} is not ${lenient ? 'JSON' : 'strict JSON, which its client reads'}: line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1} (${printParseErrorCode(first.error)}).`,
    hint: 'Correct it; nothing was changed.',
  });
}

function tomlOf(content: string, path: string): unknown {
  try {
    return parseToml(content);
  } catch (error) {
    throw new AppError('config-invalid', {
      detail: `${path} is not TOML: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''}`,
      hint: 'Correct it; nothing was changed.',
      cause: error,
    });
  }
}

function objectOf(value: unknown, path: string): Record<string, unknown> {
  if (isObject(value)) return value;
  throw new AppError('config-invalid', {
    detail: `${path} holds no object.`,
    hint: 'Name the file in which the client keeps its MCP servers.',
  });
}

function checked<S extends z.ZodType>(
  schema: S,
  value: unknown,
  path: string,
  at: readonly string[],
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  // Of a key, the outer issue says only that it is one.
  const said = issue?.code === 'invalid_key' ? issue.issues[0]?.message : issue?.message;
  throw new AppError('config-invalid', {
    detail: `${[...at, ...(issue?.path ?? [])].join('.')} in ${path}: ${said ?? 'is not valid'}.`,
    hint: 'Correct the entry; nothing was changed.',
  });
}

/** The value at a path of names; undefined where the way there ends. */
export function valueAt(document: unknown, at: readonly string[]): unknown {
  return at.reduce<unknown>(
    (value, name) => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined),
    document,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
