import { cpus } from 'node:os';
import { startBenchHub } from './bench-hub.ts';
import { benchCalls } from './calls.ts';
import { withEchoPackage } from './echo-package.ts';
import { benchIdle } from './idle.ts';
import { benchListing } from './listing.ts';
import { benchStarts } from './starts.ts';
import { benchToolSearch } from './tool-search.ts';

// Each figure stands beside a baseline of the same run: machines differ, and this one may be shared.
console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'processor'}\n`);
benchToolSearch();
const hub = await startBenchHub();
try {
  hub.cli('publish', hub.echo);
  hub.cli('install', 'local.bench/echo', '--yes');
  const { token } = hub.cli('clients', 'add', 'bench') as { token: string };
  // Before any load: what garbage leaves behind would hide what a client costs.
  await benchIdle(hub);
  await withEchoPackage(hub, async (echo) => {
    await benchCalls(hub, token, echo);
    await benchStarts(hub, echo);
  });
  await benchListing(hub, token);
} finally {
  await hub.stop();
}
