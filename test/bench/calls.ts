import type { BenchHub } from './bench-hub.ts';
import type { EchoPackage } from './echo-package.ts';
import { type Load, load } from './load.ts';
import { directClient, legacyClient, modernClient } from './mcp.ts';
import { percent, table } from './table.ts';

const CONCURRENCY = [1, 16, 64];
const MESSAGE = 'x'.repeat(100);

/** One call of an echo skill: by itself over its pipes, and through the hub with policy and audit on. */
export async function benchCalls(hub: BenchHub, token: string, echo: EchoPackage): Promise<void> {
  const direct = directClient([process.execPath, echo.entry], echo.folder);
  const modern = modernClient(hub.mcp, token);
  const legacy = await legacyClient(hub.mcp, token);
  // Code is compiled as it is used; the first row must not pay for all.
  await load(16, () => modern.call('echo__echo', { message: MESSAGE }));
  await load(16, () => legacy.call('echo__echo', { message: MESSAGE }));
  const rows: string[][] = [];
  for (const clients of CONCURRENCY) {
    const baseline = await load(clients, () => direct.call('echo', { message: MESSAGE }));
    rows.push(row('direct stdio (baseline)', clients, baseline, baseline, ''));
    for (const [name, client] of [
      ['hub, 2026-07-28', modern],
      ['hub, 2025-11-25', legacy],
    ] as const) {
      let before = 0;
      const measured = await load(
        clients,
        () => client.call('echo__echo', { message: MESSAGE }),
        async () => void (before = await hub.cpuSeconds()),
      );
      const cpuMs = (((await hub.cpuSeconds()) - before) * 1000) / measured.calls;
      rows.push(row(name, clients, measured, baseline, cpuMs.toFixed(3)));
    }
  }
  for (const client of [direct, modern, legacy]) client.close();
  table(
    'tools/call of an echo skill; through the hub with token, argument check, policy and durable audit',
    ['', 'clients', 'calls/s', 'p50 ms', 'p99 ms', 'hub CPU ms/call', 'of direct'],
    rows,
  );
}

function row(name: string, clients: number, measured: Load, baseline: Load, cpuMs: string): string[] {
  return [
    name,
    String(clients),
    measured.callsPerSecond.toFixed(0),
    measured.p50Ms.toFixed(3),
    measured.p99Ms.toFixed(3),
    cpuMs,
    percent(measured.callsPerSecond, baseline.callsPerSecond),
  ];
}
