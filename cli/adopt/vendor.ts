import { existsSync } from 'node:fs';
import { copyFile, lstat, mkdir, open, readFile, realpath } from 'node:fs/promises';
import { basename, delimiter, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { versionSchema } from '../../protocol/version.ts';
import { type Launch, refused } from './launches.ts';
import { type Installed, npmInstall } from './npm.ts';
import { bundledProgram, copyAssets } from './program.ts';
import { vendorPython } from './python.ts';

/** A server's code in a folder of its own, ready to be packed. */
export interface Vendored {
  kind: 'node' | 'python' | 'binary';
  /** Beside the manifest: the program, for Node as one module. */
  program: string;
  /** What it believes to be: the path of its script in the sandbox. */
  self: string | undefined;
  /** What else goes into the package. */
  files: readonly string[];
  version: string;
  description: string | undefined;
  license: string | undefined;
  /** Where it comes from, in words. */
  source: string;
  /** Names of environment variables that its code reads. */
  reads: readonly string[];
  notes: readonly string[];
}

export interface VendorParts {
  environment: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  /** Where relative paths of the settings begin. */
  cwd: string;
  userHome: string;
}

const HEAD_BYTES = 256;

const manifestSchema = z.looseObject({
  name: z.string().optional().catch(undefined),
  version: z.string().optional().catch(undefined),
  description: z.string().optional().catch(undefined),
  license: z.string().optional().catch(undefined),
  bin: z
    .union([z.string(), z.record(z.string(), z.string())])
    .optional()
    .catch(undefined),
  files: z.array(z.string()).optional().catch(undefined),
});
type NpmManifest = z.output<typeof manifestSchema>;

/**
 * Copies the code of a server into `folder`, for Node bundled with all it imports. Nothing of it runs.
 * @throws AppError `not-adoptable` for code that no package can hold, such as native addons.
 */
export async function vendor(parts: VendorParts, launch: Launch, folder: string): Promise<Vendored> {
  switch (launch.kind) {
    case 'npm':
      return vendorNpm(parts, launch, folder);
    case 'node':
      return vendorScript(await scriptAt(parts, launch.script), folder);
    case 'python':
      return vendorPython(await scriptAt(parts, launch.script), folder);
    case 'program':
      return vendorProgram(await programAt(parts, launch.program), folder);
  }
}

async function vendorNpm(
  parts: VendorParts,
  { spec, bin }: Extract<Launch, { kind: 'npm' }>,
  folder: string,
): Promise<Vendored> {
  const root = join(folder, 'npm');
  await mkdir(root);
  const path = spec.replace(/^file:/, '');
  const isHere = /^(?:[/~]|\.)/.test(path);
  const installed = await npmInstall(parts, root, isHere ? `file:${absolute(parts, path)}` : spec);
  const manifest = await npmManifest(join(root, installed.folder));
  const entry = `${installed.folder}/${binOf(installed, manifest, bin)}`;
  const real = await realpath(root);
  const vendored = await bundledProgram(real, entry, folder);
  const main = await copyAssets(real, installed.folder, folder, () => true);
  // It says exactly what was taken; of a folder it would say where that lies on this machine.
  const lock = isHere ? [] : ['package-lock.json'];
  for (const file of lock) await copyFile(join(root, file), join(folder, file));
  return {
    ...vendored,
    files: [...new Set([...vendored.files, ...main, ...lock])],
    ...described(manifest, installed.version),
    source: `npm package ${installed.name} ${installed.version}${installed.integrity === undefined ? '' : ` (${installed.integrity.slice(0, 20)}…)`}`,
    notes: [],
  };
}

async function vendorScript(script: string, folder: string): Promise<Vendored> {
  const root = projectOf(script);
  const entry = relative(root, script);
  const manifest = existsSync(join(root, 'package.json')) ? await npmManifest(root) : {};
  const vendored = await bundledProgram(root, entry, folder);
  const listed = (manifest.files ?? []).map((file) => file.replace(/^\.?\//, '').replace(/[/*]+$/, ''));
  // A project holds much that is nobody's business, so only what it publishes itself goes along.
  const wanted = (path: string): boolean =>
    path === 'package.json' || listed.some((file) => path === file || path.startsWith(`${file}/`));
  const own = await copyAssets(root, '', folder, wanted);
  return {
    ...vendored,
    files: [...new Set([...vendored.files, ...own])],
    ...described(manifest, manifest.version ?? '1.0.0'),
    source: `the script ${basename(script)}`,
    notes:
      listed.length > 0
        ? []
        : [
            `Of ${root} only its code and package.json were taken; "files" in package.json names what else it reads.`,
          ],
  };
}

async function vendorProgram(path: string, folder: string): Promise<Vendored> {
  const head = await headOf(path);
  if (/^#!.*\bnode\b/.test(head.split('\n')[0] ?? '')) return vendorScript(path, folder);
  if (!head.startsWith('\u007fELF')) {
    throw refused(
      `${path} is neither a script for Node nor a binary of this system.`,
      'Name the program that it starts.',
    );
  }
  const name = basename(path).replaceAll(/[^A-Za-z0-9._+-]/g, '-');
  await mkdir(join(folder, 'bin'));
  await copyFile(path, join(folder, 'bin', name));
  return {
    kind: 'binary',
    program: `bin/${name}`,
    self: undefined,
    files: [],
    version: '1.0.0',
    description: undefined,
    license: undefined,
    source: `the program ${basename(path)}`,
    reads: [],
    notes: [],
  };
}

async function headOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead).toString('latin1');
  } finally {
    await file.close();
  }
}

async function npmManifest(folder: string): Promise<NpmManifest> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
  } catch (error) {
    throw refused(`${join(folder, 'package.json')} is not readable.`, 'Correct it.', error);
  }
}

