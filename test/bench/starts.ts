import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createBwrapDriver } from '../../hub/sandbox/bwrap.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import type { Bars } from './bars.ts';
import type { BenchHub } from './bench-hub.ts';
import { type EchoPackage, planOf } from './echo-package.ts';
import { median } from './load.ts';
import { directClient, sandboxedChild } from './mcp.ts';
import { percent, table } from './table.ts';

const ROUNDS = 11;

/** From spawn to the answer of `initialize` of a packed skill, bare and in the sandbox, in turns. */
export async function benchStarts(hub: BenchHub, echo: EchoPackage, bars: Bars): Promise<void> {
  const driver = createBwrapDriver({
    path: process.env['PATH'] ?? '',
    stateDir: join(hub.home, 'bench-sandbox'),
    forbidden: [],
    log: createLogger({ level: 'silent', name: 'bench' }),
  });
  await driver.report();
  const nothing = join(hub.home, 'nothing.mjs');
  await writeFile(nothing, '');
  const ms = { node: [] as number[], bare: [] as number[], sandboxed: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    ms.node.push(await timed(async () => void (await once(spawn(process.execPath, [nothing]), 'exit'))));
    ms.bare.push(await timed(async () => (await directClient(echo)).close));
    ms.sandboxed.push(await timed(async () => (await sandboxedChild(driver, planOf(echo))).client.close));
  }
  const [node, bare, sandboxed] = [median(ms.node), median(ms.bare), median(ms.sandboxed)];
  table(
    `From spawn to the answer of initialize, median of ${ROUNDS}`,
    ['', 'ms', 'of node'],
    [
      ['node with nothing to do (baseline)', node.toFixed(0), '100 %'],
      ['packed skill, bare', bare.toFixed(0), percent(bare, node)],
      ['packed skill, sandboxed', sandboxed.toFixed(0), percent(sandboxed, node)],
    ],
  );
  bars.atMost('cold start of a packed skill, of bare node', bare / node, 2.2, 'x');
  bars.atMost('what the sandbox adds to it', sandboxed - bare, 25, ' ms');
}

/** Milliseconds of the work; what it answers is done afterwards, untimed. */
async function timed(work: () => Promise<void | (() => void)>): Promise<number> {
  const started = performance.now();
  const after = await work();
  const ms = performance.now() - started;
  after?.();
  return ms;
}
