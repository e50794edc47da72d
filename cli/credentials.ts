import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { credentialsPath } from './home.ts';

type Credentials = Record<string, { token: string; savedAt: string }>;

/** The token that `berth login` kept for this registry, if any. */
export async function credentialFor(home: string, registry: string): Promise<string | undefined> {
  return (await readCredentials(home))[registry]?.token;
}

/** The registries that `berth login` keeps a token of. */
export async function registriesSignedInTo(home: string): Promise<string[]> {
  return Object.keys(await readCredentials(home));
}

/** Keeps a token for a registry, readable by this account alone. */
export async function saveCredential(
  home: string,
  registry: string,
  credential: { token: string; savedAt: string },
): Promise<void> {
  await writeCredentials(home, { ...(await readCredentials(home)), [registry]: credential });
}

/** Forgets the token of a registry; false when there was none. */
export async function forgetCredential(home: string, registry: string): Promise<boolean> {
  const { [registry]: found, ...others } = await readCredentials(home);
  if (found === undefined) return false;
  await writeCredentials(home, others);
  return true;
}

async function readCredentials(home: string): Promise<Credentials> {
  const path = credentialsPath(home);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  try {
    const entries = Object.entries(
      JSON.parse(text) as Record<string, { token?: unknown; savedAt?: unknown }>,
    );
    for (const [, entry] of entries) if (typeof entry.token !== 'string') throw new TypeError('token');
    return Object.fromEntries(entries) as Credentials;
  } catch (error) {
    throw new AppError('config-invalid', {
      detail: `${path} is damaged.`,
      hint: `Remove it and sign in again: rm ${path}`,
      cause: error,
    });
  }
}

async function writeCredentials(home: string, credentials: Credentials): Promise<void> {
  await writeFileAtomically(credentialsPath(home), `${JSON.stringify(credentials, undefined, 2)}\n`);
}

/** Replaces a file of mode 0600 whole or not at all. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}.partial`;
  const file = await open(partial, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
}
