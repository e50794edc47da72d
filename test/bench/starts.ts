import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createBwrapDriver } from '../../hub/sandbox/bwrap.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import type { BenchHub } from './bench-hub.ts';
import type { EchoPackage } from './echo-package.ts';
import { directClient, sandboxedClient } from './mcp.ts';
import { percent, table } from './table.ts';

const ROUNDS = 11;

/** From spawn to the first answer of the echo skill, bare and in the sandbox, in turns. */
export async function benchStarts(hub: BenchHub, echo: EchoPackage): Promise<void> {
  const driver = createBwrapDriver({
    path: process.env['PATH'] ?? '',
    stateDir: join(hub.home, 'bench-sandbox'),
    forbidden: [],
    log: createLogger({ level: 'silent', name: 'bench' }),
  });
  await driver.report();
  const ms = { node: [] as number[], bare: [] as number[], sandboxed: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    ms.node.push(await timed(async () => void spawnSync(process.execPath, ['-e', '0'])));
    ms.bare.push(
      await timed(async () => {
        const client = directClient([process.execPath, echo.entry], echo.folder);
        await client.list();
        return client.close;
      }),
    );
    ms.sandboxed.push(
      await timed(async () => {
        const client = await sandboxedClient(driver, echo);
        await client.list();
        return client.close;
      }),
    );
  }
  const [node, bare, sandboxed] = [median(ms.node), median(ms.bare), median(ms.sandboxed)];
  table(
    `From spawn to the first answer, median of ${ROUNDS}`,
    ['', 'ms', 'of bare'],
    [
      ['node with nothing to do', node.toFixed(0), percent(node, bare)],
      ['bare (baseline)', bare.toFixed(0), '100 %'],
      ['sandboxed', sandboxed.toFixed(0), percent(sandboxed, bare)],
    ],
  );
}

/** Milliseconds of the work; what it answers is done afterwards, untimed. */
async function timed(work: () => Promise<void | (() => void)>): Promise<number> {
  const started = performance.now();
  const after = await work();
  const ms = performance.now() - started;
  after?.();
  return ms;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
