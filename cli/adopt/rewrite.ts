import { isDeepStrictEqual } from 'node:util';
import {
  applyEdits,
  findNodeAtLocation,
  getNodeValue,
  modify,
  parse as parseJsonc,
  type ParseError,
  parseTree,
} from 'jsonc-parser';
import { parse as parseToml } from 'smol-toml';
import { AppError } from '../../protocol/errors.ts';
import { clientEntry, type EntryName, type Way } from '../client-entries.ts';
import { type ClientConfig, valueAt } from './configs.ts';

/** What a client calls the hub in its settings. */
const NAME = 'berth';

/**
 * The settings of a client with Berth's one entry in place of some servers; everything else stays as it is, comments
 * and formatting too. What comes out is read again and compared: it differs in nothing but these servers.
 * @param way undefined where Berth's entry is there already.
 * @throws AppError `config-invalid` for a file in which they stand in a form that cannot be taken out so.
 */
export function rewritten(
  text: string,
  config: ClientConfig,
  servers: readonly { at: readonly string[] }[],
  way: Way | undefined,
): string {
  const mark = text.startsWith('\ufeff') ? '\ufeff' : '';
  const content = text.slice(mark.length);
  const result =
    config.syntax === 'toml'
      ? rewrittenToml(content, servers, way)
      : rewrittenJson(content, config, servers, way === undefined ? undefined : entryIn(config.client, way));
  return mark + result;
}

/** Berth's entry alone, without what is around it when it is pasted into an empty file. */
function entryIn(client: EntryName, way: Way): unknown {
  const [servers] = Object.values(clientEntry(client, way).json ?? {});
  return valueAt(servers, [NAME]);
}

function rewrittenJson(
  content: string,
  { container, lenient }: ClientConfig,
  servers: readonly { at: readonly string[] }[],
  entry: unknown,
): string {
  const isAt = ({ at }: { at: readonly string[] }): boolean => isDeepStrictEqual(at, [...container, NAME]);
  // A server of Berth's own name makes room first; the others go last, so that the object is never empty meanwhile.
  const made = servers.filter(isAt).reduce(takenOut, content);
  const held = entry === undefined ? made : putIn(made, container, entry);
  const result = servers.filter((server) => !isAt(server)).reduce(takenOut, held);

  const expected = structuredClone(parsed(content, lenient));
  for (const { at } of servers) without(expected, at);
  if (entry !== undefined) (valueAt(expected, container) as Record<string, unknown>)[NAME] = entry;
  if (!isDeepStrictEqual(parsed(result, lenient), expected)) throw cannotRewrite();
  return result;
}

/** Without formatting options, which would put what stands beside it into another form. */
function takenOut(content: string, { at }: { at: readonly string[] }): string {
  return applyEdits(content, modify(content, [...at], undefined, {}));
}

/** Puts the entry before all others of the object, indented as they are. */
function putIn(content: string, container: readonly string[], entry: unknown): string {
  const tree = parseTree(content);
  const object = tree === undefined ? undefined : findNodeAtLocation(tree, [...container]);
  if (object === undefined || valueAt(getNodeValue(object), [NAME]) !== undefined) throw cannotRewrite();
  const eol = content.includes('\r\n') ? '\r\n' : '\n';
  const unit = /\n([ \t]+)\S/.exec(content)?.[1] ?? '  ';
  const outer = indentAt(content, object.offset);
  const [first] = object.children ?? [];
  const ownLine =
    first === undefined ? undefined : /\n([ \t]*)$/.exec(content.slice(object.offset, first.offset))?.[1];
  const inner = ownLine ?? outer + unit;
  const lines = `${JSON.stringify(NAME)}: ${JSON.stringify(entry, undefined, unit)}`.split('\n');
  const text = eol + lines.map((line) => inner + line).join(eol);
  const end = first === undefined ? eol + outer : ',';
  return content.slice(0, object.offset + 1) + text + end + content.slice(object.offset + 1);
}

function indentAt(content: string, offset: number): string {
  const start = content.lastIndexOf('\n', offset - 1) + 1;
  return /^[ \t]*/.exec(content.slice(start))?.[0] ?? '';
}

function parsed(content: string, lenient: boolean): unknown {
  const errors: ParseError[] = [];
  const value: unknown = parseJsonc(content, errors, {
    allowTrailingComma: lenient,
    disallowComments: !lenient,
  });
  if (errors.length > 0) throw cannotRewrite();
  return value;
}

function rewrittenToml(
  content: string,
  servers: readonly { at: readonly string[] }[],
  way: Way | undefined,
): string {
  const eol = content.includes('\r\n') ? '\r\n' : '\n';
  const entry = way === undefined ? '' : clientEntry('codex', way).text.replaceAll('\n', eol);
  let inside = false;
  const kept = content.split(/(?<=\n)/).filter((line) => {
    const header = headerOf(line);
    if (header !== undefined)
      inside = servers.some(({ at }) => at.every((name, depth) => header[depth] === name));
    // What stands behind a server's last line, such as a remark about the next one, is not its own.
    return !inside || /^\s*(?:#|$)/.test(line);
  });
  const rest = kept.join('').replace(/\s*$/, '');
  const result = entry === '' ? rest + eol : `${rest === '' ? '' : rest + eol + eol}${entry}${eol}`;
  const expected = parseToml(content) as Record<string, unknown>;
  for (const { at } of servers) without(expected, at);
  if (entry !== '') {
    const added = parseToml(entry)['mcp_servers'] as Record<string, unknown>;
    const others = valueAt(expected, ['mcp_servers']) as Record<string, unknown>;
    if (Object.hasOwn(others, NAME)) throw cannotRewrite();
    expected['mcp_servers'] = { ...others, ...added };
  }
  if (!isDeepStrictEqual(plain(parseAgain(result)), plain(expected))) throw cannotRewrite();
  return result;
}

function parseAgain(text: string): unknown {
  try {
    return parseToml(text);
  } catch (error) {
    throw cannotRewrite(error);
  }
}

/** The names in a table's header (TOML 1.0, Table), as the parser reads them; undefined for any other line. */
function headerOf(line: string): string[] | undefined {
  if (!/^\s*\[/.test(line)) return undefined;
  try {
    const names: string[] = [];
    let value: unknown = parseToml(line);
    while (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const [only] = Object.entries(value);
      if (only === undefined) return names;
      names.push(only[0]);
      value = only[1];
    }
    return names;
  } catch {
    return undefined;
  }
}

/** The parser's objects have no prototype, ours have one. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

function without(document: unknown, at: readonly string[]): void {
  const holder = valueAt(document, at.slice(0, -1));
  const name = at.at(-1);
  if (typeof holder === 'object' && holder !== null && name !== undefined)
    Reflect.deleteProperty(holder, name);
}

function cannotRewrite(cause?: unknown): AppError {
  return new AppError('config-invalid', {
    detail: 'The servers stand in the settings in a form that cannot be replaced without touching the rest.',
    hint: 'Replace them by hand; berth clients add shows the entry to put there.',
    cause,
  });
}
