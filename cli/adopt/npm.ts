import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { refused } from './launches.ts';

const INSTALL_TIMEOUT_MS = 5 * 60_000;
const MAX_SAID_CHARS = 4_000;

/** What npm put into a folder for one package. */
export interface Installed {
  /** Its folder below the one that was installed into. */
  folder: string;
  name: string;
  version: string;
  /** What was taken, as the lock names it, with the digest that npm checked. */
  resolved: string | undefined;
  integrity: string | undefined;
}

const packageSchema = z.looseObject({ dependencies: z.record(z.string(), z.string()).default({}) });
const lockSchema = z.looseObject({
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string().optional(),
      resolved: z.string().optional(),
      integrity: z.string().optional(),
    }),
  ),
});

/** Nothing of the packages runs, nothing comes from repositories or addresses, and exactly one version is taken. */
const FLAGS = [
  '--ignore-scripts',
  '--allow-git=none',
  '--allow-remote=none',
  '--omit=dev',
  '--install-links',
  '--save-exact',
  '--package-lock=true',
  '--no-audit',
  '--no-fund',
  '--no-update-notifier',
  '--loglevel=error',
];

/**
 * Installs one package with all that it needs into an empty folder, from wherever npm takes it for this user, and
 * runs nothing of it. `package-lock.json` in the folder says what was taken.
 * @throws AppError `not-adoptable` with what npm says.
 */
export async function npmInstall(
  { environment, signal }: { environment: Readonly<Record<string, string | undefined>>; signal: AbortSignal },
  folder: string,
  spec: string,
): Promise<Installed> {
  await writeFile(join(folder, 'package.json'), '{"private":true}\n');
  const said = await run(['install', ...FLAGS, '--', spec], { folder, environment, signal });
  if (said !== undefined) {
    throw refused(
      `npm could not install ${spec}: ${said}`,
      'See that npm reaches its registry and that the package is there.',
    );
  }
  const { dependencies } = packageSchema.parse(
    JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')),
  );
  const [name] = Object.keys(dependencies);
  if (name === undefined) throw refused(`npm installed nothing for ${spec}.`, 'Name a package.');
  const lock = lockSchema.parse(JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8')));
  const place = `node_modules/${name}`;
  const { version = '0.0.0', resolved, integrity } = lock.packages[place] ?? {};
  return { folder: place, name, version, resolved, integrity };
}

/** Runs npm; answers with what it said when it failed. */
async function run(
  args: readonly string[],
  {
    folder,
    environment,
    signal,
  }: { folder: string; environment: Readonly<Record<string, string | undefined>>; signal: AbortSignal },
): Promise<string | undefined> {
  // Of a surrounding `npm run`, its settings for its own project would speak to this npm, too.
  const { npm_config_local_prefix: _ours, npm_package_json: _too, ...env } = environment;
  const child = spawn('npm', args, {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(INSTALL_TIMEOUT_MS)]),
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-MAX_SAID_CHARS)));
  const outcome = await new Promise<number | Error>((resolve) => {
    child.once('error', resolve);
    child.once('close', (code) => resolve(code ?? 1));
  });
  if (outcome === 0) return undefined;
  if (outcome instanceof Error) {
    const { code } = outcome as NodeJS.ErrnoException;
    return code === 'ENOENT' ? 'there is no npm on the PATH' : outcome.message;
  }
  const lines = said.split('\n').map((line) => line.replace(/^npm (?:error|ERR!)\s*/, '').trim());
  return lines
    .filter((line) => line !== '' && !line.includes('complete log of this run'))
    .slice(0, 4)
    .join('; ');
}
