// Runs a TypeScript program of test/ on any Node: `node test/support/run-ts.mjs test/bench/main.ts`.
// Only our own files are bundled; packages are loaded as installed.
import { rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const entry = resolve(process.argv[2]);
// Beside its source, so that `import.meta.dirname` means the same as in the source.
const outfile = join(dirname(entry), `.${process.pid}.mjs`);
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
});
try {
  await import(pathToFileURL(outfile).href);
} finally {
  await rm(outfile, { force: true });
}
