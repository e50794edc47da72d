import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../../hub/clock.ts';
import type { RunnableSkill, Runner, RunnerLimits } from '../../../hub/runner/runner.ts';
import { createRunner, type RunnerParts } from '../../../hub/runner/supervisor.ts';
import { IDENTITY } from '../../support/fixture-skills.ts';
import { logLines } from '../../support/log-lines.ts';
import { plainDriver } from '../../support/plain-driver.ts';

/** Whatever the runner told the hub, in order, with the way to wait for the next. */
export interface Told {
  event: 'started' | 'stopped' | 'surfaceChanged';
  [detail: string]: unknown;
}

/** A runner over real processes, closed with the test. */
export function runnerRig({
  clock = systemClock,
  limits = {},
  updated = () => undefined,
  measure,
}: {
  clock?: Clock;
  limits?: Partial<RunnerLimits>;
  updated?: (resource: { skill: string; user: string; uri: string }) => void;
  measure?: RunnerParts['measure'];
} = {}) {
  const driver = plainDriver();
  const logged = logLines();
  const told: Told[] = [];
  const waiting = new Set<() => void>();
  const tell = (event: Told['event']) => (details: object) => {
    told.push({ event, ...details });
    for (const wake of waiting) wake();
  };
  const runner = createRunner({
    driver,
    clock,
    limits,
    ...(measure === undefined ? {} : { measure }),
    identity: IDENTITY,
    log: logged.log,
    events: {
      started: tell('started'),
      stopped: tell('stopped'),
      surfaceChanged: tell('surfaceChanged'),
      resourceUpdated: updated,
    },
  });
  onTestFinished(() => runner.close());
  return {
    runner,
    driver,
    told,
    ...logged,
    /** Waits for the so-many-th event of a kind. */
    async heard(event: Told['event'], count = 1): Promise<Told> {
      for (;;) {
        const found = told.filter((one) => one.event === event)[count - 1];
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
    },
    /** Waits until the skill has written this event of its own on standard error. */
    said: (event: string) => logged.line((line) => String(line['stderr']).startsWith(`event:${event}`)),
  };
}

/** Calls one tool of a skill for a user. */
export function callTool(
  runner: Runner,
  skill: RunnableSkill,
  name: string,
  {
    user = 'owner',
    signal = new AbortController().signal,
    ...rest
  }: {
    user?: string;
    signal?: AbortSignal;
    arguments?: Record<string, unknown>;
    _meta?: Record<string, unknown>;
    onProgress?: (progress: { progress: number }) => void;
  } = {},
): Promise<Record<string, unknown>> {
  const { onProgress, ...params } = rest;
  return runner.request(skill, user, {
    method: 'tools/call',
    params: { name, ...params },
    signal,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

/** Whether a process of this id exists. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The text of a tool result. */
export function textOf(result: Record<string, unknown>): string {
  return (result['content'] as { text?: string }[]).map(({ text = '' }) => text).join('\n');
}
