import { readdir } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { performance } from 'node:perf_hooks';
import { systemClock } from '../../hub/clock.ts';
import { captureSurface } from '../../hub/runner/capture.ts';
import { memoryOfTrees } from '../../hub/runner/memory.ts';
import type { RunnableSkill, Runner } from '../../hub/runner/runner.ts';
import { createRunner } from '../../hub/runner/supervisor.ts';
import type { Bars } from './bars.ts';
import { benchEgress } from './egress.ts';
import { median } from './load.ts';
import { type BenchClient, directChild, echoing, sandboxedChild } from './mcp.ts';
import { benchNetworkStart, benchSelfTest } from './network.ts';
import { commandOf, residentKb, treeOf } from './processes.ts';
import { PEER } from './sandbox-peer.ts';
import { type SandboxRig, withSandboxRig } from './sandbox-rig.ts';
import { table } from './table.ts';

const ROUNDS = 10;
const CALLS = 1_000;
const SKILLS = 100;
const GIB = 1024 ** 3;
/** With more that want a processor before it begins, the bars of starts mean little: skills come after everybody else. */
const MAX_LOAD = 0.5;
const IDENTITY = { name: 'bench', version: '1' };

/** Each measures one thing and says what it came to; what needs more than the rig makes it for itself. */
type SandboxBench = (rig: SandboxRig, bars: Bars) => Promise<void>;

const BENCHES: readonly SandboxBench[] = [
  benchSelfTest,
  benchStart,
  benchNetworkStart,
  benchCalls,
  benchEgress,
  benchMany,
];

/** What the sandbox costs, beside the bare program and the peer, on the same skill. */
export function benchSandbox(bars: Bars): Promise<void> {
  const [load = 0] = loadavg();
  if (load > MAX_LOAD)
    console.log(
      `Others kept ${load.toFixed(1)} processors busy in the minute before (bars are for less than ${MAX_LOAD}): take these figures again.\n`,
    );
  return withSandboxRig(async (rig) => {
    if ('missing' in rig.peer) bars.unmeasured(PEER, rig.peer.missing);
    for (const bench of BENCHES) await bench(rig, bars);
  });
}

/** A way to run the skill. */
interface Way {
  name: string;
  start(): Promise<{ client: BenchClient; pid: number }>;
}

function waysOf({ driver, echo, plan, peer }: SandboxRig): [bare: Way, sandboxed: Way, ...peer: Way[]] {
  return [
    { name: 'bare (baseline)', start: () => directChild(echo) },
    { name: 'sandboxed, no network', start: () => sandboxedChild(driver, plan) },
    ...('missing' in peer ? [] : [{ name: PEER, start: () => peer.start(echo) }]),
  ];
}

/** From spawn to the answer of `initialize`, in turns; and what then stands around the program. */
async function benchStart(rig: SandboxRig, bars: Bars): Promise<void> {
  const ways = waysOf(rig);
  const found = ways.map(() => ({ ms: [] as number[], beyondKb: [] as number[], strangers: [] as number[] }));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, way] of ways.entries()) {
      const started = performance.now();
      const { client, pid } = await way.start();
      found[index]?.ms.push(performance.now() - started);
      const tree = treeOf(pid);
      const sizes = tree.map(residentKb);
      // The program is what takes most of it.
      found[index]?.beyondKb.push(sizes.reduce((sum, kb) => sum + kb, 0) - Math.max(...sizes));
      found[index]?.strangers.push(
        tree.filter((one) => !/bwrap|berth-sandbox/.test(commandOf(one))).length - 1,
      );
      client.close();
    }
  }
  const [bare, sandboxed] = found.map((one) => median(one.ms)) as [number, number];
  table(
    `From spawn to the answer of initialize, and what then stands around the program, median of ${ROUNDS}`,
    ['', 'ms', 'beyond bare', 'MB beyond the program', 'processes beyond it and bwrap'],
    ways.map(({ name }, index) => {
      const { ms = [], beyondKb = [], strangers = [] } = found[index] ?? {};
      const took = median(ms);
      return [
        name,
        took.toFixed(0),
        (took - bare).toFixed(0),
        mb(median(beyondKb)),
        String(median(strangers)),
      ];
    }),
  );
  bars.atMost('what the sandbox adds to a start without network', sandboxed - bare, 10, ' ms');
  bars.atMost('its resident memory beyond the program', median(found[1]?.beyondKb ?? []) / 1024, 4, ' MB');
  bars.atMost('its resident processes beyond bwrap', median(found[1]?.strangers ?? []), 0);
}

