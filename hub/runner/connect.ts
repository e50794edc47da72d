import { finished } from 'node:stream/promises';
import { AppError, asAppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { type Clock, within } from '../clock.ts';
import type { AskableCapabilities } from '../questions.ts';
import type { SandboxDriver, SandboxedProcess, SandboxPlan, Weight } from '../sandbox/sandbox.ts';
import { createPeer } from './peer.ts';
import { openPipe } from './pipe.ts';
import type { RunnerLimits } from './runner.ts';
import { envelopeOf, type Identity, openSession, type Session } from './session.ts';
import { watchStderr } from './stderr.ts';

/** What starting a skill takes. */
export interface ConnectParts {
  driver: Pick<SandboxDriver, 'start'>;
  clock: Clock;
  limits: Pick<RunnerLimits, 'startTimeoutMs' | 'graceMs' | 'maxMessageBytes'>;
  identity: Identity;
  log: Logger;
}

/** A running skill process with its open MCP session. */
export interface Connection {
  readonly pid: number;
  readonly session: Session;
  /** What it counts where processors are short. */
  weigh(weight: Weight): void;
  /** Why it ended, once no process of it is left. Never rejects. */
  readonly ended: Promise<AppError>;
  /** Closes its input and gives it the grace period to end by itself. */
  end(reason: AppError): Promise<void>;
  /** Ends the whole process tree now; what is in flight fails with the reason. */
  kill(reason: AppError): Promise<void>;
}

/** What a connection tells whoever holds it. */
export interface ConnectEvents {
  /** The process exists. */
  spawned?(pid: number): void;
  /** The skill says that one of its lists is another now. */
  listChanged?(): void;
  /** A resource that it was asked to watch is another now. */
  resourceUpdated?(uri: string): void;
  /** It is of no use any more, though its processes may still be there. */
  ending?(): void;
}

/** What to start, and what has to hold before it counts as started. */
export interface ConnectOrder {
  plan: SandboxPlan;
  protocol: string;
  /** What the skill may ask of those who call it. */
  offered: AskableCapabilities;
  /** Throws what the start must fail with. */
  check?: (session: Session) => Promise<void>;
  /** Gives the start up; its reason is an AppError. */
  signal?: AbortSignal;
}

/**
 * Starts the plan's process, opens the session and checks it, within the start deadline. A skill that
 * breaks the protocol, or shows no life after a cancelled call, is killed.
 * @throws AppError `skill-start-failed`, `skill-output-…`, the signal's reason, and what the driver
 *   and the check throw; no process is left then.
 */
export async function connect(
  parts: ConnectParts,
  { plan, protocol, offered, check, signal }: ConnectOrder,
  events: ConnectEvents = {},
): Promise<Connection> {
  const { driver, clock, limits, log } = parts;
  const startedAt = clock.now();
  const late = (): AppError =>
    new AppError('skill-start-failed', {
      detail: `${plan.label} was not ready within ${limits.startTimeoutMs} ms.`,
    });
  const starting = driver.start(plan);
  const process = await within(clock, limits.startTimeoutMs, starting, late).catch((error: unknown) => {
    // A process that comes too late must not stay behind.
    void starting.then((tooLate) => tooLate.kill()).catch(() => undefined);
    throw error;
  });
  events.spawned?.(process.pid);
  const link = openLink(parts, { plan, protocol, offered, process, events });
  const abort = (): void => void link.kill(signal?.reason as AppError);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    if (signal?.aborted === true) throw signal.reason;
    const timeoutMs = Math.max(1, limits.startTimeoutMs - (clock.now() - startedAt));
    const opening = openSession({
      peer: link.peer,
      skill: plan.label,
      protocol,
      offered,
      identity: parts.identity,
      timeoutMs,
    }).then(async (open) => {
      await check?.(open);
      return open;
    });
    const session = await within(clock, timeoutMs, opening, late);
    link.opened(session);
    return {
      pid: process.pid,
      session,
      weigh: process.weigh,
      ended: link.ended,
      end: link.end,
      kill: link.kill,
    };
  } catch (error) {
    await link.kill(asStartFailure(error, late));
    // A process that died by itself says more than the request that failed with it.
    const cause = asStartFailure(await link.ended, late);
    log.warn({ skill: plan.label, code: cause.code }, cause.message);
    throw cause;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Whatever a process does before it is ready is a failed start. */
function asStartFailure(thrown: unknown, late: () => AppError): AppError {
  const error = asAppError(thrown);
  if (error.code === 'skill-timeout') return late();
  if (error.code !== 'skill-crashed') return error;
  return new AppError('skill-start-failed', { detail: error.message, cause: error });
}

/** Pipe, peer and process held together: the first reason for an end is the one that everybody is told. */
function openLink(
  { clock, limits, identity, log }: ConnectParts,
  {
    plan,
    protocol,
    offered,
    process,
    events,
  }: {
    plan: SandboxPlan;
    protocol: string;
    offered: AskableCapabilities;
    process: SandboxedProcess;
    events: ConnectEvents;
  },
) {
  const skill = plan.label;
  const own = log.child({ skill, pid: process.pid });
  // Whatever was put into it from outside may be a secret.
  const secrets = new Map(Object.entries({ ...plan.files, ...plan.env }));
  const stderr = watchStderr({ stream: process.stderr, secrets, clock, log: own });
  let session: Session | undefined;
  let reason: AppError | undefined;

  const settle = (why: AppError): AppError => {
    if (reason === undefined) {
      reason = why;
      // Before anybody hears of the failure: who calls again at once must not meet it again.
      events.ending?.();
      peer.fail(reason);
    }
    return reason;
  };
  const kill = async (why: AppError): Promise<void> => {
    settle(why);
    await process.kill();
    await ended;
  };
  const broken = (why: AppError): void => void kill(why);
  const pipe = openPipe({
    process,
    skill,
    clock,
    maxMessageBytes: limits.maxMessageBytes,
    message: (value) => peer.receive(value),
    broken,
  });
  const peer = createPeer({
    pipe,
    skill,
    clock,
    graceMs: limits.graceMs,
    meta: envelopeOf(protocol, identity, offered),
    notified(method, params) {
      if (method.endsWith('/list_changed')) events.listChanged?.();
      else if (method === 'notifications/resources/updated' && typeof params['uri'] === 'string')
        events.resourceUpdated?.(params['uri']);
      else if (method === 'notifications/message') own.debug({ level: params['level'] }, 'the skill logs');
    },
    broken,
    unsettled: () => void killUnlessAlive(),
  });
  // MCP asks a server not to answer what was cancelled, so silence alone proves nothing.
  const killUnlessAlive = async (): Promise<void> => {
    const alive = session === undefined || (await session.isAlive(limits.graceMs));
    if (!alive)
      await kill(new AppError('skill-crashed', { detail: `${skill} hung after a cancelled call.` }));
  };
  const ended = process.exited.then(async (exit) => {
    // Its last answer may still be in the pipe.
    const drained = finished(process.stdout).catch(() => undefined);
    await within(clock, limits.graceMs, drained, () => crashed(skill, 'left its output open')).catch(
      () => undefined,
    );
    const how =
      exit.reason ?? (exit.signal === null ? `exit code ${String(exit.code)}` : `signal ${exit.signal}`);
    const words = stderr.lastWords();
    return settle(crashed(skill, words === '' ? how : `${how}; it said last: ${words}`));
  });
  // A process that can't speak any more is of no use, even if it lives on.
  process.stdout.once('end', () => {
    const stopWaiting = clock.after(limits.graceMs, () => broken(crashed(skill, 'it closed its output')));
    void ended.then(stopWaiting);
  });

  return {
    peer,
    ended,
    kill,
    opened(open: Session) {
      session = open;
    },
    async end(why: AppError): Promise<void> {
      settle(why);
      pipe.endInput();
      const stopWaiting = clock.after(limits.graceMs, () => void process.kill());
      await ended;
      stopWaiting();
    },
  };
}

function crashed(skill: string, how: string): AppError {
  return new AppError('skill-crashed', { detail: `${skill} stopped unexpectedly: ${how}.` });
}
