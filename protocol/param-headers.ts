/**
 * MCP 2026-07-28, Streamable HTTP, "Custom headers from tool parameters": a tool's input schema may ask with
 * `x-mcp-header` that an argument is repeated in an `Mcp-Param-*` header of the call.
 */

/** One argument that has to be said in a header, too. */
export interface ParamHeader {
  path: readonly string[];
  header: string;
}

/** What a schema asks for. A tool whose schema has a `fault` is not valid, and clients leave it out of their list. */
export interface ParamHeaders {
  headers: readonly ParamHeader[];
  fault?: string;
}

const KEYWORD = 'x-mcp-header';
/** RFC 9110 §5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const TYPES: ReadonlySet<unknown> = new Set(['string', 'integer', 'boolean']);
/** Keywords whose values are data, and no schemas. */
const DATA: ReadonlySet<string> = new Set(['default', 'const', 'enum', 'examples']);

/** Reads what an input schema asks for; the schema must not be nested too deep for a recursion. */
export function paramHeadersOf(inputSchema: unknown): ParamHeaders {
  const headers: ParamHeader[] = [];
  const faults: string[] = [];
  collect(inputSchema, [], true);
  const names = headers.map(({ header }) => header.toLowerCase());
  if (new Set(names).size < names.length) faults.push('two arguments share a header');
  const [fault] = faults;
  return { headers, ...(fault === undefined ? {} : { fault }) };

  /** The word is allowed on what a chain of `properties` alone leads to. */
  function collect(schema: unknown, path: readonly string[], reachable: boolean): void {
    if (Array.isArray(schema)) for (const one of schema) collect(one, path, false);
    if (!isObject(schema)) return;
    if (Object.hasOwn(schema, KEYWORD)) {
      const { [KEYWORD]: header, type } = schema;
      if (!reachable || path.length === 0) faults.push('a header is asked for what is no plain argument');
      else if (typeof header !== 'string' || !TOKEN.test(header))
        faults.push('a header is asked for under a name that none can have');
      else headers.push({ path, header });
      if (!TYPES.has(type))
        faults.push('a header is asked for an argument that is no text, integer or boolean');
    }
    for (const [keyword, part] of Object.entries(schema)) {
      if (DATA.has(keyword) || keyword === KEYWORD) continue;
      if (keyword !== 'properties' || !isObject(part)) collect(part, path, false);
      else for (const [key, child] of Object.entries(part)) collect(child, [...path, key], reachable);
    }
  }
}

/** The headers of one call; none for an argument that is not there or is no plain value. */
export function paramHeaderFields(headers: readonly ParamHeader[], args: unknown): Record<string, string> {
  const pairs = headers.flatMap(({ path, header }) => {
    const value = textOf(path.reduce(memberOf, args));
    return value === undefined ? [] : [[`Mcp-Param-${header}`, encoded(value)] as const];
  });
  return Object.fromEntries(pairs);
}

function memberOf(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'boolean' || Number.isFinite(value) ? String(value) : undefined;
}

/** What a header field cannot hold as it is travels as Base64, and so does what looks like that. */
function encoded(text: string): string {
  const plain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !/^=\?base64\?.*\?=$/.test(text);
  return plain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