/** As npx chooses: the named program, the only one, or the one called like the package. */
function binOf({ name, folder }: Installed, { bin }: NpmManifest, wanted: string | undefined): string {
  const own = name.replace(/^@[^/]+\//, '');
  const all = typeof bin === 'string' ? { [own]: bin } : (bin ?? {});
  const paths = [...new Set(Object.values(all))];
  const found = wanted === undefined ? (paths.length === 1 ? paths[0] : all[own]) : all[wanted];
  if (found !== undefined) {
    if (!relative(folder, join(folder, found)).startsWith('..')) return found.replace(/^\.\//, '');
    throw refused(`The program of ${name} lies outside of it, at ${found}.`, 'Do not use this package.');
  }
  const names = Object.keys(all);
  throw refused(
    names.length === 0
      ? `${name} has no program to run.`
      : `${name} has several programs: ${names.join(', ')}.`,
    names.length === 0 ? 'Name another package.' : `Write npx -p ${name} ${names[0]}.`,
  );
}

function described(
  manifest: NpmManifest,
  version: string,
): Pick<Vendored, 'version' | 'description' | 'license'> {
  return {
    version: versionSchema.safeParse(version).success ? version : '1.0.0',
    description: manifest.description,
    license: manifest.license,
  };
}

async function scriptAt(parts: VendorParts, path: string): Promise<string> {
  const real = await realpath(absolute(parts, path)).catch(() => undefined);
  if (real !== undefined && (await lstat(real)).isFile()) return real;
  throw refused(`There is no script ${absolute(parts, path)}.`, 'Correct the path in the settings.');
}

async function programAt(parts: VendorParts, program: string): Promise<string> {
  const candidates = /[/~]/.test(program)
    ? [absolute(parts, program)]
    : (parts.environment['PATH'] ?? '')
        .split(delimiter)
        .filter(isAbsolute)
        .map((dir) => join(dir, program));
  for (const candidate of candidates) {
    const real = await realpath(candidate).catch(() => undefined);
    if (real !== undefined && (await lstat(real)).isFile()) return real;
  }
  throw refused(`There is no program ${program} here.`, 'Install it, or correct the settings.');
}

function absolute({ cwd, userHome }: VendorParts, path: string): string {
  return resolve(cwd, path.startsWith('~/') ? join(userHome, path.slice(2)) : path);
}

/** The nearest folder with a package.json; the script's own when there is none. */
function projectOf(script: string): string {
  for (let folder = dirname(script); folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (basename(folder) === 'node_modules') break;
  }
  return dirname(script);
}
