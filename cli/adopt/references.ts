import { AppError } from '../../protocol/errors.ts';
import type { LocalWay } from './configs.ts';

/** What `${…}` in a client's settings stands for. */
export interface Surroundings {
  environment: Readonly<Record<string, string | undefined>>;
  userHome: string;
  /** The folder that the settings are for. */
  workspaceFolder: string;
  /** Answers to what VS Code asks its user for, by id. */
  inputs: Readonly<Record<string, string>>;
}

const REFERENCE = /\$\{([^{}$]*)\}/g;

/**
 * Fills the references of every client in one text: `${VAR}` and `${VAR:-default}` (Claude Code), `${env:VAR}`,
 * `${input:id}`, `${workspaceFolder}`, `${workspaceFolderBasename}`, `${userHome}`, `${pathSeparator}` and `${/}`
 * (VS Code, Cursor). What was filled in is not looked at again.
 * @throws AppError `binding-missing` for one without a value, `config-invalid` for one that is not known.
 */
export function filled(text: string, around: Surroundings): string {
  return text.replace(REFERENCE, (reference, name: string) => {
    const known = knownValue(name, around);
    if (known !== undefined) return known;
    const id = /^input:(.+)$/.exec(name)?.[1];
    if (id !== undefined) {
      throw new AppError('binding-missing', {
        detail: `The client asks its user for ${id}, and Berth does not know the answer.`,
        hint: `Give --secret ${id}=env:VARIABLE`,
      });
    }
    const variable = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)$/.exec(name)?.[1];
    throw variable === undefined
      ? new AppError('config-invalid', {
          detail: `${reference} stands for something that only the client knows.`,
          hint: 'Write the value itself into the settings.',
        })
      : new AppError('binding-missing', {
          detail: `${reference} names the environment variable ${variable}, which is not set here.`,
          hint: `export ${variable}=… and run this again.`,
        });
  });
}

function knownValue(name: string, around: Surroundings): string | undefined {
  const { environment, userHome, workspaceFolder, inputs } = around;
  switch (name) {
    case 'userHome':
      return userHome;
    case 'workspaceFolder':
      return workspaceFolder;
    case 'workspaceFolderBasename':
      return workspaceFolder.split('/').at(-1) ?? '';
    case 'pathSeparator':
    case '/':
      return '/';
  }
  const id = /^input:(.+)$/.exec(name)?.[1];
  if (id !== undefined) return Object.hasOwn(inputs, id) ? inputs[id] : undefined;
  const [, variable = '', fallback] = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(name) ?? [];
  const value = Object.hasOwn(environment, variable) ? environment[variable] : undefined;
  // As in a shell, `:-` also stands in for an empty value.
  return fallback !== undefined && !value ? fallback : value;
}

/** The ids of `${input:…}` that a server mentions anywhere. */
export function inputsOf({ command, args, env, cwd = '' }: LocalWay): string[] {
  const ids = [command, cwd, ...args, ...Object.values(env)].flatMap((text) =>
    [...text.matchAll(/\$\{input:([^{}$]+)\}/g)].map(([, id = '']) => id),
  );
  return [...new Set(ids)];
}

/** A server with every reference filled. */
export function filledWay(way: LocalWay, around: Surroundings): LocalWay {
  const fill = (text: string): string => filled(text, around);
  const passed = way.passedOn.flatMap((name) => {
    const value = around.environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...way,
    command: fill(way.command),
    args: way.args.map(fill),
    env: {
      ...Object.fromEntries(passed),
      ...Object.fromEntries(Object.entries(way.env).map(([name, value]) => [name, fill(value)])),
    },
    envFiles: way.envFiles.map(fill),
    cwd: way.cwd === undefined ? undefined : fill(way.cwd),
  };
}

/** `NAME=value` lines, as the files that clients name in `envFile` have them. */
export function variablesIn(file: string): Record<string, string> {
  const found = file.split(/\r?\n/).flatMap((line) => {
    const [, name, raw] = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || raw === undefined) return [];
    const quoted = /^(["'])(.*)\1$/s.exec(raw);
    return [[name, quoted?.[2] ?? raw.replace(/\s+#.*$/, '')] as const];
  });
  return Object.fromEntries(found);
}
