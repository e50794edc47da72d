import { type Manifest, nameSchema } from './manifest.ts';

/** The file that makes a package an Agent Skill. */
export const SKILL_FILE = 'SKILL.md';

/** What a person or model may read of a package: its instructions and the text files they refer to. */
const TEXT_TYPES: Readonly<Record<string, string>> = {
  md: 'text/markdown',
  txt: 'text/plain',
  json: 'application/json',
  csv: 'text/csv',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  py: 'text/x-python',
  sh: 'text/x-shellscript',
  js: 'text/javascript',
  ts: 'text/x-typescript',
  html: 'text/html',
};
const BINARY = 'application/octet-stream';

/** Files that every package has and that are no instructions. */
const OWN_FILES = new Set(['skill.json', 'surface.json']);

/** The files of a package that are there to be read, sorted: all but Berth's own and the program itself. */
export function readablePaths({ runtime }: Manifest, paths: Iterable<string>): string[] {
  const program = 'entry' in runtime ? runtime.entry : undefined;
  return [...paths].filter((path) => !OWN_FILES.has(path) && path !== program).toSorted();
}

/** `skill://<namespace>/<name>/<path>`: a skill's name is unique, so no two skills can share a URI. */
export function fileUri(skill: string, path: string): string {
  const below = path === '' ? '' : `/${path.split('/').map(encodeURIComponent).join('/')}`;
  return `skill://${skill}${below}`;
}

/**
 * To which skill a `skill://` URI belongs, installed or not, and which path in its package it names: '' is the
 * whole, and none where it names no path in any spelling. Undefined for what is not of the form of `fileUri`.
 */
export function placeOf(uri: string): { skill: string; path: string | undefined } | undefined {
  if (!URL.canParse(uri)) return undefined;
  const { protocol, hostname, pathname, search, hash } = new URL(uri);
  if (protocol !== 'skill:') return undefined;
  const [, name = '', ...below] = pathname.replace(/\/$/, '').split('/').map(decoded);
  const skill = `${decoded(hostname) ?? ''}/${name ?? ''}`.toLowerCase();
  if (!nameSchema.safeParse(skill).success) return undefined;
  const plain =
    search === '' && hash === '' && below.every((part) => part !== undefined && !part.includes('/'));
  return { skill, path: plain ? below.join('/') : undefined };
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** By the ending of the name; what is not known as text is bytes. */
export function mimeTypeOf(path: string): string {
  return TEXT_TYPES[path.slice(path.lastIndexOf('.') + 1).toLowerCase()] ?? BINARY;
}

/** A file as the answer to `resources/read`: as text only where that loses nothing, for readers compare digests. */
export function contentsOf(uri: string, path: string, bytes: Uint8Array): Record<string, unknown> {
  const mimeType = mimeTypeOf(path);
  const text = mimeType === BINARY ? undefined : losslessText(bytes);
  const content = text === undefined ? { blob: Buffer.from(bytes).toString('base64') } : { text };
  return { contents: [{ uri, mimeType, ...content }] };
}

function losslessText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
