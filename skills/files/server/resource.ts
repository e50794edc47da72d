import { readdir } from 'node:fs/promises';
import { extname } from 'node:path';
import { findFile } from './save.ts';
import { decodeExactly, looksBinary } from './text.ts';
import type { Workspace } from './workspace.ts';

const MOST_COMPLETIONS = 100;

const MIME_TYPES: Readonly<Record<string, string>> = {
  '.csv': 'text/csv',
  '.gif': 'image/gif',
  '.html': 'text/html',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.webp': 'image/webp',
  '.xml': 'application/xml',
};

/** What a resource of one file holds: text where it is UTF-8, base64 otherwise. */
export type FileContents = { uri: string; mimeType: string } & ({ text: string } | { blob: string });

/** The whole file (up to the limit of `findFile`) as an MCP resource. */
export async function readResource(workspace: Workspace, uri: string, path: string): Promise<FileContents> {
  const place = await workspace.target(path);
  const found = await findFile(place);
  if (found === undefined) throw new Error(`"${place.path}" does not exist.`);
  const known = MIME_TYPES[extname(place.path).toLowerCase()];
  const text = looksBinary(found.bytes) ? undefined : decodeExactly(found.bytes);
  if (text !== undefined) return { uri, mimeType: known ?? 'text/plain', text };
  return {
    uri,
    mimeType: known ?? 'application/octet-stream',
    blob: found.bytes.toString('base64'),
  };
}

/** Paths that begin as typed, folders with a `/` so that completion can go on into them. */
export async function completePath(workspace: Workspace, typed: string): Promise<string[]> {
  const slash = typed.lastIndexOf('/') + 1;
  const folder = await workspace.target(typed.slice(0, slash) || '.').catch(() => undefined);
  if (folder === undefined) return [];
  const entries = await readdir(folder.absolute, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.name.startsWith(typed.slice(slash)))
    .map((entry) => `${typed.slice(0, slash)}${entry.name}${entry.isDirectory() ? '/' : ''}`)
    .toSorted()
    .slice(0, MOST_COMPLETIONS);
}
