import type { Bars } from './bars.ts';
import type { BenchHub } from './bench-hub.ts';
import { legacyClient } from './mcp.ts';
import { residentKb } from './processes.ts';
import { table } from './table.ts';

const SESSIONS = 1600;
/** Not counted: what these cost is mostly code and buffers that all share. */
const FIRST = 400;
const PER_TOKEN = 50;
const SETTLE_MS = 1_000;

/** What the hub holds while nobody asks anything, and what a session adds whose connection is closed. */
export async function benchIdle(hub: BenchHub, bars: Bars): Promise<void> {
  const idle = await settledKb(hub.pid);
  const tokens: string[] = [];
  let sessions = 0;
  const openUpTo = async (count: number) => {
    for (; sessions < count; sessions += 1) {
      if (sessions % PER_TOKEN === 0) tokens.push(await hub.client(`idle-${sessions / PER_TOKEN}`));
      (await legacyClient(hub.mcp, tokens.at(-1))).close();
    }
  };
  await openUpTo(FIRST);
  const before = await heldKb(hub.pid);
  await openUpTo(SESSIONS);
  const uncollected = await settledKb(hub.pid);
  const after = await heldKb(hub.pid);
  const each = (after - before) / (SESSIONS - FIRST);
  table(
    'Memory of the hub while nobody asks anything',
    ['', 'MB', 'kB a session'],
    [
      ['nobody connected yet', mb(idle), ''],
      [`${FIRST} sessions (baseline), garbage collected`, mb(before), ''],
      [`${SESSIONS} sessions`, mb(after), each.toFixed(1)],
      ['the same before garbage is collected', mb(uncollected), ''],
    ],
  );
  bars.atMost('an idle session', each, 15, ' kB');
  bars.atMost('an idle hub', idle / 1024, 130, ' MB');
}

/** Memory once what was just done has come to an end. */
export async function settledKb(pid: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return residentKb(pid);
}

/** Memory without what has only not been collected yet. */
async function heldKb(pid: number): Promise<number> {
  await settledKb(pid);
  process.kill(pid, 'SIGUSR2');
  return settledKb(pid);
}

function mb(kb: number): string {
  return (kb / 1024).toFixed(0);
}
