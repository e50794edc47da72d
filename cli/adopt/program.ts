import { existsSync } from 'node:fs';
import { copyFile, lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { faultOfPath } from '../../protocol/archive/paths.ts';
import { AppError } from '../../protocol/errors.ts';
import { refused } from './launches.ts';
import { locatedBundle, placeInside, VENDOR_FOLDER } from './located-bundle.ts';

/** A program for Node in one module, and what it may read beside it. */
export interface BundledProgram {
  kind: 'node';
  program: string;
  self: string;
  files: readonly string[];
  reads: readonly string[];
}

const ASSET_LIMITS = { files: 2_000, bytes: 32 * 1024 * 1024 };
const CODE = /\.(?:[cm]?[jt]sx?|map|md|markdown)$/i;

/** Bundles the entry into `server/program.js`, with what its packages may read beside their code. */
export async function bundledProgram(root: string, entry: string, folder: string): Promise<BundledProgram> {
  const { code, located, packages } = await locatedBundle(root, entry).catch((error: unknown) => {
    throw asRefusal(error);
  });
  const native = packages.find((place) => place !== '' && isNative(join(root, place)));
  if (native !== undefined) throw hasNative(native);
  await mkdir(join(folder, 'server'), { recursive: true });
  await writeFile(join(folder, 'server', 'program.js'), code);
  const files: string[] = [];
  for (const place of located) {
    if (place === '') continue;
    files.push(...(await copyAssets(root, place, folder, (path) => !CODE.test(path))));
  }
  const text = code.toString('utf8');
  const reads = [...text.matchAll(/process\d*\.env(?:\.([A-Z][A-Z0-9_]*)|\[["']([A-Z][A-Z0-9_]*)["']\])/g)];
  return {
    kind: 'node',
    program: 'server/program.js',
    self: placeInside(entry),
    files,
    reads: [...new Set(reads.map(([, dotted, quoted]) => dotted ?? quoted ?? ''))].toSorted(),
  };
}

/** Copies files of one package to the same place below `vendor`; answers with their paths. Links stay behind. */
export async function copyAssets(
  root: string,
  place: string,
  folder: string,
  wanted: (path: string) => boolean,
): Promise<string[]> {
  const copied: string[] = [];
  let bytes = 0;
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(join(root, place, below), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue;
      if (entry.isDirectory()) {
        await walk(path);
        continue;
      }
      const target = [VENDOR_FOLDER, ...(place === '' ? [] : [place]), path].join('/');
      const isType = /\.(?:d\.[cm]?ts|map)$/.test(path);
      if (!entry.isFile() || isType || !wanted(path) || faultOfPath(target) !== undefined) continue;
      bytes += (await lstat(join(root, place, path))).size;
      if (copied.length >= ASSET_LIMITS.files || bytes > ASSET_LIMITS.bytes) {
        throw refused(
          `${place || root} brings more files than a package may hold.`,
          'A package holds up to 100 MB and 10,000 files, and should hold far less.',
        );
      }
      await mkdir(dirname(join(folder, target)), { recursive: true });
      await copyFile(join(root, place, path), join(folder, target));
      copied.push(target);
    }
  };
  await walk('');
  return copied;
}

function asRefusal(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'pack-failed') return error;
  const faults = (error.data?.['faults'] ?? []) as { path: string; problem: string }[];
  const native = faults.find(({ problem }) =>
    /\.node["']?\b|loader is configured for "\.node"/.test(problem),
  );
  if (native !== undefined) return hasNative(native.path.split(':')[0] ?? native.path);
  const [first] = faults;
  return refused(
    `Its code could not be put into one file: ${first === undefined ? error.message : `${first.path}: ${first.problem}`}`,
    'Leave it to its client, or pack it by hand: berth init.',
    error,
  );
}

function hasNative(place: string): AppError {
  return refused(
    `It needs a native addon (${place.replace(/^.*node_modules\//, '')}), which is compiled for one machine and cannot be put into a package.`,
    'Look for a version of the server without it.',
  );
}

/** Whether a package brings compiled code, by what such packages have. */
function isNative(folder: string): boolean {
  return ['binding.gyp', 'prebuilds', 'build/Release'].some((name) => existsSync(join(folder, name)));
}
