import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the berth package, from the source tree as from `dist`. */
export function berthRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!isBerth(folder)) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('The folder of the berth package was not found.');
    folder = parent;
  }
  return folder;
}

function isBerth(folder: string): boolean {
  const file = join(folder, 'package.json');
  if (!existsSync(file)) return false;
  return (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }).name === 'berth';
}
