import { readdir, readlink } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { Bars } from './bars.ts';
import { median } from './load.ts';
import { directChild, sandboxedChild } from './mcp.ts';
import { networkedPlan, type SandboxRig } from './sandbox-rig.ts';
import { table } from './table.ts';

const ROUNDS = 10;
const PORT = 443;

/** What a network adds to the start of a skill, made for it or ahead of it. */
export async function benchNetworkStart(
  { driver, echo, plan, networked }: SandboxRig,
  bars: Bars,
): Promise<void> {
  const withHost = networkedPlan(plan, PORT);
  const [now, ahead] = [networked(), networked()];
  ahead.keepReady([[PORT]]);
  const ways = [
    { name: 'bare (baseline)', start: () => directChild(echo) },
    { name: 'sandboxed, no network', start: () => sandboxedChild(driver, plan) },
    { name: 'sandboxed, a network made for it', start: () => sandboxedChild(now, withHost) },
    { name: 'sandboxed, a network made ahead', start: () => sandboxedChild(ahead, withHost) },
  ];
  const ms = ways.map(() => [] as number[]);
  try {
    await Promise.all([now.report(), ahead.report()]);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [index, { start }] of ways.entries()) {
        // Also before the others, which are not to share the machine with what makes it.
        await oneIsReady();
        const started = performance.now();
        const { client } = await start();
        ms[index]?.push(performance.now() - started);
        client.close();
      }
    }
  } finally {
    await Promise.all([now.close(), ahead.close()]);
  }
  const [bare = 0, , made = 0, prepared = 0] = ms.map(median);
  table(
    `From spawn to the answer of initialize, with a network, median of ${ROUNDS}`,
    ['', 'ms', 'beyond bare'],
    ways.map(({ name }, index) => {
      const took = median(ms[index] ?? []);
      return [name, took.toFixed(0), (took - bare).toFixed(0)];
    }),
  );
  bars.atMost('what the sandbox adds to a start with a network', made - bare, 45, ' ms');
  bars.atMost('the same, where the network was made ahead', prepared - bare, 10, ' ms');
}

/** Milliseconds that a fresh driver takes to look whether it holds. */
export async function benchSelfTest({ networked }: SandboxRig, bars: Bars): Promise<void> {
  const ms: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const driver = networked();
    const started = performance.now();
    await driver.report();
    ms.push(performance.now() - started);
    await driver.close();
  }
  bars.atMost(`the self-test of the driver, median of ${ROUNDS}`, median(ms), 500, ' ms');
}

/** Waits until this process holds a network that nobody has taken. */
async function oneIsReady(): Promise<void> {
  while (!(await holdsNamespace())) await pause(5);
}

async function holdsNamespace(): Promise<boolean> {
  const folder = '/proc/self/fd';
  const targets = (await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => ''));
  return (await Promise.all(targets)).some((target) => target.startsWith('net:'));
}
