import { randomUUID } from 'node:crypto';
import {
  type CallToolResult,
  type InputRequests,
  type InputResponses,
  ProtocolError,
  ProtocolErrorCode,
  type Result,
} from '@modelcontextprotocol/server';

const TTL_MS = 300_000;
const POLL_INTERVAL_MS = 200;

/** What the work of a task may do beside computing. */
export interface TaskHandle {
  /** Aborts when the client cancels the task. */
  signal: AbortSignal;
  /** Waits until the client has answered every one of these questions. */
  ask(requests: InputRequests): Promise<InputResponses>;
}

/** The tasks of the extension `io.modelcontextprotocol/tasks` (SEP-2663), as long as this process lives. */
export interface Tasks {
  /** Begins a task and answers with what `tools/call` answers for it. */
  start(work: (task: TaskHandle) => Promise<CallToolResult>): Result;
  /** @throws ProtocolError for an unknown id, as the others. */
  get(id: string): Result;
  update(id: string, responses: InputResponses): Result;
  cancel(id: string): Result;
}

interface Task {
  head: { taskId: string; createdAt: string; ttlMs: number; pollIntervalMs: number };
  status: 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled';
  lastUpdatedAt: string;
  outcome: { result?: CallToolResult; error?: { code: number; message: string } };
  questions: InputRequests;
  answers: InputResponses;
  answered: () => void;
  controller: AbortController;
}

/** Makes an empty set of tasks. */
export function createTasks(): Tasks {
  const tasks = new Map<string, Task>();

  function known(id: string): Task {
    const task = tasks.get(id);
    if (task === undefined)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'There is no such task.');
    return task;
  }

  function move(task: Task, status: Task['status'], outcome: Task['outcome'] = {}): void {
    // Nothing comes after the end.
    if (isOver(task)) return;
    Object.assign(task, { status, outcome, lastUpdatedAt: new Date().toISOString() });
  }

  function handleOf(task: Task): TaskHandle {
    return {
      signal: task.controller.signal,
      ask: (requests) =>
        new Promise((resolve) => {
          Object.assign(task, { questions: { ...requests }, answers: {} });
          task.answered = () => resolve(task.answers);
          move(task, 'input_required');
        }),
    };
  }

  return {
    start(work) {
      const now = new Date().toISOString();
      const task: Task = {
        head: { taskId: randomUUID(), createdAt: now, ttlMs: TTL_MS, pollIntervalMs: POLL_INTERVAL_MS },
        status: 'working',
        lastUpdatedAt: now,
        outcome: {},
        questions: {},
        answers: {},
        answered: () => undefined,
        controller: new AbortController(),
      };
      tasks.set(task.head.taskId, task);
      setTimeout(() => tasks.delete(task.head.taskId), TTL_MS).unref();
      const created = { resultType: 'task', ...task.head, status: task.status, lastUpdatedAt: now };
      work(handleOf(task)).then(
        (result) => move(task, 'completed', { result }),
        (error: unknown) => move(task, 'failed', { error: asJsonRpc(error) }),
      );
      return created;
    },
    get(id) {
      const task = known(id);
      return {
        ...task.head,
        status: task.status,
        lastUpdatedAt: task.lastUpdatedAt,
        ...task.outcome,
        ...(task.status === 'input_required' ? { inputRequests: task.questions } : {}),
      };
    },
    update(id, responses) {
      const task = known(id);
      for (const [key, answer] of Object.entries(responses)) {
        if (!Object.hasOwn(task.questions, key)) continue;
        delete task.questions[key];
        task.answers[key] = answer;
      }
      if (task.status === 'input_required' && Object.keys(task.questions).length === 0) {
        move(task, 'working');
        task.answered();
      }
      return {};
    },
    cancel(id) {
      const task = known(id);
      move(task, 'cancelled');
      task.controller.abort();
      return {};
    },
  };
}

function isOver({ status }: Task): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

function asJsonRpc(error: unknown): { code: number; message: string } {
  return error instanceof ProtocolError
    ? { code: error.code, message: error.message }
    : { code: ProtocolErrorCode.InternalError, message: 'The task broke.' };
}
