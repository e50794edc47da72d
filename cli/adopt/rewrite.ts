import { isDeepStrictEqual } from 'node:util';
import { applyEdits, type FormattingOptions, modify, parse as parseJsonc } from 'jsonc-parser';
import { parse as parseToml } from 'smol-toml';
import { AppError } from '../../protocol/errors.ts';
import { clientEntry, type EntryName, type Way } from '../client-entries.ts';
import { type ClientConfig, valueAt } from './configs.ts';

/** What a client calls the hub in its settings. */
const NAME = 'berth';

/**
 * The settings of a client with Berth's one entry in place of some servers; everything else stays as it is, comments
 * and formatting too. What comes out is read again and compared: it differs in nothing but these servers.
 * @throws AppError `config-invalid` for a file in which they stand in a form that cannot be taken out so.
 */
export function rewritten(
  text: string,
  config: ClientConfig,
  servers: readonly { at: readonly string[] }[],
  way: Way,
): string {
  const mark = text.startsWith('\ufeff') ? '\ufeff' : '';
  const content = text.slice(mark.length);
  const result =
    config.syntax === 'toml'
      ? rewrittenToml(content, servers, way)
      : rewrittenJson(content, config, servers, entryIn(config.client, way));
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
  const formattingOptions = formattingOf(content);
  const options = { allowTrailingComma: lenient, disallowComments: !lenient };
  const target = [...container, NAME];
  const steps = [...servers.map(({ at }) => ({ at, value: undefined })), { at: target, value: entry }];
  const result = steps.reduce(
    (current, { at, value }) => applyEdits(current, modify(current, [...at], value, { formattingOptions })),
    content,
  );
  const expected = structuredClone(parseJsonc(content, [], options)) as unknown;
  for (const { at } of servers) without(expected, at);
  const holder = valueAt(expected, container) as Record<string, unknown>;
  holder[NAME] = entry;
  if (!isDeepStrictEqual(parseJsonc(result, [], options), expected)) throw cannotRewrite();
  return result;
}

function rewrittenToml(content: string, servers: readonly { at: readonly string[] }[], way: Way): string {
  const eol = content.includes('\r\n') ? '\r\n' : '\n';
  const entry = clientEntry('codex', way).text.replaceAll('\n', eol);
  let inside = false;
  const kept = content.split(/(?<=\n)/).filter((line) => {
    const header = headerOf(line);
    if (header !== undefined)
      inside = servers.some(({ at }) => at.every((name, depth) => header[depth] === name));
    // What stands behind a server's last line, such as a remark about the next one, is not its own.
    return !inside || /^\s*(?:#|$)/.test(line);
  });
  const rest = kept.join('').replace(/\s*$/, '');
  const result = `${rest === '' ? '' : rest + eol + eol}${entry}${eol}`;
  const expected = parseToml(content) as Record<string, unknown>;
  for (const { at } of servers) without(expected, at);
  const added = parseToml(entry)['mcp_servers'] as Record<string, unknown>;
  expected['mcp_servers'] = { ...(expected['mcp_servers'] as Record<string, unknown>), ...added };
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

function formattingOf(content: string): FormattingOptions {
  const indent = /\n([ \t]+)\S/.exec(content)?.[1] ?? '  ';
  return {
    insertSpaces: !indent.startsWith('\t'),
    tabSize: indent.startsWith('\t') ? 1 : indent.length,
    eol: content.includes('\r\n') ? '\r\n' : '\n',
  };
}

function cannotRewrite(cause?: unknown): AppError {
  return new AppError('config-invalid', {
    detail: 'The servers stand in the settings in a form that cannot be replaced without touching the rest.',
    hint: 'Replace them by hand; berth clients add shows the entry to put there.',
    cause,
  });
}
