import { isMainThread } from 'node:worker_threads';

// One file is both: the server, and the thread it starts to read documents in. Each loads only its own half.
if (isMainThread) {
  const { serveStdio } = await import('@modelcontextprotocol/server/stdio');
  const { readHosts } = await import('./address.ts');
  const { judgeBy, pages } = await import('./page.ts');
  const { reader } = await import('./reader.ts');
  const { robots } = await import('./robots.ts');
  const { webServer } = await import('./web-server.ts');
  const shared = reader(new URL(import.meta.url));
  const page = pages({
    granted: readHosts(process.argv[2] ?? ''),
    reader: shared,
    mayAsk: robots({ now: Date.now, judge: judgeBy(shared) }),
    now: Date.now,
  });
  serveStdio(() => webServer(page));
} else {
  const { work } = await import('./worker.ts');
  work();
}
