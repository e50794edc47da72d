import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import { leavesOut } from './held-back.ts';
import { CONFIG_REFERENCE, type Reading } from './hosts.ts';
import { MAX_PATH, type Permissions } from './shape.ts';

/** Ends at the next `$` or brace, so that a text of many `${` is still read in one pass. */
const REFERENCE = /\$\{([^{}$]*)\}/g;
const ROOT = /^(\$\{[^}]*\})(?:\/(.*))?$/s;

/**
 * Reads a path as a manifest may name it: a root (`${workspace}`, `${data}`, `${config.x}`) and
 * plain segments below it. Nothing climbs (`..`), nothing is absolute, nothing is spelled two ways.
 */
export function readGrantPath(text: string): Reading<{ root: string; below: string[] }> {
  const match = ROOT.exec(text);
  const root = match?.[1];
  if (root === undefined) {
    return {
      ok: false,
      problem:
        text.startsWith('/') || /^[A-Za-z]:/.test(text)
          ? 'is an absolute path'
          : 'does not begin with a root',
      remedy: 'Begin with ${workspace}, ${data} or a folder that the admin names, ${config.x}.',
    };
  }
  if (root !== '${workspace}' && root !== '${data}' && !CONFIG_REFERENCE.test(root)) {
    return {
      ok: false,
      problem: `"${root}" is not a root`,
      remedy: 'The roots are ${workspace}, ${data} and ${config.x}.',
    };
  }
  const below = match?.[2] === undefined ? [] : match[2].split('/');
  if (below.includes('..')) {
    return {
      ok: false,
      problem: 'climbs out of its folder with ".."',
      remedy: 'Name the folder that is meant.',
    };
  }
  if (below.some((segment) => segment === '' || segment === '.')) {
    return {
      ok: false,
      problem: 'holds an empty or "." segment',
      remedy: 'Write each segment once, without a trailing slash.',
    };
  }
  if (below.some((segment) => /[\\${}\p{C}\p{Zl}\p{Zp}]/u.test(segment)) || text.normalize('NFC') !== text) {
    return {
      ok: false,
      problem: 'holds a character that is not allowed in a path',
      remedy: 'Use visible characters in NFC, without "\\", "$", "{" or "}".',
    };
  }
  if (text.length > MAX_PATH) {
    return {
      ok: false,
      problem: `is longer than ${MAX_PATH} characters`,
      remedy: 'Grant a folder further up.',
    };
  }
  return { ok: true, value: { root, below } };
}

/** Whether a grant on one path is a grant on the other: the same path, or one below it. */
export function pathCovers(grant: string, asked: string): boolean {
  return grant === asked || asked.startsWith(`${grant}/`);
}

/**
 * Whether a grant to write on one path is one to write on the other, which it covers by name: not where the
 * other is, or lies in, a place that has to be named (`held-back.ts`). In `${data}`, which only the skill
 * uses, there are none.
 */
export function writingCovers(grant: string, asked: string): boolean {
  return grant.startsWith('${data}') || !leavesOut(grant.split('/'), asked.split('/'));
}

/** What the roots stand for on the host. `workspace` is absent where the admin named none. */
export interface Bindings {
  workspace?: string | undefined;
  /** The folder of this user and skill. */
  data: string;
  /** Config values by name; for a field of type `directory` an absolute host path. */
  config: Readonly<Record<string, string | number | boolean>>;
}

/** A granted folder: where it lies on the host and where the skill sees it. */
export interface BoundPath {
  /** Absolute host path of the granted folder. */
  source: string;
  /** Absolute path inside the sandbox. */
  target: string;
  mode: 'r' | 'rw';
  /** The binding that `source` lies in, or equals. */
  root: string;
}

/**
 * Where each granted folder of `permissions` is and where it appears in the sandbox: `${workspace}`
 * at `/workspace`, `${data}` at `/data`, each `${config.x}` at `/grants/<n>`, counted from 1 in the
 * order of their names. Parents come before what lies in them.
 *
 * This looks at names only. Symbolic links on the host are the hub's to resolve, once, when it
 * grants and again when it mounts: the real path of `source` must lie in the real path of `root`,
 * so that a link planted in a workspace is never followed out of it.
 *
 * @throws AppError `binding-missing` when a root stands for nothing, `binding-refused` when it
 *   stands for something that may not be granted.
 */
