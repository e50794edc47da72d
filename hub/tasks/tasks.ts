import type { Kysely } from 'kysely';
import { AppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { Cancellation } from '../cancellation.ts';
import type { Clock } from '../clock.ts';
import type { HubTables } from '../store/schema.ts';
import { type Answers, isAnswer, type Questions } from '../questions.ts';
import { sqliteTasks } from './store.ts';
import {
  answering,
  asking,
  begun,
  type Ending,
  ended,
  hasEnded,
  hasExpired,
  isOwnedBy,
  openQuestions,
  type Owner,
  saying,
  type Task,
} from './task.ts';

/** Bounds of tasks. A single result is bounded by the call path, `MAX_RESULT_BYTES` in `hub/result.ts`. */
export interface TaskLimits {
  /** A call that takes longer becomes a task, where its client can have one. */
  afterMs: number;
  /** How long a task may go on, and how long its ending is kept. */
  ttlMs: number;
  /** Kept for one client, going on or ended. */
  tasksPerClient: number;
  /** Of one client, that go on at once. */
  openPerClient: number;
  /** A client that has so many bytes of results kept gets no further task. */
  bytesPerClient: number;
}

/** For an hour, and enough for any client that fetches what it asked for. */
const DEFAULT_TASK_LIMITS: TaskLimits = {
  afterMs: 5_000,
  ttlMs: 60 * 60_000,
  tasksPerClient: 1_024,
  openPerClient: 32,
  bytesPerClient: 64 * 1024 * 1024,
};

export interface TaskParts {
  db: Kysely<HubTables>;
  audit: AuditLog;
  clock: Clock;
  /** Nobody may guess one: at least 128 bits of chance, in characters that a header can carry. */
  newTaskId: () => string;
  log: Logger;
  limits?: Partial<TaskLimits>;
}

/** A call that may become a task. */
export interface TaskCall {
  owner: Owner;
  tool: string;
  /**
   * `at-once`: a task from the start, and no call where none can be had. `if-possible`: the same, but a plain call
   * where none can be had. `when-slow`: once it takes long, or asks something that `ask` is not there for.
   */
  when: 'at-once' | 'if-possible' | 'when-slow';
  /** Aborts when the client goes away; of no effect any more once the client has a task. */
  signal: Cancellation;
  /** How a call that failed is told to whoever fetches it. */
  failed: (error: unknown) => Ending;
  onProgress?: Progress | undefined;
  /** Puts questions to the client in its request, as long as there is no task (SEP-2663: such rounds come before it). */
  ask?: Ask | undefined;
}

type Ask = (questions: Questions) => Promise<Answers>;

type Progress = (progress: { progress: number; total?: number; message?: string }) => void;

/** What a call is handed, so that it goes on without the request that began it. */
export interface Control {
  signal: Cancellation;
  /** Puts questions to the client through its task. */
  ask: Ask;
  onProgress: Progress;
}

type Work = (control: Control) => Promise<Record<string, unknown>>;
type Answer = { result: Record<string, unknown> } | { task: Task };

/** Calls that outlive their request: started once, fetched by whoever started them (SEP-2663). */
export interface Tasks {
  /**
   * Carries out a call, once, and answers with its result, or with a task that is on disk and on record.
   * @throws whatever the call throws before it has become a task; AppError `rate-limited` when there must be a task
   *   and the client has too many already.
   */
  run(call: TaskCall, work: Work): Promise<Answer>;
  /** @throws AppError `task-not-found` for a task that is unknown, has expired, or is somebody else's: no telling which. */
  get(asking: Owner, id: string): Promise<Task>;
  /** Takes answers to what the task asks. @throws AppError `task-not-found` */
  update(asking: Owner, id: string, answers: Answers): Promise<void>;
  /** Stops the call if it still can be stopped. @throws AppError `task-not-found` */
  cancel(asking: Owner, id: string): Promise<void>;
  /** Stops and forgets every task of a client that was removed: its name may be given to another. */
  end(client: string): Promise<void>;
  /** Before the hub stops: ends what waits for a client, which cannot come back in time, and what would begin to. */
  askNoMore(): void;
  /** Settles when every task that goes on now has ended. */
  idle(): Promise<void>;
  /** Stops what goes on; its outcome is unknown from then on. */
  close(): Promise<void>;
}

/** A task whose call goes on in this process. */
interface Open {
  task: Task;
  abort: AbortController;
  askers: Set<Asker>;
  cancelled: boolean;
  /** Expired or of a removed client: what it ends with interests nobody. */
  gone: boolean;
  stopTimer: () => void;
  settled: Promise<void>;
}

interface Asker {
  /** From the keys of the task to the asker's own. */
  keys: Map<string, string>;
  answers: Record<string, Record<string, unknown>>;
  resolve: (answers: Answers) => void;
}

const OUTCOME_UNKNOWN =
  'Outcome unknown: the hub stopped while this call was being carried out. ' +
  'It may or may not have had its effect, and it was not made again.';
/** JSON-RPC 2.0 §5.1, internal error. */
const INTERNAL_ERROR = -32_603;

/**
 * Tasks of a hub. Those that an earlier run of the hub left without an ending get one here: nobody knows how their
 * calls ended, so they have failed, and are never made again.
 */
export async function openTasks({ db, audit, clock, newTaskId, log, ...given }: TaskParts): Promise<Tasks> {
  const limits = { ...DEFAULT_TASK_LIMITS, ...given.limits };
  const store = sqliteTasks(db);
  const open = new Map<string, Open>();
  let closing = false;
  let asksNoMore = false;
  let turn: Promise<unknown> = Promise.resolve();

  await store.removeExpired(clock.now());
  for (const task of await store.unfinished()) {
    const error = { code: INTERNAL_ERROR, message: OUTCOME_UNKNOWN };
    await store.end(
      ended(
        task,
        { ending: { status: 'failed', error }, message: OUTCOME_UNKNOWN, keepMs: limits.ttlMs },
        clock.now(),
      ),
    );
  }

  /** A task from the start: the client's request is answered while the call has hardly begun. */
  async function atOnce(call: TaskCall, work: Work): Promise<Answer> {
    const abort = new AbortController();
    let entry: Open;
    try {
      entry = await begin(call, abort);
    } catch (error) {
      if (call.when === 'at-once') throw error;
      return plainly(call, work, error);
    }
    if (call.signal.aborted) {
      await forget(entry);
      throw stopped(entry.task);
    }
    const doing = work({
      signal: abort.signal,
      ask: (questions) => put(entry, questions),
      onProgress: (progress) => say(entry, progress),
    });
    entry.settled = settle(entry, doing, call).catch(noted);
    return { task: entry.task };
  }

  /** A call like any other, which becomes a task once it takes too long, or has to ask something. */
  async function whenSlow(call: TaskCall, work: Work): Promise<Answer> {
    const abort = new AbortController();
    const leave = follow(call.signal, abort);
    let becoming: Promise<Open> | undefined;
    let became: Open | undefined;
    const become = (): Promise<Open> =>
      (becoming ??= begin(call, abort).then((entry) => {
        leave();
        became = entry;
        entry.settled = settle(entry, doing, call).catch(noted);
        return entry;
      }));
    let wake: () => void = () => undefined;
    const needed = new Promise<void>((resolve) => (wake = resolve));
    let isAnswered = false;
    let asked = 0;
    let stopTimer: () => void = () => undefined;
    const startTimer = (): void => {
      stopTimer = clock.after(limits.afterMs, () => {
        // From here on its questions belong to the task. That there can be none is told below.
        become().catch(() => undefined);
        wake();
      });
    };
    /** The client's time to answer is not the call's. */
    const askFirst = async (ask: Ask, questions: Questions): Promise<Answers> => {
      stopTimer();
      asked += 1;
      try {
        return await ask(questions);
      } finally {
        asked -= 1;
        if (asked === 0 && becoming === undefined && !isAnswered) startTimer();
      }
    };
    const doing = work({
      signal: abort.signal,
      async ask(questions) {
        if (call.ask !== undefined) {
          const entry = await becoming?.catch(() => undefined);
          return entry === undefined ? askFirst(call.ask, questions) : put(entry, questions);
        }
        const answers = put(await become(), questions);
        wake();
        return answers;
      },
      onProgress: (progress) => (became === undefined ? call.onProgress?.(progress) : say(became, progress)),
    });
    startTimer();
    try {
      const isOver = await Promise.race([needed, doing.then(yes, yes)]);
      if (isOver === true && becoming === undefined) return { result: await doing };
      return { task: (await become()).task };
    } catch (error) {
      if (becoming !== undefined) log.warn({ err: error }, 'a call goes on without a task');
      return { result: await doing };
    } finally {
      isAnswered = true;
      stopTimer();
      leave();
    }
  }

  /** For want of a task, in the client's request. */
  async function plainly(
    { signal, onProgress, ...call }: TaskCall,
    work: Work,
    why: unknown,
  ): Promise<Answer> {
    log.warn({ err: why }, 'a call goes on without a task');
    const ask = call.ask ?? (() => Promise.reject(why));
    return { result: await work({ signal, ask, onProgress: (progress) => onProgress?.(progress) }) };
  }

  /** Puts a task for a call that goes on, on disk and on record. @throws AppError `rate-limited` */
  function begin(call: TaskCall, abort: AbortController): Promise<Open> {
    // One after the other, so that all count.
    const mine = turn.then(() => beginNow(call, abort));
    turn = mine.catch(() => undefined);
    return mine;
  }

  async function beginNow({ owner, tool }: TaskCall, abort: AbortController): Promise<Open> {
    await store.removeExpired(clock.now());
    const kept = await store.keptFor(owner);
    const busy = [...open.values()].filter(({ task }) => isOwnedBy(task, owner) && !hasEnded(task)).length;
    refuseTooMany(limits, kept, busy);
    const task = begun({ id: newTaskId(), owner, tool, ttlMs: limits.ttlMs }, clock.now());
    await audit.transaction(async (trx, record) => {
      await sqliteTasks(trx).add(task);
      record({ event: 'task.created', task: task.id, ...owner, tool });
    });
    const entry: Open = {
      task,
      abort,
      askers: new Set(),
      cancelled: false,
      gone: false,
      stopTimer: clock.after(limits.ttlMs, () => void forget(entry).catch(noted)),
      settled: Promise.resolve(),
    };
    open.set(task.id, entry);
    return entry;
  }

  async function forget(entry: Open): Promise<void> {
    entry.gone = true;
    entry.stopTimer();
    open.delete(entry.task.id);
    entry.abort.abort();
    await store.remove(entry.task.id);
  }

  /** Writes how a task ended. What cannot be written is kept in memory, for as long as there is one. */
  async function settle(
    entry: Open,
    work: Promise<Record<string, unknown>>,
    { failed }: TaskCall,
  ): Promise<void> {
    const ending = await work.then(
      (result): Ending => ({ status: 'completed', result }),
      (error: unknown): Ending | undefined => {
        // A call that the hub's own end cut short has no known outcome; the next start says so.
        if (closing) return undefined;
        return entry.cancelled ? { status: 'cancelled' } : failed(error);
      },
    );
    if (ending === undefined || entry.gone) return;
    const message = ending.status === 'failed' ? ending.error.message : undefined;
    entry.task = ended(entry.task, { ending, message, keepMs: limits.ttlMs }, clock.now());
    entry.askers.clear();
    await store.end(entry.task);
    entry.stopTimer();
    open.delete(entry.task.id);
  }

  function say(entry: Open, { message }: Parameters<Progress>[0]): void {
    if (message !== undefined) entry.task = saying(entry.task, message, clock.now());
  }

  function put(entry: Open, questions: Questions): Promise<Answers> {
    if (asksNoMore || entry.abort.signal.aborted || hasEnded(entry.task))
      return Promise.reject(stopped(entry.task));
    const { task, keys } = asking(entry.task, questions, clock.now());
    entry.task = task;
    if (keys.size === 0) return Promise.resolve({});
    return new Promise((resolve, reject) => {
      const own = new Map([...keys].map(([asked, key]) => [key, asked]));
      entry.askers.add({ keys: own, answers: {}, resolve });
      entry.abort.signal.addEventListener('abort', () => reject(stopped(task)), { once: true });
    });
  }

  async function find(owner: Owner, id: string): Promise<{ task: Task; entry?: Open }> {
    const entry = open.get(id);
    const task = entry?.task ?? (await store.find(id));
    if (task === undefined || !isOwnedBy(task, owner)) throw unknownTask();
    if (!hasExpired(task, clock.now())) return entry === undefined ? { task } : { task, entry };
    await (entry === undefined ? store.remove(id) : forget(entry));
    throw unknownTask();
  }

  function noted(error: unknown): void {
    log.error({ err: error }, 'a task could not be written');
  }

  return {
    run: (call, work) => (call.when === 'when-slow' ? whenSlow(call, work) : atOnce(call, work)),
    async get(owner, id) {
      return (await find(owner, id)).task;
    },
    async update(owner, id, answers) {
      const { entry } = await find(owner, id);
      if (entry === undefined) return;
      refuseOthers(openQuestions(entry.task), answers);
      const { task, taken } = answering(entry.task, answers, clock.now());
      entry.task = task;
      for (const asker of entry.askers) deliver(entry, asker, taken);
    },
    async cancel(owner, id) {
      const { task, entry } = await find(owner, id);
      if (entry === undefined || entry.cancelled || hasEnded(task)) return;
      entry.cancelled = true;
      entry.abort.abort();
      await audit.append({ event: 'task.cancelled', task: id, ...task.owner, tool: task.tool });
    },
    async end(client) {
      await turn;
      const theirs = [...open.values()].filter(({ task }) => task.owner.client === client);
      await Promise.all(theirs.map(forget));
      await store.removeOf(client);
    },
    askNoMore() {
      asksNoMore = true;
      for (const { task, abort } of open.values()) if (task.state.status === 'input_required') abort.abort();
    },
    async idle() {
      await Promise.all([...open.values()].map(({ settled }) => settled));
    },
    async close() {
      closing = true;
      const all = [...open.values()];
      for (const { abort, stopTimer } of all) {
        stopTimer();
        abort.abort();
      }
      await Promise.all(all.map(({ settled }) => settled));
    },
  };
}

function refuseTooMany(
  { tasksPerClient, openPerClient, bytesPerClient }: TaskLimits,
  { tasks, bytes }: { tasks: number; bytes: number },
  busy: number,
): void {
  if (tasks < tasksPerClient && busy < openPerClient && bytes < bytesPerClient) return;
  throw new AppError('rate-limited', {
    detail: `This client has ${tasks} tasks, ${busy} of them going on.`,
    hint: 'Wait until some have ended and expired.',
  });
}

/** Where only the end of something matters, not how it ended. */
function yes(): true {
  return true;
}

/** @throws AppError `request-invalid` for an answer of another kind than its question. */
function refuseOthers(questions: Questions, answers: Answers): void {
  for (const [key, { method }] of Object.entries(questions)) {
    if (answers[key] === undefined || isAnswer(method, answers[key])) continue;
    throw new AppError('request-invalid', {
      detail: `What answers ${JSON.stringify(key)} is no answer to ${method}.`,
    });
  }
}

/** Hands an asker its answers once they are all there. */
function deliver(entry: Open, asker: Asker, taken: Answers): void {
  for (const [key, answer] of Object.entries(taken)) {
    const own = asker.keys.get(key);
    if (own === undefined) continue;
    asker.answers[own] = answer;
    asker.keys.delete(key);
  }
  if (asker.keys.size > 0) return;
  entry.askers.delete(asker);
  asker.resolve(asker.answers);
}

/** Aborts with another signal, until told to leave. */
function follow(signal: Cancellation, abort: AbortController): () => void {
  const stop = (): void => abort.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  return () => signal.removeEventListener('abort', stop);
}

function stopped({ tool }: Task): AppError {
  return new AppError('call-cancelled', { detail: `The call of ${tool} was cancelled.` });
}

function unknownTask(): AppError {
  return new AppError('task-not-found', {
    detail: 'There is no such task, or it has expired.',
    hint: 'Call the tool again if its result is still wanted.',
  });
}