/** One call after the other over the pipes, in turns. */
async function benchCalls(rig: SandboxRig, bars: Bars): Promise<void> {
  const ways = waysOf(rig);
  const clients = await Promise.all(ways.map(async (way) => (await way.start()).client));
  const calls = clients.map((client) => echoing(client, 'echo'));
  const medians = ways.map(() => [] as number[]);
  for (const call of calls) await timesOf(call);
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [index, call] of calls.entries()) medians[index]?.push(median(await timesOf(call)));
  for (const client of clients) client.close();
  const [bare, sandboxed] = medians.map(median) as [number, number];
  table(
    `One call over the pipes, median of ${ROUNDS} times the median of ${CALLS}`,
    ['', 'ms', 'beyond bare'],
    ways.map(({ name }, index) => {
      const ms = median(medians[index] ?? []);
      return [name, ms.toFixed(3), (ms - bare).toFixed(3)];
    }),
  );
  bars.atMost('what the sandbox adds to a call', sandboxed - bare, 0.05, ' ms');
}

async function timesOf(call: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < CALLS; n += 1) {
    const started = performance.now();
    await call();
    times.push(performance.now() - started);
  }
  return times;
}

/** Many skills called at once, each for the first time; then one after the other is taken its grants. */
async function benchMany(rig: SandboxRig, bars: Bars): Promise<void> {
  const ended = new Map<string, () => void>();
  const runner = createRunner({
    driver: rig.driver,
    clock: systemClock,
    identity: IDENTITY,
    log: rig.log,
    limits: { maxChildren: SKILLS, memoryBytes: 24 * GIB, warmBytes: 24 * GIB },
    events: {
      started: () => undefined,
      stopped: ({ skill }) => ended.get(skill)?.(),
      surfaceChanged: () => undefined,
      resourceUpdated: () => undefined,
    },
  });
  const skills = await skillsOf(rig);
  const descriptors = await openDescriptors();
  const started = performance.now();
  await Promise.all(skills.map((skill) => callOf(runner, skill)));
  const seconds = (performance.now() - started) / 1000;
  const pids = runner.running().map(({ pid }) => pid);
  const bytes = [...(await memoryOfTrees(pids)).values()].reduce((sum, one) => sum + one, 0);
  const each = ((await openDescriptors()) - descriptors) / SKILLS;

  const revoked: number[] = [];
  for (const skill of skills.slice(0, ROUNDS)) {
    const gone = new Promise<void>((resolve) => ended.set(skill.name, resolve));
    const since = performance.now();
    await Promise.all([runner.stop(skill.name, 'a permission was taken back'), gone]);
    revoked.push(performance.now() - since);
  }
  await runner.close();
  table(
    `${SKILLS} skills, all called at once`,
    ['', ''],
    [
      ['seconds until the last has answered', seconds.toFixed(1)],
      ['MB that they take, shared pages in parts', mb(bytes / 1024)],
      ['descriptors of the hub for each', each.toFixed(1)],
      [`ms until one is gone whose grant was taken back, median of ${ROUNDS}`, median(revoked).toFixed(0)],
    ],
  );
  bars.atMost(`${SKILLS} skills started`, seconds, 25, ' s');
  bars.atMost(`the memory of ${SKILLS} running skills`, bytes / GIB, 24, ' GiB');
  bars.atMost('a revocation takes effect, the slowest', Math.max(...revoked) / 1000, 1, ' s');
}

async function skillsOf({ driver, plan, log }: SandboxRig): Promise<RunnableSkill[]> {
  const protocol = '2025-11-25';
  const surface = await captureSurface({ driver, identity: IDENTITY, log }, { plan, protocol });
  return Array.from({ length: SKILLS }, (_, number) => ({
    name: `local.bench/echo-${number}`,
    version: '1.0.0',
    protocol,
    epoch: '1',
    surface,
    captured: {},
    mayAsk: {},
    timeoutMs: 60_000,
    plan: async () => ({ ...plan, label: `bench-${number}` }),
  }));
}

function callOf(runner: Runner, skill: RunnableSkill): Promise<unknown> {
  const params = { name: 'echo', arguments: { message: 'x' } };
  return runner.request(skill, 'owner', {
    method: 'tools/call',
    params,
    signal: new AbortController().signal,
  });
}

async function openDescriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length;
}

function mb(kb: number): string {
  return (kb / 1024).toFixed(1);
}
