import type { BenchHub } from './bench-hub.ts';
import { legacyClient } from './mcp.ts';
import { table } from './table.ts';

const CLIENTS = 200;

/** What a connected client costs while it does nothing: a session each; stateless clients keep nothing. */
export async function benchIdle(hub: BenchHub): Promise<void> {
  const tokens = Array.from({ length: CLIENTS / 50 }, (_, n) => {
    return (hub.cli('clients', 'add', `idle-${n}`) as { token: string }).token;
  });
  const before = await hub.residentKb();
  const clients = [];
  for (let n = 0; n < CLIENTS; n += 1)
    clients.push(await legacyClient(hub.mcp, tokens[n % tokens.length] ?? ''));
  const after = await hub.residentKb();
  for (const client of clients) client.close();
  table(
    'Memory of the hub with idle clients (one open connection and session each)',
    ['', 'MB', 'kB a client'],
    [
      ['before (baseline)', (before / 1024).toFixed(0), ''],
      [`with ${CLIENTS} clients`, (after / 1024).toFixed(0), ((after - before) / CLIENTS).toFixed(1)],
    ],
  );
}
