import type { Cancellation } from '../cancellation.ts';
import { AppError, asAppError } from '../../protocol/errors.ts';
import { canonicalJson } from '../../protocol/canonical.ts';
import { diffSurface, type Surface } from '../../protocol/surface.ts';
import type { AskableCapabilities } from '../questions.ts';
import { surfaceOf } from './capture.ts';
import { connect, type Connection, type ConnectParts } from './connect.ts';
import { cancelled } from './peer.ts';
import type { RunnableSkill, RunnerEvents, RunnerLimits, SkillRequest } from './runner.ts';
import type { Session } from './session.ts';
import type { Weight } from '../sandbox/sandbox.ts';
import { weighing } from './weight.ts';
import { openWhileCalled } from './open-network.ts';

/** Of the places where a surface differs, named in an error. */
const MAX_DIFFERENCES = 20;
/** Between two looks at a running skill’s surface: listing all of it costs the hub time, too. */
const RECHECK_PAUSE_MS = 1_000;

export interface ChildParts extends ConnectParts {
  limits: RunnerLimits;
  events: RunnerEvents;
}

/** One child process, or conversation with a remote server, from the decision to start it until nothing of it is left. */
export interface Child {
  readonly skill: RunnableSkill;
  readonly user: string;
  readonly readOnly: boolean;
  readonly startedAt: number;
  /** 0 until the process exists, and for a server that runs elsewhere. */
  pid(): number;
  state(): 'starting' | 'ready' | 'stopping';
  /** In flight now; and when the last one ended. */
  calls(): number;
  lastUsed(): number;
  /** Whether it is a process of this machine; until it is known, it is taken for one. */
  isLocal(): boolean;
  /** Whether nobody waits to hear from it. */
  mayRest(): boolean;
  /** Settles once it is ready, or has failed to be. Never rejects. */
  readonly started: Promise<void>;
  /** Waits until the child is ready, then carries one request through it. */
  request(request: SkillRequest): Promise<Record<string, unknown>>;
  /** Gives it no new calls; ends it when the last one is done, or after the drain period. */
  retire(reason: string): void;
  /** Ends it now; calls in flight fail with this. */
  kill(reason: AppError): Promise<void>;
  /** Settles when no process of it is left. Never rejects. */
  readonly gone: Promise<void>;
}

export interface ChildOrder {
  skill: RunnableSkill;
  user: string;
  /** Whether its folders are all read-only. */
  readOnly: boolean;
  /** What it may ask of those who call it. */
  offered: AskableCapabilities;
  /** Asks by requests of its own, of which only one call at a time can be the cause. */
  serial: boolean;
  /** The start waits for this. */
  room: Promise<unknown>;
  /** Told once when the skill failed by itself: at the start, or with a call in flight. */
  failed: () => void;
  /** Told of every call that did not fail. */
  worked: () => void;
  /** Told when it has become ready, and whenever nobody has called it for the idle time. */
  ready: () => void;
  idled: () => void;
  /** Told whenever no call of it is in flight any more. */
  quiet: () => void;
  /** Set when nobody waits for it: when it was last used, before this hub was started. */
  ahead?: { usedAt: number } | undefined;
}

/** Failures by which a skill shows that something is wrong with it. */
const FAULTS: ReadonlySet<string> = new Set([
  'skill-crashed',
  'skill-output-invalid',
  'skill-output-too-large',
]);

/**
 * Starts a child once there is room. It is ready when its live surface is the approved one; one that
 * differs, then or whenever it says that a list changed, ends it and is reported.
 */
