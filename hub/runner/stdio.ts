import { finished } from 'node:stream/promises';
import { AppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { type Clock, within } from '../clock.ts';
import type { SandboxDriver, SandboxPlan } from '../sandbox/sandbox.ts';
import { openPipe } from './pipe.ts';
import type { RunnerLimits } from './runner.ts';
import { watchStderr } from './stderr.ts';
import type { Transport, TransportEvents } from './transport.ts';

/** What a transport to a process of this machine is made of. */
export interface StdioParts {
  driver: Pick<SandboxDriver, 'start'>;
  clock: Clock;
  limits: Pick<RunnerLimits, 'graceMs' | 'maxMessageBytes'>;
  log: Logger;
}

/**
 * Starts the plan's process and speaks over its standard input and output (MCP stdio transport). What it says on
 * standard error goes to the log, and explains its end.
 * @throws AppError what the driver throws.
 */
export async function openStdio(
  { driver, clock, limits, log }: StdioParts,
  plan: SandboxPlan,
  events: TransportEvents,
): Promise<Transport> {
  const { label: skill } = plan;
  const process = await driver.start(plan);
  // Whatever was put into it from outside may be a secret.
  const secrets = new Map(Object.entries({ ...plan.files, ...plan.env }));
  const own = log.child({ skill, pid: process.pid });
  const stderr = watchStderr({ stream: process.stderr, secrets, clock, log: own });
  const pipe = openPipe({
    process,
    skill,
    clock,
    maxMessageBytes: limits.maxMessageBytes,
    message: (value) => events.message(value),
    broken: (error) => events.broken(error),
  });
  const ended = process.exited.then(async (exit) => {
    // Its last answer may still be in the pipe.
    const drained = finished(process.stdout).catch(() => undefined);
    await within(clock, limits.graceMs, drained, () => crashed(skill, 'left its output open')).catch(
      () => undefined,
    );
    const how =
      exit.reason ?? (exit.signal === null ? `exit code ${String(exit.code)}` : `signal ${exit.signal}`);
    const words = stderr.lastWords();
    return crashed(skill, words === '' ? how : `${how}; it said last: ${words}`);
  });
  // A process that can't speak any more is of no use, even if it lives on.
  process.stdout.once('end', () => {
    const stopWaiting = clock.after(limits.graceMs, () =>
      events.broken(crashed(skill, 'it closed its output')),
    );
    void ended.then(stopWaiting);
  });

  return {
    pid: process.pid,
    send: (message) => pipe.send(message),
    weigh: process.weigh,
    enter: process.enter,
    ended,
    async close() {
      pipe.endInput();
      const stopWaiting = clock.after(limits.graceMs, () => void process.kill());
      await ended;
      stopWaiting();
    },
    async kill() {
      await process.kill();
      await ended;
    },
  };
}

function crashed(skill: string, how: string): AppError {
  return new AppError('skill-crashed', { detail: `${skill} stopped unexpectedly: ${how}.` });
}
