import type { Bars } from './bars.ts';
import { type Load, load, loops, median } from './load.ts';
import { MCP_HUB_REST, MCP_PROXY } from './peers.ts';
import { percent, table } from './table.ts';
import type { Target } from './targets.ts';

const CONCURRENCY = [1, 16, 64];
const ROUNDS = 3;
const FIRST_WARM_UP_MS = 1_500;
/** More used by others than this, and the figures mean little. */
const MAX_FOREIGN_CPU = 0.15;

/** What one target came to with so many clients, once a round. */
type Measured = ReadonlyMap<string, readonly Load[]>;

/** One call of the echo skill, by itself over its pipes and through everything else, in turns. */
export async function benchCalls(targets: readonly Target[], bars: Bars): Promise<void> {
  const connected = [];
  for (const target of targets) {
    const calls: (() => Promise<void>)[] = [];
    for (let client = 0; client < target.clients; client += 1) calls.push(await target.connect());
    // Code is compiled as it is used; the first row must not pay for all.
    await loops(calls.slice(0, 16), FIRST_WARM_UP_MS);
    connected.push({ target, calls });
  }
  const measured = new Map<string, Load[]>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const clients of CONCURRENCY) {
      for (const { target, calls } of connected.filter(({ target: one }) => one.clients >= clients)) {
        const result = await load(calls.slice(0, clients), { server: target.pid });
        const cell = cellOf(target.name, clients);
        measured.set(cell, [...(measured.get(cell) ?? []), result]);
      }
    }
  }
  print(targets, measured);
  judge(targets, measured, bars);
}

function cellOf(name: string, clients: number): string {
  return `${name} @${clients}`;
}

function print(targets: readonly Target[], measured: Measured): void {
  const rows = CONCURRENCY.flatMap((clients) =>
    targets
      .filter((target) => target.clients >= clients)
      .map((target) => {
        const all = measured.get(cellOf(target.name, clients)) ?? [];
        const of = (what: keyof Load) => median(all.map((one) => one[what]));
        const baseline = median(
          (measured.get(cellOf('raw proxy', clients)) ?? []).map((one) => one.callsPerSecond),
        );
        return [
          target.name,
          String(clients),
          of('callsPerSecond').toFixed(0),
          percent(of('callsPerSecond'), baseline),
          of('p50Ms').toFixed(3),
          of('p99Ms').toFixed(3),
          of('serverCpuMs').toFixed(3),
          of('childCpuMs').toFixed(3),
          of('driverCpuMs').toFixed(3),
          Math.max(...all.map((one) => one.foreignCpu)).toFixed(2),
        ];
      }),
  );
  table(
    `tools/call of an echo skill, medians of ${ROUNDS} rounds in turns; through the hub with token, argument check, policy and durable audit`,
    [
      '',
      'clients',
      'calls/s',
      'of raw proxy',
      'p50 ms',
      'p99 ms',
      'server CPU ms',
      'skill CPU ms',
      'driver CPU ms',
      'foreign CPU',
    ],
    rows,
  );
  const noisy = Math.max(...[...measured.values()].flat().map((one) => one.foreignCpu));
  if (noisy > MAX_FOREIGN_CPU)
    console.log(
      `Others used up to ${noisy.toFixed(2)} processors meanwhile (bars are for less than ${MAX_FOREIGN_CPU}): take these figures again.\n`,
    );
}

function judge(targets: readonly Target[], measured: Measured, bars: Bars): void {
  /** The median of the ratios of each round, which a drift of the machine touches less than the ratio of medians. */
  const each = (
    what: keyof Load,
    [first, second]: readonly [string, string],
    clients: number,
    join: (a: number, b: number) => number,
  ): number => {
    const [left = [], right = []] = [first, second].map((name) => measured.get(cellOf(name, clients)));
    return median(left.map((one, round) => join(one[what], right[round]?.[what] ?? Number.NaN)));
  };
  const ratio = (what: keyof Load, names: readonly [string, string], clients = 16) =>
    each(what, names, clients, (a, b) => a / b);
  const added = (what: keyof Load, names: readonly [string, string]) => each(what, names, 1, (a, b) => a - b);
  const HUB = 'hub, 2025-11-25';

  bars.atLeast(
    'governed calls/s, of the raw proxy, 16 clients (stretch 0.50)',
    ratio('callsPerSecond', [HUB, 'raw proxy']),
    0.4,
  );
  bars.atLeast(
    'governed calls/s, of the raw proxy, 64 clients (stretch 0.50)',
    ratio('callsPerSecond', [HUB, 'raw proxy'], 64),
    0.4,
  );
  bars.atMost('hub CPU a call, of the raw proxy', ratio('serverCpuMs', [HUB, 'raw proxy']), 3.5, 'x');
  bars.atMost('p50 added over direct stdio, 1 client', added('p50Ms', [HUB, 'direct stdio']), 0.5, ' ms');
  bars.atMost('p99 added over direct stdio, 1 client', added('p99Ms', [HUB, 'direct stdio']), 3, ' ms');
  bars.atLeast('2026-07-28 calls/s, of 2025-11-25', ratio('callsPerSecond', ['hub, 2026-07-28', HUB]), 0.9);

  const peers = targets.filter(({ name }) => name.startsWith('mcp-') || name.startsWith('supergateway'));
  if (peers.length === 0) {
    for (const claim of [
      'governed calls/s, of the best peer, 16 clients',
      'governed calls/s, of mcp-proxy, 16 clients',
      'hub CPU a call, of mcp-hub over REST',
      'p50, of the best peer, 1 client',
    ])
      bars.unmeasured(claim, 'needs --peers');
    return;
  }
  const againstEach = (what: keyof Load, clients: number) =>
    peers.map(({ name }) => ratio(what, [HUB, name], clients));
  bars.atLeast(
    'governed calls/s, of the best peer, 16 clients',
    Math.min(...againstEach('callsPerSecond', 16)),
    2,
  );
  bars.atLeast('governed calls/s, of mcp-proxy, 16 clients', ratio('callsPerSecond', [HUB, MCP_PROXY]), 4);
  bars.atMost('hub CPU a call, of mcp-hub over REST', ratio('serverCpuMs', [HUB, MCP_HUB_REST]), 0.5, 'x');
  bars.atMost('p50, of the best peer, 1 client', Math.max(...againstEach('p50Ms', 1)), 1, 'x');
}