export function startChild(
  parts: ChildParts,
  {
    skill,
    user,
    readOnly,
    offered,
    serial,
    room,
    failed,
    worked,
    ready: told,
    idled,
    quiet,
    ahead,
  }: ChildOrder,
): Child {
  const { clock, limits, events } = parts;
  const label = `${skill.name}@${skill.version}`;
  const startedAt = clock.now();
  const aborting = new AbortController();
  let pid = 0;
  let spawned = false;
  let state: 'starting' | 'ready' | 'stopping' = 'starting';
  let calls = 0;
  let lastUsed = ahead?.usedAt ?? startedAt;
  /** Once it is ready. */
  let open: Connection | undefined;
  /** Why it is to end, once the hub has decided so. */
  let ordered: string | undefined;
  let faulty = false;
  let stopTimer = (): void => undefined;
  let stopLifeTimer = (): void => undefined;
  let checking: Promise<void> | undefined;
  let checkAgain = false;
  /** Resources that somebody wants to hear of: it is not idle while there are any. */
  const watched = new Set<unknown>();
  let weigh = (_weight: Weight): void => undefined;
  const weight = weighing({ clock, inFlight: () => calls, weigh: (to) => weigh(to) });
  const network = openWhileCalled();
  /** Where calls take turns: when the last one is done. */
  let turn: Promise<unknown> = Promise.resolve();

  const ready = start();
  const gone = watch();

  async function start(): Promise<Connection> {
    await room;
    throwIfOrdered();
    const plan = await skill.plan(user, readOnly);
    throwIfOrdered();
    const connection = await connect(
      parts,
      { plan, protocol: skill.protocol, offered, check: compare, signal: aborting.signal },
      {
        spawned(id, link) {
          spawned = true;
          pid = id;
          network.made(link.enter);
          ({ weigh } = link);
          if (ahead !== undefined && calls === 0) weigh('background');
        },
        listChanged: recheck,
        resourceUpdated: (uri) => events.resourceUpdated({ skill: skill.name, user, uri }),
        ending: () => (state = 'stopping'),
      },
    ).catch((error: unknown) => {
      throw skill.explain?.(error) ?? error;
    });
    events.started({ ...ofThis(), ...(skill.unsandboxed === true ? { unsandboxed: true } : {}) });
    if (state === 'starting') state = 'ready';
    if (ahead !== undefined) weigh('answering');
    stopLifeTimer = clock.after(limits.maxLifeMs, () => retire('it has run for as long as one may'));
    whenIdle();
    open = connection;
    told();
    return connection;
  }

  /** Which one it is, as the hub is told. */
  function ofThis() {
    return { skill: skill.name, version: skill.version, user, ...(pid === 0 ? {} : { pid }) };
  }

  function throwIfOrdered(): void {
    if (ordered !== undefined) throw stopped(skill, ordered);
  }

  async function compare(session: Session): Promise<void> {
    const live = await surfaceOf(session, { label, clock, timeoutMs: limits.startTimeoutMs });
    const approved = asOffered(skill, offered, live);
    // What SKILL.md says is no server's word; the package's digest answers for it.
    const differences = diffSurface(
      approved,
      approved.skill === undefined ? live : { ...live, skill: approved.skill },
    );
    if (differences.length === 0) return;
    ordered ??= 'its surface is not the approved one';
    events.surfaceChanged({ skill: skill.name, version: skill.version, differences });
    throw new AppError('skill-quarantined', {
      detail: `${skill.name} ${skill.version} no longer says what was approved, and was ended.`,
      data: { differences: differences.map((difference) => difference.path).slice(0, MAX_DIFFERENCES) },
    });
  }

  /** One comparison at a time, and a pause behind it, however often the skill says so. */
  function recheck(): void {
    checkAgain = checking !== undefined;
    checking ??= recheckOnce()
      .then(() => new Promise<void>((resolve) => void clock.after(RECHECK_PAUSE_MS, resolve)))
      .finally(() => {
        checking = undefined;
        if (checkAgain) recheck();
      });
  }

  async function recheckOnce(): Promise<void> {
    const connection = await ready.catch(() => undefined);
    if (connection === undefined || state === 'stopping') return;
    await compare(connection.session).catch((error: unknown) => kill(asAppError(error)));
  }

  async function watch(): Promise<void> {
    try {
      const connection = await ready;
      const { message } = await connection.ended;
      events.stopped({ ...ofThis(), reason: ordered ?? message });
    } catch (error) {
      // Only what the server did counts against the skill, not what kept it from being made or asked.
      if (spawned && asAppError(error).code !== 'remote-sign-in') fault();
    }
    state = 'stopping';
    stopTimer();
    stopLifeTimer();
  }

  function fault(): void {
    if (faulty || ordered !== undefined) return;
    faulty = true;
    failed();
  }

  async function request(order: SkillRequest): Promise<Record<string, unknown>> {
    const { method, params, signal, onProgress, client } = order;
    calls += 1;
    stopTimer();
    // Somebody waits for it now.
    if (ahead !== undefined && calls === 1 && state === 'starting') weigh('answering');
    network.called();
    try {
      const { session } = open ?? (await unlessAborted(ready, signal, skill.name));
      weight.called();
      const send = () =>
        session.request({ method, params, signal, onProgress, client, timeoutMs: skill.timeoutMs });
      const result = await (serial ? inTurn(signal, send) : send());
      noteWatched(order);
      weight.answered();
      worked();
      return result;
    } catch (error) {
      const { code } = asAppError(error);
      if (FAULTS.has(code)) fault();
      // It was told to stop and may hang: whoever calls next gets a new one.
      if (code === 'skill-timeout') retire('a call took too long');
      throw error;
    } finally {
      calls -= 1;
      network.answered();
      lastUsed = clock.now();
      whenIdle();
    }
  }

  function noteWatched({ method, params }: Pick<SkillRequest, 'method' | 'params'>): void {
    if (method === 'resources/subscribe') watched.add(params['uri']);
    if (method === 'resources/unsubscribe') watched.delete(params['uri']);
  }

  function inTurn<T>(signal: Cancellation, send: () => Promise<T>): Promise<T> {
    const before = turn;
    const mine = unlessAborted(before, signal, skill.name).then(send);
    turn = Promise.allSettled([before, mine]);
    return mine;
  }

  function whenIdle(): void {
    if (calls > 0) return;
    quiet();
    stopTimer();
    if (ordered !== undefined) void end(ordered);
    else if (state === 'ready' && watched.size === 0) stopTimer = clock.after(limits.idleStopMs, idled);
  }

  function retire(reason: string): void {
    if (state === 'stopping') return;
    ordered ??= reason;
    state = 'stopping';
    stopTimer();
    if (calls === 0) void end(reason);
    else stopTimer = clock.after(limits.drainMs, () => void kill(stopped(skill, reason)));
  }

  async function end(reason: string): Promise<void> {
    const connection = await ready.catch(() => undefined);
    await connection?.end(stopped(skill, reason));
  }

  async function kill(reason: AppError): Promise<void> {
    ordered ??= reason.message;
    state = 'stopping';
    stopTimer();
    aborting.abort(reason);
    const connection = await ready.catch(() => undefined);
    await connection?.kill(reason);
    await gone;
  }

  return {
    skill,
    user,
    readOnly,
    startedAt,
    pid: () => pid,
    state: () => state,
    calls: () => calls,
    lastUsed: () => lastUsed,
    isLocal: () => !spawned || pid !== 0,
    mayRest: () => watched.size === 0,
    started: ready.then(
      () => undefined,
      () => undefined,
    ),
    request,
    retire,
    kill,
    gone,
  };
}

