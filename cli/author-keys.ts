import { readdir } from 'node:fs/promises';
import { AppError } from '../protocol/errors.ts';
import { readKey, type SigningKey } from '../protocol/node/keys.ts';
import { keyPath, keysDir } from './home.ts';

/** The key that `berth up` makes and that signs when no other is named. */
export const DEFAULT_KEY = 'default';

/** A key of the author, by its name in the home. */
export interface AuthorKey extends SigningKey {
  name: string;
  path: string;
}

/**
 * A name that is safe as the name of a file.
 * @throws AppError `usage-invalid`.
 */
export function keyName(text: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,62}$/.test(text)) return text;
  throw new AppError('usage-invalid', {
    detail: `${text} cannot be the name of a key.`,
    hint: 'Use a-z, 0-9, hyphens, dots and underscores.',
  });
}

/** @throws AppError `key-not-found`, naming how to make one. */
export async function authorKey(home: string, name: string = DEFAULT_KEY): Promise<AuthorKey> {
  const path = keyPath(home, keyName(name));
  const key = await readKey(path).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== 'key-not-found') throw error;
    throw new AppError('key-not-found', {
      detail: `There is no key ${name} in ${keysDir(home)}.`,
      hint: name === DEFAULT_KEY ? 'berth keys create' : `berth keys ls, or: berth keys create ${name}`,
      cause: error,
    });
  });
  return { name, path, ...key };
}

/** Every key of the home, by name. */
export async function authorKeys(home: string): Promise<AuthorKey[]> {
  const files = await readdir(keysDir(home)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const names = files.filter((file) => file.endsWith('.pem')).map((file) => file.slice(0, -'.pem'.length));
  return Promise.all(names.toSorted().map((name) => authorKey(home, name)));
}
