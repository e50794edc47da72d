import type { Draft } from './draft.ts';
import type { Part } from './values.ts';

/** How a language speaks of what a program is started with. */
interface Language {
  /** The place of an argument; the program itself is the first, 0. */
  argument(at: number): string;
  variable(name: string): string;
  /** Its value, or nothing where it is not set. */
  valueOf(name: string): string;
  remove(name: string): string;
}

const text = (value: string): string => JSON.stringify(value);
const NODE: Language = {
  argument: (at) => `argv[${at + 1}]`,
  variable: (name) => `env[${text(name)}]`,
  valueOf: (name) => `(env[${text(name)}] ?? '')`,
  remove: (name) => `delete env[${text(name)}]`,
};
const PYTHON: Language = {
  argument: (at) => `sys.argv[${at}]`,
  variable: (name) => `os.environ[${text(name)}]`,
  valueOf: (name) => `os.environ.get(${text(name)}, "")`,
  remove: (name) => `os.environ.pop(${text(name)}, None)`,
};

/** Sets `process.argv` and variables as the client did; secrets in arguments come from the environment here. */
export function nodeSettings(draft: Draft): string {
  const lines = settings(draft, NODE).map((line) => `${line};`);
  return `import { argv, env } from 'node:process';\n\n${lines.join('\n')}\n`;
}

/** The same for Python, which then runs the script as its main program. */
export function pythonEntry(draft: Draft): string {
  const self = draft.vendored.self ?? '';
  const lines = [
    'import os, runpy, sys\n',
    ...settings(draft, PYTHON),
    // As a script finds what lies beside it.
    `sys.path.insert(0, ${text(self.slice(0, self.lastIndexOf('/')))})`,
    `runpy.run_path(${text(self)}, run_name="__main__")`,
  ];
  return `${lines.join('\n')}\n`;
}

function settings({ vendored, values, kept }: Draft, language: Language): string[] {
  const lines = [`${language.argument(0)} = ${text(vendored.self ?? '')}`];
  for (const [name, parts] of Object.entries(values.env)) {
    const own = parts.length === 1 && typeof parts[0] === 'object' && 'secret' in parts[0];
    if (!own) lines.push(`${language.variable(name)} = ${expression(parts, language)}`);
  }
  for (const [name, path] of Object.entries(kept)) lines.push(`${language.variable(name)} = ${text(path)}`);
  for (const [at, parts] of values.args.entries()) {
    const secrets = parts.flatMap((part) =>
      typeof part === 'object' && 'secret' in part ? [part.secret] : [],
    );
    if (secrets.length === 0) continue;
    lines.push(`${language.argument(at + 1)} = ${expression(parts, language)}`);
    for (const secret of secrets) lines.push(language.remove(secret));
  }
  return lines;
}

function expression(parts: readonly Part[], { valueOf }: Language): string {
  return parts
    .map((part) => {
      if (typeof part === 'string') return text(part);
      if ('secret' in part) return valueOf(part.secret);
      if ('config' in part) return valueOf(configVariable(part.config));
      return part.folder === '${workspace}'
        ? text('/workspace')
        : valueOf(configVariable(configKey(part.folder)));
    })
    .join(' + ');
}

/** Config reaches a skill under this name (design: In the sandbox). */
function configVariable(key: string): string {
  return `BERTH_CONFIG_${key.toUpperCase()}`;
}

/** The key of a root such as `${config.folder1}`. */
export function configKey(root: string): string {
  return root.replace(/^\$\{config\.(.*)\}$/, '$1');
}
