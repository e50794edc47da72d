import { AppError, asAppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { type Clock, within } from '../clock.ts';
import type { AskableCapabilities } from '../questions.ts';
import type { SandboxDriver, SandboxPlan, Weight } from '../sandbox/sandbox.ts';
import { createPeer } from './peer.ts';
import { openRemote, type RemotePlan } from './remote.ts';
import type { RunnerLimits } from './runner.ts';
import { envelopeOf, type Identity, openSession, type Session } from './session.ts';
import { openStdio } from './stdio.ts';
import type { Transport } from './transport.ts';

/** What starting a skill takes. */
export interface ConnectParts {
  driver: Pick<SandboxDriver, 'start'>;
  clock: Clock;
  limits: Pick<RunnerLimits, 'startTimeoutMs' | 'graceMs' | 'maxMessageBytes'>;
  identity: Identity;
  log: Logger;
}

/** A reachable skill server with its open MCP session. */
export interface Connection {
  /** On the host; 0 where the server runs elsewhere. */
  readonly pid: number;
  readonly session: Session;
  /** A call begins; until the answer is called, its network is open. */
  enter(): () => void;
  /** Why it ended, once no process of it is left. Never rejects. */
  readonly ended: Promise<AppError>;
  /** Says goodbye and gives it the grace period to end by itself. */
  end(reason: AppError): Promise<void>;
  /** Ends it now, with its whole process tree; what is in flight fails with the reason. */
  kill(reason: AppError): Promise<void>;
}

/** What a connection tells whoever holds it. */
export interface ConnectEvents {
  /** The process exists, or the address is known to which requests go; `link` is the connection's. */
  spawned?(pid: number, link: Pick<Transport, 'weigh' | 'enter'>): void;
  /** The skill says that one of its lists is another now. */
  listChanged?(): void;
  /** A resource that it was asked to watch is another now. */
  resourceUpdated?(uri: string): void;
  /** It is of no use any more, though its processes may still be there. */
  ending?(): void;
}

/** What to start, and what has to hold before it counts as started. */
export interface ConnectOrder {
  plan: SandboxPlan | RemotePlan;
  protocol: string;
  /** What the skill may ask of those who call it. */
  offered: AskableCapabilities;
  /** Throws what the start must fail with. */
  check?: (session: Session) => Promise<void>;
  /** Gives the start up; its reason is an AppError. */
  signal?: AbortSignal;
}

/**
 * Starts the plan's process or turns to its remote server, opens the session and checks it, within the start
 * deadline. A skill that breaks the protocol, or shows no life after a cancelled call, is killed.
 * @throws AppError `skill-start-failed`, `skill-output-…`, `remote-failed`, the signal's reason, and what the driver
 *   and the check throw; nothing of it is left then.
 */
export async function connect(
  parts: ConnectParts,
  order: ConnectOrder,
  events: ConnectEvents = {},
): Promise<Connection> {
  const { clock, limits, log } = parts;
  const { plan, protocol, offered, check, signal } = order;
  const startedAt = clock.now();
  const late = (): AppError =>
    new AppError('skill-start-failed', {
      detail: `${plan.label} was not ready within ${limits.startTimeoutMs} ms.`,
    });
  const opening = openLink(parts, order, events);
  const link = await within(clock, limits.startTimeoutMs, opening, late).catch((error: unknown) => {
    // What comes too late must not stay behind.
    void opening.then((tooLate) => tooLate.kill(late())).catch(() => undefined);
    throw error;
  });
  events.spawned?.(link.pid, link);
  const abort = (): void => void link.kill(signal?.reason as AppError);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    if (signal?.aborted === true) throw signal.reason;
    const timeoutMs = Math.max(1, limits.startTimeoutMs - (clock.now() - startedAt));
    const ready = openSession({
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
    const session = await within(clock, timeoutMs, ready, late);
    link.opened(session);
    return {
      pid: link.pid,
      session,
      enter: link.enter,
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

/** Transport and peer held together: the first reason for an end is the one that everybody is told. */
async function openLink(
  parts: ConnectParts,
  { plan, protocol, offered }: ConnectOrder,
  events: ConnectEvents,
) {
  const { clock, limits, identity, log } = parts;
  const skill = plan.label;
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
    await transport.kill();
    await ended;
  };
  const broken = (why: AppError): void => void kill(why);
  const peer = createPeer({
    send: (message) => transport.send(message),
    skill,
    clock,
    graceMs: limits.graceMs,
    meta: envelopeOf(protocol, identity, offered),
    notified(method, params) {
      if (method.endsWith('/list_changed')) events.listChanged?.();
      else if (method === 'notifications/resources/updated' && typeof params['uri'] === 'string')
        events.resourceUpdated?.(params['uri']);
      else if (method === 'notifications/message')
        log.debug({ skill, pid: transport.pid, level: params['level'] }, 'the skill logs');
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
  const told = {
    message: (value: unknown) => peer.receive(value),
    lost: (id: unknown, error: AppError) => peer.lost(id, error),
    broken,
  };
  const transport: Transport =
    'url' in plan ? await openRemote(parts, plan, protocol, told) : await openStdio(parts, plan, told);
  const ended = transport.ended.then(settle);

  return {
    pid: transport.pid,
    weigh: (weight: Weight) => transport.weigh(weight),
    enter: () => transport.enter(),
    peer,
    ended,
    kill,
    opened(open: Session) {
      session = open;
    },
    async end(why: AppError): Promise<void> {
      settle(why);
      await transport.close();
      await ended;
    },
  };
}
