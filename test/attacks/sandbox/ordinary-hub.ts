import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { createSandboxDriver, type DriverName } from '../../../hub/sandbox/drivers.ts';
import type { SandboxPlan } from '../../../hub/sandbox/sandbox.ts';
import { createLogger } from '../../../protocol/node/logger.ts';
import { watchedEgress } from '../../support/watched-egress.ts';
import { outcomeOf, watching } from './outcome.ts';

/**
 * A hub's sandbox in a process of its own, for another account or for a death that must not take the
 * tests along: reads one JSON job a line (`report`, `run` a plan to its end, `start` and let it be),
 * answers each with one line.
 */
interface Job {
  id: number;
  kind: 'report' | 'run' | 'start';
  plan: SandboxPlan;
}

const [, , stateDir = '', home = '', path = '', name = 'bwrap', runtime = '', watched] = process.argv;
const watch = watched === undefined ? undefined : watching(path, stateDir);
const driver = createSandboxDriver(name as DriverName, {
  path,
  ...(runtime === '' ? {} : { container: { runtime } }),
  stateDir,
  forbidden: [home],
  log: createLogger({ level: 'silent', name: 'test' }),
  egress: watchedEgress(),
  ...(watch === undefined ? {} : { tracer: watch.tracer }),
});

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line) as Job;
  void answer(job).then(
    (result) => process.stdout.write(`${JSON.stringify({ id: job.id, result })}\n`),
    (error: Error & { code?: string }) =>
      process.stdout.write(
        `${JSON.stringify({ id: job.id, error: { code: error.code, message: error.message } })}\n`,
      ),
  );
}

async function answer({ kind, plan }: Job): Promise<unknown> {
  switch (kind) {
    case 'report':
      return driver.report();
    case 'run': {
      const { stdout, stderr, exit } = await outcomeOf(driver, plan);
      return { stdout: stdout.toString('base64'), stderr, exit, seen: watch?.taken() };
    }
    case 'start': {
      const started = await driver.start(plan);
      started.stderr.resume();
      const [said] = (await once(started.stdout, 'data')) as [Buffer];
      return { pid: started.pid, said: said.toString() };
    }
  }
}
