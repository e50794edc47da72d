import type { Answers, Questions } from '../questions.ts';

/** A JSON-RPC error object. */
export interface RpcError {
  code: number;
  message: string;
  data?: unknown;
}

/** How a task ended; none of it ever changes again. */
export type Ending =
  | { status: 'completed'; result: Record<string, unknown> }
  | { status: 'failed'; error: RpcError }
  | { status: 'cancelled' };

export type TaskState =
  | { status: 'working' }
  | { status: 'input_required'; inputRequests: Questions }
  | Ending;

/** Whose a task is. Nobody else gets at it, and nobody else learns that it exists. */
export interface Owner {
  user: string;
  client: string;
}

/** A call that its client comes back for (SEP-2663). A value: every step makes a new one. */
export interface Task {
  id: string;
  owner: Owner;
  /** The tool, as the client called it. */
  tool: string;
  /** Milliseconds since 1970, as in `updatedAt`. */
  createdAt: number;
  updatedAt: number;
  /** How long it is kept, from `createdAt`; grows at the end, so that the ending can be fetched. */
  ttlMs: number;
  state: TaskState;
  /** What the skill last said about its progress, or why it ended, for whoever waits. */
  message?: string | undefined;
  /** Times that something was asked: no key stands for two questions in the life of a task. */
  rounds: number;
}

export function begun(given: Pick<Task, 'id' | 'owner' | 'tool' | 'ttlMs'>, now: number): Task {
  return { ...given, createdAt: now, updatedAt: now, state: { status: 'working' }, rounds: 0 };
}

export function hasEnded({ state: { status } }: Task): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

export function hasExpired({ createdAt, ttlMs }: Pick<Task, 'createdAt' | 'ttlMs'>, now: number): boolean {
  return now >= createdAt + ttlMs;
}

export function isOwnedBy({ owner }: Task, { user, client }: Owner): boolean {
  return owner.user === user && owner.client === client;
}

/**
 * Puts questions beside those that are open already. `keys` leads from the asker's keys to those of the task,
 * which are never used again (SEP-2663, Task Update Requests). An ended task asks nothing.
 */
export function asking(
  task: Task,
  questions: Questions,
  now: number,
): { task: Task; keys: ReadonlyMap<string, string> } {
  if (hasEnded(task)) return { task, keys: new Map() };
  const rounds = task.rounds + 1;
  const keys = new Map(Object.keys(questions).map((key) => [key, `${rounds}.${key}`]));
  const added = Object.entries(questions).map(([key, question]) => [keys.get(key) ?? key, question]);
  const inputRequests = { ...openQuestions(task), ...(Object.fromEntries(added) as Questions) };
  return { task: { ...task, rounds, updatedAt: now, ...waitingFor(inputRequests) }, keys };
}

/**
 * Takes the answers to open questions and leaves everything else aside: keys that were never given out, or that
 * have been answered before (SEP-2663). The task goes on working when no question is open any more.
 */
export function answering(task: Task, answers: Answers, now: number): { task: Task; taken: Answers } {
  const open = openQuestions(task);
  const taken = Object.fromEntries(Object.entries(answers).filter(([key]) => Object.hasOwn(open, key)));
  if (Object.keys(taken).length === 0) return { task, taken };
  const left = Object.fromEntries(Object.entries(open).filter(([key]) => !Object.hasOwn(taken, key)));
  return { task: { ...task, updatedAt: now, ...waitingFor(left) }, taken };
}

/** What the skill says of its progress; nothing of an ended task changes. */
export function saying(task: Task, message: string, now: number): Task {
  return hasEnded(task) ? task : { ...task, message, updatedAt: now };
}

/** The first ending is the only one. It is kept for as long again as the task could have lived without it. */
export function ended(
  task: Task,
  { ending, message, keepMs }: { ending: Ending; message?: string | undefined; keepMs: number },
  now: number,
): Task {
  if (hasEnded(task)) return task;
  const ttlMs = Math.max(task.ttlMs, now - task.createdAt + keepMs);
  return { ...task, state: ending, message, updatedAt: now, ttlMs };
}

/** What the task waits to be answered. */
export function openQuestions({ state }: Task): Questions {
  return state.status === 'input_required' ? state.inputRequests : {};
}

function waitingFor(inputRequests: Questions): Pick<Task, 'state'> {
  return {
    state:
      Object.keys(inputRequests).length === 0
        ? { status: 'working' }
        : { status: 'input_required', inputRequests },
  };
}
