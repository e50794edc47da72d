import { RE2JS } from 're2js';

/** Answers whether a path (relative, with `/`) is meant by the pattern. */
export type PathFilter = (path: string) => boolean;

/**
 * Compiles a glob: `*` `?` `[a-z]` `[!a]` within a name, `**` across folders, `{a,b}` alternatives. A pattern without
 * `/` is matched against the name alone, as in .gitignore. It becomes an RE2 expression, which matches in linear time:
 * the usual translation to a JavaScript RegExp lets a pattern like `*a*a*a*a*b` hang the process.
 */
export function globFilter(pattern: string): PathFilter {
  const expression = RE2JS.compile(`^(?:${translate(pattern)})$`, RE2JS.DOTALL);
  const nameOnly = !pattern.includes('/');
  return (path) => expression.matcher(nameOnly ? path.slice(path.lastIndexOf('/') + 1) : path).find();
}

function translate(pattern: string): string {
  const source = pattern.replace(/^\.?\//, '');
  let out = '';
  let depth = 0;
  for (let at = 0; at < source.length; at += 1) {
    const rest = source.slice(at);
    const set = /^\[(!?)((?:\]|[^\]/])[^\]/]*)\]/.exec(rest);
    if (rest.startsWith('**/')) {
      out += '(?:[^/]+/)*';
      at += 2;
    } else if (rest.startsWith('**')) {
      out += '.*';
      at += 1;
    } else if (rest.startsWith('*')) out += '[^/]*';
    else if (rest.startsWith('?')) out += '[^/]';
    else if (set) {
      out += `[${set[1] ? '^/' : ''}${(set[2] ?? '').replace(/[\\[\]^&~|]/g, '\\$&')}]`;
      at += set[0].length - 1;
    } else if (rest.startsWith('{')) {
      out += '(?:';
      depth += 1;
    } else if (rest.startsWith('}') && depth > 0) {
      out += ')';
      depth -= 1;
    } else if (rest.startsWith(',') && depth > 0) out += '|';
    else out += RE2JS.quote(source[at] ?? '');
  }
  if (depth > 0) throw new Error(`The glob "${pattern}" has a "{" without its "}".`);
  return out;
}
