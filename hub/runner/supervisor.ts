import { canonicalJson } from '../../protocol/canonical.ts';
import { AppError } from '../../protocol/errors.ts';
import type { AskableCapabilities } from '../questions.ts';
import { createBackoff } from './backoff.ts';
import { type Child, type ChildParts, startChild, stopped } from './child.ts';
import {
  DEFAULT_RUNNER_LIMITS,
  type RunnableSkill,
  type Runner,
  type RunnerLimits,
  type RunningSkill,
  type SkillRequest,
} from './runner.ts';
import { MODERN } from './session.ts';

/** What the runner needs. `events` and `log` are told everything; neither is ever waited for. */
export type RunnerParts = Omit<ChildParts, 'limits'> & { limits?: Partial<RunnerLimits> };

/**
 * The one owner of every skill process: starts each once, however many calls wait for it; ends it when
 * idle, outdated or in the way of another; and leaves a skill alone that keeps crashing.
 */
export function createRunner({ limits: given, ...rest }: RunnerParts): Runner {
  const limits = { ...DEFAULT_RUNNER_LIMITS, ...given };
  const parts: ChildParts = { ...rest, limits };
  const { clock } = parts;
  const backoff = createBackoff({ clock, firstMs: limits.firstBackoffMs, maxMs: limits.maxBackoffMs });
  /** Every child of which a process may still exist. */
  const children = new Set<Child>();
  /** The one child that takes new calls of a key. */
  const current = new Map<string, Child>();
  /** Ending children whose place has been given away. */
  const replaced = new Set<Child>();
  let closed = false;

  function childFor(
    skill: RunnableSkill,
    user: string,
    { client, caller, readOnly = false }: Pick<SkillRequest, 'client' | 'caller' | 'readOnly'>,
  ): Child {
    const { offered, serial } = conversationOf(skill, client?.capabilities ?? {});
    const key = keyOf(skill, { user, readOnly, offered, caller: serial ? caller : undefined });
    const running = current.get(key);
    if (running !== undefined && running.state() !== 'stopping') {
      if (running.skill.epoch === skill.epoch && running.skill.version === skill.version) {
        return running;
      }
      running.retire('what it may do, or its version, has changed');
    }
    // Another version, or other grants, may be what mends it.
    const row = canonicalJson([key, skill.version, skill.epoch]);
    refuseWhileFailing(skill, row);
    const child = startChild(parts, {
      skill,
      user,
      readOnly,
      offered,
      serial,
      room: makeRoom(),
      failed: () => backoff.failed(row),
      worked: () => backoff.worked(row),
    });
    children.add(child);
    current.set(key, child);
    void child.gone.then(() => {
      children.delete(child);
      replaced.delete(child);
      if (current.get(key) === child) current.delete(key);
    });
    return child;
  }

  function refuseWhileFailing(skill: RunnableSkill, key: string): void {
    const { ms, failures } = backoff.wait(key);
    if (ms === 0) return;
    const seconds = Math.ceil(ms / 1000);
    throw new AppError('skill-start-failed', {
      detail: `${skill.name} failed ${failures} times in a row; it is not started again for ${seconds} s.`,
      data: { retryAfterSeconds: seconds },
    });
  }

  /** A place for one more child, in the end by ending the idle one that was used least recently. */
  function makeRoom(): Promise<unknown> {
    if (children.size - replaced.size < limits.maxChildren) return Promise.resolve();
    const free = [...children].filter((child) => !replaced.has(child) && child.calls() === 0);
    const ending = free.find((child) => child.state() === 'stopping');
    const victim = ending ?? free.toSorted((a, b) => a.lastUsed() - b.lastUsed())[0];
    if (victim === undefined) {
      throw new AppError('skill-busy', {
        detail: `All ${limits.maxChildren} places for running skills are taken by calls in flight.`,
        hint: 'Try again in a moment.',
      });
    }
    replaced.add(victim);
    victim.retire('its place was needed');
    return victim.gone;
  }

  async function request(
    skill: RunnableSkill,
    user: string,
    order: SkillRequest,
  ): Promise<Record<string, unknown>> {
    if (closed)
      throw new AppError('unavailable', { detail: 'The hub is stopping and starts nothing any more.' });
    const child = childFor(skill, user, order);
    if (child.calls() >= limits.maxConcurrentPerChild) {
      throw new AppError('skill-busy', {
        detail: `${skill.name} has ${limits.maxConcurrentPerChild} calls in flight for this user already.`,
        hint: 'Try again in a moment.',
      });
    }
    return child.request(order);
  }

  return {
    request,
    running: () => [...children].map(asRunning),
    async stop(skill, reason) {
      const own = [...children].filter((child) => child.skill.name === skill);
      await Promise.all(own.map((child) => child.kill(stopped(child.skill, reason))));
    },
    async close() {
      closed = true;
      await Promise.all([...children].map((child) => endForGood(child, 'the hub is stopping')));
    },
  };
}

/** Of a child: the plain one of a user, which nearly all calls go to, needs no JSON. */
function keyOf(
  { name }: RunnableSkill,
  {
    user,
    readOnly,
    offered,
    caller,
  }: { user: string; readOnly: boolean; offered: AskableCapabilities; caller: string | undefined },
): string {
  const isPlain = caller === undefined && !readOnly && Object.keys(offered).length === 0;
  return isPlain ? `${name} ${user}` : canonicalJson([name, user, offered, caller ?? null, readOnly]);
}

/** An idle skill may still finish what it keeps on disk; one with calls in flight has no better moment to wait for. */
async function endForGood(child: Child, reason: string): Promise<void> {
  if (child.calls() > 0) return child.kill(stopped(child.skill, reason));
  child.retire(reason);
  return child.gone;
}

/**
 * A child serves one user, one set of client capabilities, and calls that may write or calls that only read. Up to 2025-11-25 a process is told once, at the
 * start, what it may ask, and does not say in which call it asks: it serves one client, whose calls take turns. From
 * 2026-07-28 on each request says so for itself, and one child does for all.
 */
function conversationOf(
  skill: RunnableSkill,
  capabilities: AskableCapabilities,
): { offered: AskableCapabilities; serial: boolean } {
  if (skill.protocol === MODERN) return { offered: skill.mayAsk, serial: false };
  return { offered: capabilities, serial: Object.keys(capabilities).length > 0 };
}

function asRunning(child: Child): RunningSkill {
  return {
    skill: child.skill.name,
    version: child.skill.version,
    user: child.user,
    pid: child.pid(),
    startedAt: new Date(child.startedAt).toISOString(),
    readOnly: child.readOnly,
    calls: child.calls(),
    state: child.state(),
  };
}
