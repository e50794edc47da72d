import type { BenchHub } from './bench-hub.ts';
import { type BenchClient, legacyClient } from './mcp.ts';
import { table } from './table.ts';

const CLIENTS = 1600;
/** Not counted: what these cost is mostly code and buffers that all share. */
const FIRST = 400;
const PER_TOKEN = 50;

/** What a connected client costs while it does nothing: a session each; stateless clients keep nothing. */
export async function benchIdle(hub: BenchHub): Promise<void> {
  const tokens = Array.from({ length: CLIENTS / PER_TOKEN }, (_, n) => {
    return (hub.cli('clients', 'add', `idle-${n}`) as { token: string }).token;
  });
  const clients: BenchClient[] = [];
  const connectUpTo = async (count: number) => {
    while (clients.length < count)
      clients.push(await legacyClient(hub.mcp, tokens[clients.length % tokens.length] ?? ''));
  };
  await connectUpTo(FIRST);
  const before = await hub.residentKb();
  await connectUpTo(CLIENTS);
  const after = await hub.residentKb();
  for (const client of clients) client.close();
  table(
    'Memory of the hub with idle clients (one open connection and session each)',
    ['', 'MB', 'kB a client'],
    [
      [`with ${FIRST} clients (baseline)`, (before / 1024).toFixed(0), ''],
      [
        `with ${CLIENTS} clients`,
        (after / 1024).toFixed(0),
        ((after - before) / (CLIENTS - FIRST)).toFixed(1),
      ],
    ],
  );
}
