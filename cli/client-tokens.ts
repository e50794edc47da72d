import { readdir, readFile, rm } from 'node:fs/promises';
import { AppError } from '../protocol/errors.ts';
import { writeFileAtomically } from './credentials.ts';
import { clientTokenPath, clientTokensDir } from './home.ts';
import { shellWord } from './shell-word.ts';

const SUFFIX = '.token';
/** As the hub names clients; it keeps a name inside its folder, too. */
const CLIENT_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Keeps the token of a client for `berth proxy`, readable by this account alone. */
export async function saveClientToken(home: string, client: string, token: string): Promise<void> {
  await writeFileAtomically(clientTokenPath(home, client), `${token}\n`);
}

/** Forgets the token of a client; false when none was kept. */
export async function forgetClientToken(home: string, client: string): Promise<boolean> {
  if (!(await clientsWithToken(home)).includes(client)) return false;
  await rm(clientTokenPath(home, client), { force: true });
  return true;
}

/** The kept token of a client. @throws AppError `not-signed-in` when none is kept. */
export async function clientToken(home: string, client: string): Promise<string> {
  try {
    const token = (await readFile(clientTokenPath(home, client), 'utf8')).trim();
    if (token !== '') return token;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  throw new AppError('not-signed-in', {
    detail: `This home keeps no token of a client named ${client}.`,
    hint: `Make one with: berth clients add ${client} --proxy`,
  });
}

/**
 * Which client `berth proxy` is: the one that was named, or the only one whose token is kept.
 * @throws AppError `usage-invalid` when it cannot be told.
 */
export async function chosenClient(home: string, named: string | undefined): Promise<string> {
  if (named !== undefined) {
    if (CLIENT_NAME.test(named)) return named;
    throw new AppError('usage-invalid', {
      detail: `${shellWord(named)} is no name of a client.`,
      hint: 'berth clients ls shows them.',
    });
  }
  const kept = await clientsWithToken(home);
  const [only] = kept;
  if (only !== undefined && kept.length === 1) return only;
  throw new AppError('usage-invalid', {
    detail:
      only === undefined
        ? 'This home keeps no token of a client.'
        : `This home keeps the tokens of several clients: ${kept.join(', ')}.`,
    hint: only === undefined ? 'berth clients add NAME --proxy' : `Name one, such as: --client ${only}`,
  });
}

async function clientsWithToken(home: string): Promise<string[]> {
  const names = await readdir(clientTokensDir(home)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
    .filter((name) => CLIENT_NAME.test(name))
    .toSorted();
}
