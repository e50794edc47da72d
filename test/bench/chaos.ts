import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { appears } from '../support/appears.ts';
import { CHAOS, chaosFolder, type ChaosSkill, endOf } from '../support/chaos-skills.ts';
import type { Bars } from './bars.ts';
import type { BenchHub } from './bench-hub.ts';
import { loops, median, percentiles } from './load.ts';
import { type BenchClient, echoing, legacyClient, modernClient } from './mcp.ts';
import { residentKb } from './processes.ts';
import { table } from './table.ts';

const CLIENTS = 64;
/** Of each skill that misbehaves, calling it again and again with a pause. */
const CULPRITS = 2;
const PAUSE_MS = 50;
const WARM_UP_MS = 300;
const MEASURED_MS = 1_500;
/** A slow end of so short a time is a matter of chance; of so many the middle counts. */
const ROUNDS = 3;
const CONNECTS = 100;
const RECOVERY_BOUND_MS = 2_000;
/** A skill that never comes back must not keep the run. */
const MAX_RECOVERY_MS = 20_000;

/** What bad neighbours cost: the slow end of an echo under 64 clients, how long a skill is away, and connecting. */
export async function benchChaos(hub: BenchHub, token: string, bars: Bars): Promise<void> {
  const folder = join(hub.home, 'chaos');
  await rm(folder, { recursive: true, force: true });
  const culprit = await hub.client('culprit');
  for (const skill of CHAOS) await hub.install(await chaosFolder(folder, skill));
  await benchConnects(hub, token, folder, bars);
  await benchRecovery(hub, culprit, bars);
  await benchNeighbours(hub, token, culprit, bars);
}

/** The first call after one that ended badly, until it goes well. */
async function benchRecovery(hub: BenchHub, token: string, bars: Bars): Promise<void> {
  const client = await modernClient(hub.mcp, token);
  const rows: [string, string, number][] = [];
  // A deaf skill answers no call, and a slow one ends none badly.
  for (const skill of CHAOS.filter(({ name }) => name !== 'never-reading' && name !== 'slow')) {
    const fine = calling(client, skill.name, 'ok');
    await fine();
    const ended = await calling(client, skill.name, skill.tool)();
    const from = performance.now();
    while ((await fine()) !== 'ok' && performance.now() - from < MAX_RECOVERY_MS) await pause(PAUSE_MS);
    rows.push([skill.name, ended, performance.now() - from]);
  }
  client.close();
  table(
    'Time until a skill works again after a call that ended badly',
    ['', 'the call ended as', 'ms'],
    rows.map(([name, ended, ms]) => [name, ended, ms.toFixed(0)]),
  );
  bars.atMost(
    'recovery of the slowest skill',
    Math.max(...rows.map(([, , ms]) => ms)),
    RECOVERY_BOUND_MS,
    ' ms',
  );
}