export function bindPaths(permissions: Permissions, bindings: Bindings): BoundPath[] {
  const folders = grantFolders(permissions);
  return permissions.filesystem
    .map(({ path, mode }) => {
      const { root, below } = splitPath(path);
      const rootOnHost = hostFolder(root, bindings);
      const rootInside =
        root === '${workspace}' ? '/workspace' : root === '${data}' ? '/data' : folders.get(root);
      if (rootInside === undefined) throw new Error(`no folder was assigned to ${root}`);
      return {
        source: inside(rootOnHost, below, path),
        target: inside(rootInside, below, path),
        mode,
        root: rootOnHost,
      };
    })
    .sort((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0));
}

/** What `${…}` stands for inside the sandbox. */
export interface InsideValues {
  workspace: string;
  data: string;
  /** Config values; a granted folder is the path at which the skill sees it. */
  config: Readonly<Record<string, string | number | boolean>>;
}

/** The config and roots as the skill is told them, agreeing with the targets of `bindPaths`. */
export function insideValues(permissions: Permissions, config: Bindings['config']): InsideValues {
  const folders = grantFolders(permissions);
  const told = Object.entries(config).map(
    ([key, value]) => [key, folders.get(`\${config.${key}}`) ?? value] as const,
  );
  return { workspace: '/workspace', data: '/data', config: Object.fromEntries(told) };
}

/**
 * Replaces `${workspace}`, `${data}` and `${config.x}` in one argument of a skill's command line.
 * What was put in is not looked at again, so a config value cannot name another reference.
 * @throws AppError `binding-missing` for a config value that is not set.
 */
export function substitute(text: string, values: InsideValues): string {
  return text.replace(REFERENCE, (reference, name: string) => {
    if (name === 'workspace') return values.workspace;
    if (name === 'data') return values.data;
    const key = CONFIG_REFERENCE.exec(reference)?.[1];
    if (key !== undefined && Object.hasOwn(values.config, key)) return String(values.config[key]);
    throw missing(reference);
  });
}

/** The names that `${…}` mentions in a text: `workspace`, `data`, `config.x`. */
export function referencesIn(text: string): string[] {
  return [...text.matchAll(REFERENCE)].map((match) => match[1] ?? '');
}

/** Each granted config folder by its reference, such as `${config.x}` → `/grants/1`. */
function grantFolders(permissions: Permissions): Map<string, string> {
  const keys = permissions.filesystem.flatMap(
    ({ path }) => CONFIG_REFERENCE.exec(splitPath(path).root)?.[1] ?? [],
  );
  const ordered = [...new Set(keys)].sort();
  return new Map(ordered.map((key, index) => [`\${config.${key}}`, `/grants/${index + 1}`]));
}

function splitPath(path: string): { root: string; below: string[] } {
  const reading = readGrantPath(path);
  if (reading.ok) return reading.value;
  throw new AppError('binding-refused', {
    detail: `The path ${path} ${reading.problem}.`,
    hint: reading.remedy,
  });
}

function hostFolder(root: string, bindings: Bindings): string {
  const key = CONFIG_REFERENCE.exec(root)?.[1];
  const folder =
    root === '${workspace}'
      ? bindings.workspace
      : root === '${data}'
        ? bindings.data
        : configFolder(bindings, key);
  if (folder === undefined) throw missing(root);
  const plain = folder.length > 1 ? folder.replace(/\/$/, '') : folder;
  if (!posix.isAbsolute(plain) || posix.normalize(plain) !== plain || plain === '/' || plain.includes('\0')) {
    throw new AppError('binding-refused', {
      detail: `${root} cannot stand for ${JSON.stringify(folder)}.`,
      hint: 'Name an absolute folder below the root of the file system, without ".." in it.',
    });
  }
  return plain;
}

function configFolder(bindings: Bindings, key: string | undefined): string | undefined {
  if (key === undefined || !Object.hasOwn(bindings.config, key)) return undefined;
  const value = bindings.config[key];
  return value === undefined ? undefined : String(value);
}

/** Joins and proves that the result did not leave the folder, whatever the segments are. */
function inside(folder: string, below: readonly string[], path: string): string {
  const joined = posix.join(folder, ...below);
  if (joined !== folder && !joined.startsWith(`${folder}/`)) {
    throw new AppError('binding-refused', {
      detail: `The path ${path} leaves its folder.`,
      hint: 'Remove ".." from it.',
    });
  }
  return joined;
}

function missing(reference: string): AppError {
  return new AppError('binding-missing', {
    detail: `${reference} stands for nothing yet.`,
    hint:
      reference === '${workspace}'
        ? 'Name a folder with --workspace.'
        : `Give it a value with --set ${reference.replace(/^\$\{(?:config\.)?(.*)\}$/, '$1')}=….`,
  });
}
