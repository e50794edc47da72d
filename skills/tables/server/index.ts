import { realpath } from 'node:fs/promises';
import { isMainThread } from 'node:worker_threads';

// One file is both: the server, and the thread it starts to load files and run SQL in. Each loads only its own half.
if (isMainThread) {
  const folder = process.argv[2];
  if (folder === undefined) {
    process.stderr.write('Start with the folder whose files to query: node server/index.mjs <folder>\n');
    process.exit(2);
  }
  const { serveStdio } = await import('@modelcontextprotocol/server/stdio');
  const { engine } = await import('./engine.ts');
  const { tablesServer } = await import('./tables-server.ts');
  const root = await realpath(folder);
  const shared = engine({ script: new URL(import.meta.url), root });
  serveStdio(() => tablesServer({ root, engine: shared }));
} else {
  const { work } = await import('./worker.ts');
  await work();
}