async function benchNeighbours(hub: BenchHub, token: string, culprit: string, bars: Bars): Promise<void> {
  const crowd: BenchClient[] = [];
  while (crowd.length < CLIENTS) crowd.push(await legacyClient(hub.mcp, token));
  const calls = crowd.map((client) => echoing(client, 'echo__echo'));
  const p99 = async () => {
    await loops(calls, WARM_UP_MS);
    return percentiles(await loops(calls, MEASURED_MS)).p99Ms;
  };
  await p99();
  const rows: { name: string; quiet: number; beside: number; ratio: number; kb: number }[] = [];
  for (const [name, skills] of [
    ...CHAOS.map((skill) => [skill.name, [skill]] as const),
    ['all at once', CHAOS] as const,
  ]) {
    const rounds: { quiet: number; beside: number }[] = [];
    while (rounds.length < ROUNDS) {
      const quiet = await p99();
      const stop = await misbehave(hub, culprit, skills);
      rounds.push({ quiet, beside: await p99() });
      await stop();
    }
    rows.push({
      name,
      quiet: median(rounds.map(({ quiet }) => quiet)),
      beside: median(rounds.map(({ beside }) => beside)),
      ratio: median(rounds.map(({ quiet, beside }) => beside / quiet)),
      kb: residentKb(hub.pid),
    });
  }
  for (const client of crowd) client.close();
  table(
    `p99 of an echo under ${CLIENTS} clients beside skills that misbehave, ${CULPRITS} callers each, medians of ${ROUNDS} rounds`,
    ['', 'quiet ms', 'beside it ms', 'of quiet', 'hub MB'],
    rows.map(({ name, quiet, beside, ratio, kb }) => [
      name,
      quiet.toFixed(1),
      beside.toFixed(1),
      ratio.toFixed(2),
      (kb / 1024).toFixed(0),
    ]),
  );
  const ratios = rows.map(({ ratio }) => ratio);
  bars.atMost(
    'p99 of other skills beside one that misbehaves, the worst',
    Math.max(...ratios.slice(0, -1)),
    2,
    'x',
  );
  bars.atMost('p99 of other skills beside all of them at once', ratios.at(-1) ?? Number.NaN, 2, 'x');
}

/** Callers of skills that misbehave, until told to stop. */
async function misbehave(
  hub: BenchHub,
  token: string,
  skills: readonly ChaosSkill[],
): Promise<() => Promise<void>> {
  let stopped = false;
  const callers = await Promise.all(
    skills.flatMap((skill) =>
      Array.from({ length: CULPRITS }, async () => ({ skill, client: await modernClient(hub.mcp, token) })),
    ),
  );
  const working = Promise.all(
    callers.map(async ({ skill, client }) => {
      const call = calling(client, skill.name, skill.tool);
      while (!stopped) {
        await call();
        await pause(PAUSE_MS);
      }
      client.close();
    }),
  );
  return async () => {
    stopped = true;
    await working;
  };
}

/** Connecting and listing while a skill does not get ready, beside the same while nothing happens. */
async function benchConnects(hub: BenchHub, token: string, folder: string, bars: Bars): Promise<void> {
  // Not in the home, which no skill may be granted.
  const workspace = await mkdtemp(join(tmpdir(), 'berth-bench-'));
  const silent = { name: 'silent', args: ['silent-while', '/workspace/silent'] };
  await hub.install(await chaosFolder(folder, silent, { workspace: true }), {
    workspace,
    tools: { '*': 'allow' },
  });
  await writeFile(join(workspace, 'silent'), '');
  const connects = async () => {
    const times: number[] = [];
    for (let n = 0; n < CONNECTS; n += 1) {
      const started = performance.now();
      const client = await legacyClient(hub.mcp, token);
      await client.prepare('tools/list', {})();
      times.push(performance.now() - started);
      client.close();
    }
    return median(times);
  };
  await connects();
  const quiet = await connects();
  const caller = await modernClient(hub.mcp, token);
  const seen = appears(join(workspace, 'silent.seen'));
  // It goes unanswered for longer than this takes; its end is nobody's concern.
  caller
    .prepare('tools/call', { name: 'silent__ok', arguments: {} })()
    .catch(() => undefined);
  await seen;
  const waiting = await connects();
  caller.close();
  await rm(workspace, { recursive: true });
  table(
    'initialize and tools/list of a new client',
    ['', 'p50 ms'],
    [
      ['quiet (baseline)', quiet.toFixed(1)],
      ['while a skill does not get ready', waiting.toFixed(1)],
    ],
  );
  bars.atMost('connecting while a skill does not get ready, of quiet', waiting / quiet, 2, 'x');
}

/** One call, answered with how it ended. */
function calling(client: BenchClient, skill: string, tool: string): () => Promise<string> {
  const send = client.prepare('tools/call', { name: `${skill}__${tool}`, arguments: {} });
  return async () => endOf(await send());
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
