import { cpus } from 'node:os';
import { collectBars } from './bars.ts';
import { startBenchHub } from './bench-hub.ts';
import { benchCalls } from './calls.ts';
import { benchChaos } from './chaos.ts';
import { withEchoPackage } from './echo-package.ts';
import { benchIdle } from './idle.ts';
import { benchListing } from './listing.ts';
import { withPeers } from './peers.ts';
import { benchSandbox } from './sandbox.ts';
import { benchSoak } from './soak.ts';
import { benchStarts } from './starts.ts';
import { direct, hubTarget, rawProxy, recordingProxy, type Target } from './targets.ts';
import { benchToolSearch } from './tool-search.ts';

// Each figure stands beside a baseline of the same run: machines differ, and this one may be shared.
console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'processor'}\n`);
// What is left then is ended as the process exits.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const bars = collectBars();
if (process.argv.includes('--sandbox')) await benchSandbox(bars);
else await benchServers();
bars.print();

/** The hub beside what else could stand between clients and a skill. */
async function benchServers(): Promise<void> {
  benchToolSearch();
  const hub = await startBenchHub();
  try {
    await hub.install(hub.echo);
    const token = await hub.client('bench');
    // Before any load: what garbage leaves behind would hide what a session costs.
    await benchIdle(hub, bars);
    await withEchoPackage(hub, async (echo) => {
      const legacy = hubTarget(hub, token, '2025-11-25');
      const proxies = [await rawProxy(echo), await recordingProxy(echo, hub)];
      const own = [await direct(echo), ...proxies, legacy, hubTarget(hub, token, '2026-07-28')];
      const compare = (peers: readonly Target[]) => benchCalls([...own, ...peers], bars);
      try {
        if (process.argv.includes('--peers')) await withPeers(echo, compare);
        else await compare([]);
      } finally {
        for (const target of own) await target.stop();
      }
      await benchSoak(hub, legacy, bars);
      await benchStarts(hub, echo, bars);
    });
    await benchChaos(hub, token, bars);
    // Last, for its many skills stay installed.
    await benchListing(hub, token, bars);
  } finally {
    await hub.stop();
  }
}
