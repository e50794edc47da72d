import { join } from 'node:path';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { createStrace } from '../../hub/sandbox/strace.ts';
import type { TraceListener } from '../../hub/sandbox/tracer.ts';
import type { Context } from '../command.ts';
import { openSandbox } from '../sandbox.ts';

/** A sandbox in which it is seen what a skill does; the same as the hub's in all else. */
export interface LearnSandbox {
  driver: SandboxDriver;
  /** Who hears of what is seen from now on. */
  listen(listener: TraceListener): void;
  /** Tells all that was done until now. */
  drain(): void;
  /** @throws AppError `learn-unavailable` when nothing can be watched here. */
  check(): Promise<void>;
  /** Lines of the trace that could not be read. */
  lost(): number;
}

/** Whether it can be used shows at the first start: `learn-unavailable` where strace is missing. */
export async function openLearnSandbox(context: Pick<Context, 'home' | 'settings'>): Promise<LearnSandbox> {
  const stateDir = join(context.home, 'dev', 'sandbox');
  let listener: TraceListener = () => undefined;
  let lost = 0;
  const strace = createStrace({
    path: context.settings.environment['PATH'] ?? '',
    stateDir,
    seen: (...seen) => listener(...seen),
    lost: (lines) => (lost += lines),
  });
  return {
    driver: await openSandbox(context, stateDir, { tracer: strace }),
    listen: (next) => (listener = next),
    drain: () => strace.drain(),
    check: () => strace.check(),
    lost: () => lost,
  };
}
