import { isMainThread } from 'node:worker_threads';

const ASK_MS = 1_000;

// One file is both: the server, and the thread it starts to read documents in. Each loads only its own half.
if (isMainThread) {
  const { lookup } = await import('node:dns/promises');
  const { setTimeout: after } = await import('node:timers/promises');
  const { serveStdio } = await import('@modelcontextprotocol/server/stdio');
  const { admission, readHosts } = await import('./address.ts');
  const { judgeBy, pages } = await import('./page.ts');
  const { reader } = await import('./reader.ts');
  const { robots } = await import('./robots.ts');
  const { webServer } = await import('./web-server.ts');
  const shared = reader(new URL(import.meta.url));
  // The sandbox answers at once; elsewhere nobody shall wait for a name that is not gone to anyway.
  const ask = (host: string) => Promise.race([lookup(host), after(ASK_MS, undefined, { ref: false })]);
  const admit = admission(readHosts(process.argv[2] ?? ''), ask);
  const page = pages({
    admit,
    reader: shared,
    mayAsk: robots({ admit, now: Date.now, judge: judgeBy(shared) }),
    now: Date.now,
  });
  serveStdio(() => webServer(page));
} else {
  const { work } = await import('./worker.ts');
  work();
}
