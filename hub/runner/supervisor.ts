import { availableParallelism } from 'node:os';
import { canonicalJson } from '../../protocol/canonical.ts';
import { AppError } from '../../protocol/errors.ts';
import type { AskableCapabilities } from '../questions.ts';
import { createBackoff } from './backoff.ts';
import { type Child, type ChildParts, startChild, stopped } from './child.ts';
import { memoryOfTrees } from './memory.ts';
import { createPool, type PoolParts } from './pool.ts';
import {
  DEFAULT_RUNNER_LIMITS,
  type RunnableSkill,
  type Runner,
  type RunnerLimits,
  type RunningSkill,
  type SkillRequest,
  type WantedSkill,
} from './runner.ts';
import { MODERN } from './session.ts';
import { startGate } from './start-gate.ts';

/** One computes while another waits for its files. */
const STARTS_PER_PROCESSOR = 2;

/** What the runner needs. `events` and `log` are told everything; neither is ever waited for. */
export type RunnerParts = Omit<ChildParts, 'limits'> & {
  limits?: Partial<RunnerLimits>;
  measure?: PoolParts['measure'];
};

/**
 * The one owner of every skill process: starts each once, however many calls wait for it; ends it when
 * idle, outdated or in the way of another; and leaves a skill alone that keeps crashing.
 */
export function createRunner({ limits: given, measure = memoryOfTrees, ...rest }: RunnerParts): Runner {
  const limits = { ...DEFAULT_RUNNER_LIMITS, ...given };
  const parts: ChildParts = { ...rest, limits };
  const { clock } = parts;
  const backoff = createBackoff({ clock, firstMs: limits.firstBackoffMs, maxMs: limits.maxBackoffMs });
  const pool = createPool({ clock, limits, measure, log: parts.log });
  const gate = startGate({ clock, places: STARTS_PER_PROCESSOR * availableParallelism() });
  /** Every child of which a process may still exist. */
  const children = new Set<Child>();
  /** The one child that takes new calls of a key. */
  const current = new Map<string, Child>();
  /** Ending children whose place has been given away. */
  const replaced = new Set<Child>();
  let closed = false;
  /** Told when nothing is in flight any more. */
  const waitingForQuiet = new Set<() => void>();

  function childFor(
    skill: RunnableSkill,
    user: string,
    { client, caller, readOnly = false }: Pick<SkillRequest, 'client' | 'caller' | 'readOnly'>,
    ahead?: { usedAt: number },
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
    const room = makeRoom();
    let leave = (): void => undefined;
    const child = startChild(parts, {
      skill,
      user,
      readOnly,
      offered,
      serial,
      room: room.then(async () => (leave = await gate.enter())),
      failed: () => backoff.failed(row),
      worked: () => backoff.worked(row),
      ready: () => pool.ready(),
      idled: () => pool.idled(child),
      quiet: wakeWaiting,
      ahead,
    });
    void child.started.then(() => leave());
    children.add(child);
    pool.entered(child);
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

  /** A place for one more child, in the end by ending idle ones. */
  function makeRoom(): Promise<unknown> {
    const { leave, fits } = pool.forNewcomer();
    if (!fits) {
      throw new AppError('skill-busy', {
        detail: `Skills with calls in flight take all ${Math.floor(limits.memoryBytes / 2 ** 20)} MB that skills may have.`,
        hint: 'Try again in a moment.',
      });
    }
    const victims = new Set(leave);
    if (children.size - replaced.size - victims.size >= limits.maxChildren) victims.add(leastNeeded(victims));
    for (const victim of victims) {
      replaced.add(victim);
      victim.retire('its place was needed');
    }
    return Promise.all([...victims].map((victim) => victim.gone));
  }

  /** The idle child that was used least recently, or one that ends already. */
  function leastNeeded(victims: ReadonlySet<Child>): Child {
    const free = [...children].filter(
      (child) => !replaced.has(child) && !victims.has(child) && child.calls() === 0,
    );
    const ending = free.find((child) => child.state() === 'stopping');
    const victim = ending ?? free.toSorted((a, b) => a.lastUsed() - b.lastUsed())[0];
    if (victim !== undefined) return victim;
    throw new AppError('skill-busy', {
      detail: `All ${limits.maxChildren} places for running skills are taken by calls in flight.`,
      hint: 'Try again in a moment.',
    });
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

  function wakeWaiting(): void {
    for (const wake of waitingForQuiet) wake();
  }

  /** Nothing is in flight, for the moment. */
  async function quiet(): Promise<void> {
    while (!closed && [...children].some((child) => child.calls() > 0)) {
      await new Promise<void>((resolve) => waitingForQuiet.add(resolve));
      waitingForQuiet.clear();
    }
  }

  async function startAhead(wanted: readonly WantedSkill[]): Promise<void> {
    for (const { skill, user, usedAt } of wanted) {
      await quiet();
      if (closed || !pool.hasWarmRoom()) return;
      // Which client will call it, and so what it may be told that it can ask, is not known.
      if (skill.protocol !== MODERN && Object.keys(skill.mayAsk).length > 0) continue;
      try {
        await childFor(skill, user, {}, { usedAt }).started;
      } catch (error) {
        parts.log.debug({ err: error, skill: skill.name }, 'a skill was not started ahead');
      }
    }
  }

  return {
    request,
    running: () => [...children].map((child) => asRunning(child, pool.bytesOf(child))),
    memory: () => ({
      bytes: pool.bytes(),
      limitBytes: limits.memoryBytes,
      warmBytes: limits.warmBytes,
    }),
    startAhead,
    async stop(skill, reason) {
      const own = [...children].filter((child) => child.skill.name === skill);
      await Promise.all(own.map((child) => child.kill(stopped(child.skill, reason))));
    },
    async close() {
      closed = true;
      wakeWaiting();
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
  const isPlain = caller === undefined && Object.keys(offered).length === 0;
  if (!isPlain) return canonicalJson([name, user, offered, caller ?? null, readOnly]);
  // No name of a skill holds a colon or a blank.
  return readOnly ? `r:${name} ${user}` : `${name} ${user}`;
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

function asRunning(child: Child, memoryBytes: number): RunningSkill {
  return {
    skill: child.skill.name,
    version: child.skill.version,
    user: child.user,
    pid: child.pid(),
    startedAt: new Date(child.startedAt).toISOString(),
    readOnly: child.readOnly,
    calls: child.calls(),
    memoryBytes,
    state: child.state(),
  };
}
