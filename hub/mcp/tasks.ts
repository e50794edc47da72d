import {
  CLIENT_CAPABILITIES_META_KEY,
  ProtocolError,
  ProtocolErrorCode,
  type Result,
  type Server,
  type ServerCapabilities,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import { askable } from '../questions.ts';
import type { Tasks } from '../tasks/tasks.ts';
import type { Ending, Owner, Task } from '../tasks/task.ts';
import { type ErrorPlace, protocolError, toolFailure } from './errors.ts';
import type { GatewayRequest } from './gateway.ts';

/** SEP-2663; the methods and shapes below are those of its revision 2026-07-28. */
const EXTENSION = 'io.modelcontextprotocol/tasks';
/** How a tool says that it takes long, in any revision; those before 2026-07-28 have `execution.taskSupport` as well. */
const TASK_SUPPORT_KEY = 'dev.berth/taskSupport';
const POLL_INTERVAL_MS = 1_000;

/** Answers at once, and characters of a key. */
const MAX_ANSWERS = 64;
const MAX_KEY_CHARS = 300;

const anything = z.looseObject({});
const taskId = z.string().min(1).max(256);
const oneTask = z.object({ taskId });
const someAnswers = z.object({
  taskId,
  inputResponses: z
    .record(z.string().max(MAX_KEY_CHARS), z.record(z.string(), z.unknown()))
    .refine((answers) => Object.keys(answers).length <= MAX_ANSWERS, `more than ${MAX_ANSWERS} answers`),
});
const METHODS: ReadonlySet<string> = new Set(['tasks/get', 'tasks/update', 'tasks/cancel']);

/** What a door of MCP 2026-07-28 offers: where there are tools, their calls can be tasks. */
export function withTasks(capabilities: ServerCapabilities, tasks: Tasks | undefined): ServerCapabilities {
  if (tasks === undefined || capabilities.tools === undefined) return capabilities;
  return { ...capabilities, extensions: { ...capabilities.extensions, [EXTENSION]: {} } };
}

/**
 * Answers `tasks/get`, `tasks/update` and `tasks/cancel` at a door that offers tasks. Each has a handler of its own:
 * the SDK knows two of them as methods of an older revision, which it does not hand to a fallback.
 */
export function serveTasks(server: Server, tasks: Tasks, asking: Owner, place: () => ErrorPlace): void {
  const serve = <Schema extends z.ZodType>(
    method: string,
    schema: Schema,
    answer: (params: z.output<Schema>) => Promise<Result>,
  ): void =>
    server.setRequestHandler(method, { params: anything, result: anything }, async (params, context) => {
      if (!declaresTasks(context)) throw capabilityMissing();
      try {
        // The SDK lifts answers out of the params of every request.
        const { inputResponses } = context.mcpReq;
        return { ...(await answer(parsed(schema, { ...params, inputResponses }))) };
      } catch (error) {
        throw protocolError(error, place());
      }
    });
  serve('tasks/get', oneTask, async ({ taskId: id }) => detailed(await tasks.get(asking, id)));
  serve('tasks/cancel', oneTask, async ({ taskId: id }) => {
    await tasks.cancel(asking, id);
    return ACKNOWLEDGED;
  });
  serve('tasks/update', someAnswers, async ({ taskId: id, inputResponses }) => {
    await tasks.update(asking, id, inputResponses);
    return ACKNOWLEDGED;
  });
}

/** Whether a door with these capabilities has the method. */
export function servesTasks({ extensions }: ServerCapabilities, method: string): boolean {
  return extensions?.[EXTENSION] !== undefined && METHODS.has(method);
}

/** A `tools/call` that may be answered with a task. */
export interface TaskableCall {
  owner: Owner;
  /** As listed to the client; undefined where there is no such tool. */
  tool: Record<string, unknown> | undefined;
  /** Its `client` is asked in the request, as long as there is no task. */
  order: GatewayRequest;
  place: ErrorPlace;
}

/**
 * Whether this call may become a task: its client has said with this very request that it knows tasks, and does
 * not come back to a call that goes on already.
 * @throws ProtocolError -32021 where the tool is only to be had as a task, and the client did not say so.
 */
export function mayBeTask(tool: Record<string, unknown> | undefined, context: ServerContext): boolean {
  if (declaresTasks(context)) return context.mcpReq.requestState() === undefined;
  if (taskSupportOf(tool) === 'required') throw capabilityMissing();
  return false;
}

/**
 * Makes a call as a task, at once where the tool says that it takes long, otherwise when it does. Until then it asks
 * the client in its request. `work` gives the call's result in the form that the client gets.
 * @throws whatever the work throws while there is no task.
 */
export async function callAsTask(
  tasks: Tasks,
  { owner, tool, order, place }: TaskableCall,
  context: ServerContext,
  work: (more: Pick<GatewayRequest, 'signal' | 'onProgress' | 'client'>) => Promise<Result>,
): Promise<Result> {
  const capabilities = askable(clientCapabilities(context));
  const answer = await tasks.run(
    {
      owner: { user: owner.user, client: owner.client },
      tool: String(order.params['name']),
      when: WHEN[taskSupportOf(tool)],
      signal: order.signal,
      onProgress: order.onProgress,
      ask: order.client?.ask,
      failed: (error) => endingOf(error, place),
    },
    ({ signal, onProgress, ask }) =>
      work({ signal, onProgress, client: { ...order.client, capabilities, ask } }),
  );
  return 'task' in answer ? { resultType: 'task', ...summary(answer.task) } : answer.result;
}

const WHEN = { required: 'at-once', optional: 'if-possible', forbidden: 'when-slow' } as const;

/** Whether clients of MCP 2026-07-28 get this tool as a task, or not at all. */
export function isTaskOnly(tool: Record<string, unknown>): boolean {
  return taskSupportOf(tool) === 'required';
}

/** MCP 2025-11-25, Tool-Level Negotiation; a tool that says nothing is called like any other. */
function taskSupportOf(tool: Record<string, unknown> | undefined): keyof typeof WHEN {
  const { taskSupport } = (tool?.['execution'] ?? {}) as Record<string, unknown>;
  const meta = (tool?.['_meta'] ?? {}) as Record<string, unknown>;
  // First what an author wrote on purpose: SDKs of 2025-11-25 say `forbidden` for every tool by themselves.
  const said = meta[TASK_SUPPORT_KEY] ?? taskSupport;
  return said === 'required' || said === 'optional' ? said : 'forbidden';
}

/**
 * How a call that failed ends its task: a JSON-RPC error of the skill, or a fault of the request or of ours, as
 * `failed`, everything else as a result that a model can act on (SEP-2663, Task Execution Errors).
 */
function endingOf(error: unknown, place: ErrorPlace): Ending {
  try {
    if (error instanceof AppError && error.code === 'skill-error') throw protocolError(error, place);
    return { status: 'completed', result: toolFailure(error, place) };
  } catch (thrown) {
    const { code, message, data } = protocolError(thrown, place);
    return { status: 'failed', error: { code, message, ...(data === undefined ? {} : { data }) } };
  }
}

const ACKNOWLEDGED: Result = { resultType: 'complete' };

/** What a client learns of a task that it is given. */
function summary({ id, state, message, createdAt, updatedAt, ttlMs }: Task): Record<string, unknown> {
  return {
    taskId: id,
    status: state.status,
    ...(message === undefined ? {} : { statusMessage: message }),
    createdAt: new Date(createdAt).toISOString(),
    lastUpdatedAt: new Date(updatedAt).toISOString(),
    ttlMs,
    pollIntervalMs: POLL_INTERVAL_MS,
  };
}

/** The whole of a task: what it asks, or how it ended. */
function detailed(task: Task): Result {
  return { resultType: 'complete', ...summary(task), ...task.state };
}

/** Whether the client has said with this request that it knows tasks. */
export function declaresTasks(context: ServerContext): boolean {
  const { extensions } = clientCapabilities(context);
  const declared = (extensions as Record<string, unknown> | undefined)?.[EXTENSION];
  return typeof declared === 'object' && declared !== null;
}

function clientCapabilities({ mcpReq }: ServerContext): Record<string, unknown> {
  const envelope = mcpReq.envelope as Record<string, unknown> | undefined;
  return (envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {}) as Record<string, unknown>;
}

/** MCP 2026-07-28: says which capability to declare. */
function capabilityMissing(): ProtocolError {
  return new ProtocolError(
    ProtocolErrorCode.MissingRequiredClientCapability,
    `Missing required client capability: ${EXTENSION}`,
    { requiredCapabilities: { extensions: { [EXTENSION]: {} } } },
  );
}

function parsed<Schema extends z.ZodType>(schema: Schema, params: unknown): z.output<Schema> {
  const outcome = schema.safeParse(params);
  if (outcome.success) return outcome.data;
  const [fault] = outcome.error.issues;
  throw new AppError('request-invalid', {
    detail: `Invalid params: ${fault?.path.join('.') ?? ''}: ${fault?.message ?? ''}`.slice(0, 500),
  });
}
