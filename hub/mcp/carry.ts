import {
  CLIENT_CAPABILITIES_META_KEY,
  LOG_LEVEL_META_KEY,
  type Result,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import {
  type Answers,
  askable,
  type CallingClient,
  isAnswer,
  LOG_LEVELS,
  type LogLevel,
  type Questions,
} from '../questions.ts';
import type { GatewayRequest } from './gateway.ts';
import type { Listener, ParkedCalls } from './parked.ts';
import { declaresTasks } from './tasks.ts';
import type { Visitor } from './visitor.ts';

export interface CarryParts {
  parked: ParkedCalls;
  /** How long a question waits for its answer. */
  answerTtlMs: number;
}

const levelSchema = z.enum(LOG_LEVELS);

/**
 * Sends a request on its way. A client that can be asked is asked in its era's way: in its session by requests, or
 * with a result that it comes back to with answers.
 */
export async function carried(
  { parked, answerTtlMs }: CarryParts,
  visitor: Visitor,
  server: Server,
  {
    method,
    params,
    context,
    send,
  }: {
    method: GatewayRequest['method'];
    params: Record<string, unknown>;
    context: ServerContext;
    /** Its result is what the client gets. */
    send: (order: GatewayRequest) => Promise<Result>;
  },
): Promise<Result> {
  const { mcpReq } = context;
  const { principal, scope } = visitor;
  const listener = listenerOf(context);
  const order = { method, params, signal: mcpReq.signal, ...listener };
  if (visitor.era === 'legacy') {
    const client: CallingClient = {
      capabilities: askable(server.getClientCapabilities()),
      ask: (questions) => askInSession(context, questions, answerTtlMs),
      ...logWanted(visitor.session.logLevel, listener),
    };
    return send({ ...order, client });
  }
  const envelope = mcpReq.envelope as Record<string, unknown> | undefined;
  const capabilities = askable(envelope?.[CLIENT_CAPABILITIES_META_KEY]);
  const level = levelSchema.safeParse(envelope?.[LOG_LEVEL_META_KEY]).data;
  const requestState = mcpReq.requestState<string>();
  // MCP 2026-07-28, basic/patterns/mrtr: only these three may ask for input.
  if (
    method === 'completion/complete' ||
    (requestState === undefined && Object.keys(capabilities).length === 0)
  ) {
    const client: CallingClient = { capabilities: {}, ask: askNobody, ...logWanted(level, listener) };
    return send({ ...order, client });
  }
  const { _meta: _hop, ...asked } = params;
  const binding = {
    user: principal.user,
    client: principal.client,
    request: {
      method,
      params: asked,
      door: scope.kind === 'all' ? null : scope.name,
      // Whoever began a call that may become a task must still know tasks when it does.
      tasks: declaresTasks(context),
    },
  };
  const round = {
    binding,
    requestState,
    inputResponses: mcpReq.inputResponses,
    signal: mcpReq.signal,
    listener,
  };
  return parked.round(round, (ask, signal, heard) =>
    send({
      method,
      params,
      signal,
      ...(listener.onProgress === undefined ? {} : { onProgress: heard.onProgress }),
      client: { capabilities, ask, ...logWanted(level, heard) },
    }),
  );
}

/** Who hears of progress and of log messages, as far as the stream of this request can carry them. */
function listenerOf({ mcpReq }: ServerContext): Listener {
  const { _meta: { progressToken } = {} } = mcpReq;
  // Whoever has gone away needs nothing any more.
  const notify = (method: string, params: Record<string, unknown>) =>
    void mcpReq.notify({ method, params }).catch(() => undefined);
  const log = (message: Record<string, unknown>) => notify('notifications/message', message);
  if (progressToken === undefined) return { log };
  let furthest = -Infinity;
  return {
    log,
    onProgress(progress) {
      // MCP: progress must increase. Clients treat anything else as a fault of the hub.
      if (progress.progress <= furthest) return;
      furthest = progress.progress;
      notify('notifications/progress', { progressToken, ...progress });
    },
  };
}

function logWanted(
  logLevel: LogLevel | undefined,
  { log }: Pick<Listener, 'log'>,
): Pick<CallingClient, 'logLevel' | 'log'> {
  return logLevel === undefined ? {} : { logLevel, log };
}

const anyResult = z.looseObject({});

/** Up to 2025-11-25 a question is a request, on the stream of the call that it belongs to. */
async function askInSession(
  { mcpReq }: ServerContext,
  questions: Questions,
  timeout: number,
): Promise<Answers> {
  const answers = Object.entries(questions).map(async ([key, { method, params }]) => {
    const answer = await mcpReq
      .send({ method, params }, anyResult, { timeout, signal: mcpReq.signal })
      .catch((cause: unknown) => {
        throw new AppError('question-unanswered', { detail: 'The client did not answer.', cause });
      });
    if (isAnswer(method, answer)) return [key, answer] as const;
    throw new AppError('question-unanswered', { detail: 'The client answered with something else.' });
  });
  return Object.fromEntries(await Promise.all(answers));
}

function askNobody(): Promise<never> {
  return Promise.reject(
    new AppError('question-unanswered', { detail: 'This client cannot be asked anything.' }),
  );
}
