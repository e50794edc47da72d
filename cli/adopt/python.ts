import { copyFile, lstat, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { faultOfPath } from '../../protocol/archive/paths.ts';
import { refused } from './launches.ts';
import type { Vendored } from './vendor.ts';

/** Where the modules of a Python script lie in its package; the entry beside the folder starts it. */
export const PYTHON_FOLDER = 'server/program';
const LIMITS = { files: 2_000, bytes: 16 * 1024 * 1024 };
const LOCK = 'requirements.lock';
const READS = /\benviron(?:\.get\(|\[)\s*["']([A-Z][A-Z0-9_]*)["']|\bgetenv\(\s*["']([A-Z][A-Z0-9_]*)["']/g;

/**
 * Copies the modules in the folder of a Python script, and its wheels with their lock where it has some beside it. Nothing
 * is fetched and nothing of it runs: what it imports beyond that and Python's own library, it does not find.
 * @throws AppError `not-adoptable`.
 */
export async function vendorPython(script: string, folder: string): Promise<Vendored> {
  const root = dirname(script);
  const modules = await copyModules(root, join(folder, PYTHON_FOLDER));
  const hasLock = (await lstat(join(root, LOCK)).catch(() => undefined))?.isFile() === true;
  if (hasLock) {
    await copyFile(join(root, LOCK), join(folder, LOCK));
    await mkdir(join(folder, 'wheels'));
    for (const name of await readdir(join(root, 'wheels')).catch(() => []))
      if (name.endsWith('.whl')) await copyFile(join(root, 'wheels', name), join(folder, 'wheels', name));
  }
  const texts = await Promise.all(modules.map((path) => readFile(join(root, path), 'utf8')));
  const reads = texts.flatMap((text) =>
    [...text.matchAll(READS)].map(([, got, asked]) => got ?? asked ?? ''),
  );
  return {
    kind: 'python',
    program: 'server/index.py',
    self: `/skill/${PYTHON_FOLDER}/${basename(script)}`,
    files: [],
    version: '1.0.0',
    description: undefined,
    license: undefined,
    source: `the script ${basename(script)}`,
    reads: [...new Set(reads)].toSorted(),
    notes: [
      `Of ${root} only its Python modules were taken${hasLock ? `, and the wheels that ${LOCK} names` : ''}.`,
    ],
  };
}

/** Hidden folders, environments and tests of others stay behind, as do links. */
async function copyModules(root: string, target: string): Promise<string[]> {
  const copied: string[] = [];
  let bytes = 0;
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(join(root, below), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(below, entry.name);
      if (entry.name.startsWith('.') || ['__pycache__', 'node_modules', 'site-packages'].includes(entry.name))
        continue;
      if (entry.isDirectory()) {
        const isEnvironment =
          (await lstat(join(root, path, 'pyvenv.cfg')).catch(() => undefined)) !== undefined;
        if (!isEnvironment) await walk(path);
        continue;
      }
      if (!entry.isFile() || !entry.name.endsWith('.py') || faultOfPath(path) !== undefined) continue;
      bytes += (await lstat(join(root, path))).size;
      if (copied.length >= LIMITS.files || bytes > LIMITS.bytes) {
        throw refused(
          `${root} holds more Python than a package should.`,
          'Put the script into a folder of its own, with what it imports.',
        );
      }
      await mkdir(dirname(join(target, path)), { recursive: true });
      await copyFile(join(root, path), join(target, path));
      copied.push(path);
    }
  };
  await walk('');
  return copied;
}
