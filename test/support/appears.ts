import { existsSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Resolves once a file is there; told by the kernel, not by looking again and again. */
export function appears(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const watcher = watch(dirname(path), (_event, name) => {
      if (name === basename(path)) done();
    });
    const done = () => {
      watcher.close();
      resolve();
    };
    watcher.on('error', reject);
    if (existsSync(path)) done();
  });
}