/** What a child has to say that is offered less than the capture was: nothing else than was approved, maybe less of it. */
function asOffered(skill: RunnableSkill, offered: AskableCapabilities, live: Surface): Surface {
  const { surface } = skill;
  if (canonicalJson(offered) === canonicalJson(skill.captured)) return surface;
  const said = <T>(key: (entry: T) => string, approved: readonly T[], now: readonly T[]): T[] => {
    const names = new Set(now.map(key));
    return approved.filter((entry) => names.has(key(entry)));
  };
  return {
    ...surface,
    tools: said(({ name }) => name, surface.tools, live.tools),
    prompts: said(({ name }) => name, surface.prompts, live.prompts),
    resources: said(({ uri }) => uri, surface.resources, live.resources),
    resourceTemplates: said(
      ({ uriTemplate }) => uriTemplate,
      surface.resourceTemplates,
      live.resourceTemplates,
    ),
  };
}

/** The failure of calls whose child was ended on purpose. */
export function stopped(skill: { name: string }, reason: string): AppError {
  return new AppError('skill-crashed', { detail: `${skill.name} was stopped: ${reason}.` });
}

/** Lets one caller stop waiting for a start that others still wait for. */
async function unlessAborted<T>(work: Promise<T>, signal: Cancellation, skill: string): Promise<T> {
  if (signal.aborted) throw cancelled(skill);
  let release = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = (): void => reject(cancelled(skill));
    signal.addEventListener('abort', abort, { once: true });
    release = () => signal.removeEventListener('abort', abort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    release();
  }
}
