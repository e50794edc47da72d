import { AppError } from '../../protocol/errors.ts';
import type { Cancellation } from '../cancellation.ts';
import type { Clock } from '../clock.ts';
import { type CallingClient, isQuestion, isWanted } from '../questions.ts';
import { notMcp } from './pipe.ts';
import type { SkillProgress } from './runner.ts';
import type { Transport } from './transport.ts';

const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
const INTERNAL_ERROR = -32603;
/** Messages in one JSON-RPC batch, which MCP 2025-03-26 allows. */
const MAX_BATCH = 100;
/** Of a skill's own error text. */
const MAX_ERROR_CHARS = 2_000;

export interface PeerRequest {
  method: string;
  params: Record<string, unknown>;
  signal?: Cancellation | undefined;
  onProgress?: ((progress: SkillProgress) => void) | undefined;
  /** Goes into `_meta`, over what the conversation has there. */
  meta?: Readonly<Record<string, unknown>> | undefined;
  /** Whom the skill may turn to meanwhile. Only one request at a time may have one: stdio does not say for which it asks. */
  client?: CallingClient | undefined;
  /** For the skill's own work: while its question waits for an answer, the time stands still. */
  timeoutMs: number;
}

/**
 * The hub's end of a JSON-RPC conversation with a skill. Results are handed on as they came: the hub
 * relays skills and must not lose what it does not know.
 */
export interface Peer {
  /** @throws AppError `skill-error`, `skill-timeout`, `call-cancelled`, `skill-busy`, and whatever `fail` was given. */
  request(request: PeerRequest): Promise<Record<string, unknown>>;
  notify(method: string, params?: Record<string, unknown>): void;
  /** Takes one message from the skill; says whether it answers a request. */
  receive(message: unknown): boolean;
  /** Fails the request of this id, to which no answer will come; not one that is answered already. */
  lost(id: unknown, error: AppError): void;
  /** Ends the conversation: everything in flight, and whatever is asked later, fails with this. */
  fail(error: AppError): void;
}

interface Waiting {
  resolve(result: Record<string, unknown>): void;
  reject(error: AppError): void;
  onProgress: PeerRequest['onProgress'];
  client: CallingClient | undefined;
  /** Stops its clock; the answer starts it again. */
  pause(): () => void;
}

/** Makes the hub's end of the conversation; `meta` goes into the `_meta` of everything it sends. */
export function createPeer({
  send,
  skill,
  clock,
  graceMs,
  meta,
  notified,
  broken,
  unsettled,
}: {
  send: Transport['send'];
  skill: string;
  clock: Clock;
  /** How long an answer to a cancelled request is waited for. */
  graceMs: number;
  meta: Readonly<Record<string, unknown>>;
  notified: (method: string, params: Record<string, unknown>) => void;
  broken: (error: AppError) => void;
  /** A cancelled request has not been answered in time: the skill may have stopped it, or hang. */
  unsettled: () => void;
}): Peer {
  const waiting = new Map<number, Waiting>();
  /** Requests that were given up, with the way to stop watching for their answer. */
  const abandoned = new Map<number, () => void>();
  let lastId = 0;
  const hasNoMeta = Object.keys(meta).length === 0;
  let failure: AppError | undefined;

  // Without `async`, which would cost each call more turns than it takes.
  function request(order: PeerRequest): Promise<Record<string, unknown>> {
    const { method, params, signal, onProgress, timeoutMs, client } = order;
    return new Promise((resolve, reject) => {
      if (failure !== undefined) throw failure;
      if (signal?.aborted === true) throw cancelled(skill);
      lastId += 1;
      const id = lastId;
      const progressToken = onProgress === undefined ? {} : { progressToken: id };
      const isBare = hasNoMeta && order.meta === undefined && onProgress === undefined;
      const sent = isBare ? params : withMeta(params, { ...meta, ...order.meta, ...progressToken });
      send({ jsonrpc: '2.0', id, method, params: sent });

      const giveUp = (error: AppError): void => {
        release();
        abandon(id, error.message);
        reject(error);
      };
      const cancel = (): void => giveUp(cancelled(skill));
      const startTimer = () => clock.after(timeoutMs, () => giveUp(tooSlow(skill, method, timeoutMs)));
      let stopTimer = startTimer();
      const release = (): void => {
        stopTimer();
        signal?.removeEventListener('abort', cancel);
      };
      let questions = 0;
      const pause = () => {
        questions += 1;
        stopTimer();
        return () => {
          questions -= 1;
          if (questions === 0 && waiting.has(id)) stopTimer = startTimer();
        };
      };
      waiting.set(id, {
        resolve(result) {
          release();
          resolve(result);
        },
        reject(error) {
          release();
          reject(error);
        },
        onProgress,
        client,
        pause,
      });
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  function abandon(id: number, reason: string): void {
    waiting.delete(id);
    const watch = clock.after(graceMs, () => {
      abandoned.delete(id);
      unsettled();
    });
    abandoned.set(id, watch);
    try {
      notify('notifications/cancelled', { requestId: id, reason });
    } catch {
      // A skill that reads nothing can't be told; the grace period ends it.
    }
  }

  function notify(method: string, params: Record<string, unknown> = {}): void {
    if (failure !== undefined) return;
    send({ jsonrpc: '2.0', method, params: withMeta(params, meta) });
  }

  // Messages are taken apart by hand, not by schemas: this is the hot path of every call.
  function receive(message: unknown): boolean {
    if (failure !== undefined) return false;
    const before = waiting.size;
    if (Array.isArray(message) && message.length <= MAX_BATCH) {
      for (const part of message) receiveOne(part);
    } else receiveOne(message);
    return waiting.size < before;
  }

  function receiveOne(message: unknown): void {
    if (!isObject(message) || message['jsonrpc'] !== '2.0') return protocolFault();
    const { id, method } = message;
    if (typeof method === 'string') {
      const params = isObject(message['params']) ? message['params'] : {};
      if (id === undefined) return notification(method, params);
      if (typeof id === 'string' || typeof id === 'number') return answer(id, method, params);
    } else if (typeof id === 'number' && ('result' in message || 'error' in message))
      return response(id, message);
    else if (id === null && 'error' in message) return;
    protocolFault();
  }

  function protocolFault(): void {
    broken(notMcp(skill, 'sent JSON that is not a JSON-RPC message'));
  }

  /** Who waits for the answer of this id, which is over with this; nobody any more when it was given up. */
  function settled(id: number): Waiting | undefined {
    abandoned.get(id)?.();
    abandoned.delete(id);
    const caller = waiting.get(id);
    waiting.delete(id);
    return caller;
  }

  function response(id: number, message: Record<string, unknown>): void {
    const caller = settled(id);
    if (caller === undefined) return;
    if ('error' in message) caller.reject(ofSkill(skill, message['error']));
    else if (isObject(message['result'])) caller.resolve(message['result']);
    else caller.reject(notMcp(skill, 'answered with a result that is not an object'));
  }

  /** Whoever the skill's words are for: known only while exactly one request has somebody behind it. */
  function onlyCaller(): Waiting | undefined {
    const callers = [...waiting.values()].filter(({ client }) => client !== undefined);
    return callers.length === 1 ? callers[0] : undefined;
  }

  /** What a skill asks goes to the client of the call that it is asked in, and to nobody where that is not certain. */
  function answer(id: string | number, method: string, params: Record<string, unknown>): void {
    if (method === 'ping') return reply(id, { result: {} });
    const caller = onlyCaller();
    if (caller?.client === undefined || !isQuestion(method)) {
      const message = `This client does not offer ${method.slice(0, 100)} now.`;
      return reply(id, { error: { code: METHOD_NOT_FOUND, message } });
    }
    const resume = caller.pause();
    const { _meta: _hop, ...asked } = params;
    void caller.client
      .ask({ question: { method, params: asked } })
      .then(
        (answers) => reply(id, { result: answers['question'] ?? {} }),
        (error: unknown) => reply(id, { error: unanswered(error) }),
      )
      .finally(resume);
  }

  function reply(id: string | number, outcome: object): void {
    if (failure !== undefined) return;
    try {
      send({ jsonrpc: '2.0', id, ...outcome });
    } catch (error) {
      broken(error as AppError);
    }
  }

  function notification(method: string, params: Record<string, unknown>): void {
    if (method === 'notifications/message') logged(params);
    if (method !== 'notifications/progress') return notified(method, params);
    const { progressToken, progress, total, message } = params;
    const caller = typeof progressToken === 'number' ? waiting.get(progressToken) : undefined;
    if (caller?.onProgress === undefined || typeof progress !== 'number') return;
    caller.onProgress({
      progress,
      ...(typeof total === 'number' ? { total } : {}),
      ...(typeof message === 'string' ? { message } : {}),
    });
  }

  function logged(params: Record<string, unknown>): void {
    const client = onlyCaller()?.client;
    if (client?.logLevel !== undefined && isWanted(params['level'], client.logLevel)) client.log?.(params);
  }

  return {
    request,
    notify,
    receive,
    lost(id, error) {
      if (typeof id === 'number') settled(id)?.reject(error);
    },
    fail(error) {
      if (failure !== undefined) return;
      failure = error;
      for (const stopWatching of abandoned.values()) stopWatching();
      abandoned.clear();
      for (const caller of waiting.values()) caller.reject(error);
      waiting.clear();
    },
  };
}

function withMeta(params: Record<string, unknown>, meta: Record<string, unknown>): Record<string, unknown> {
  const own = isObject(params['_meta']) ? params['_meta'] : {};
  const merged = { ...own, ...meta };
  return Object.keys(merged).length === 0 ? params : { ...params, _meta: merged };
}

/** Why a question has no answer, for the skill: whatever is not its own fault is only called that. */
function unanswered(thrown: unknown): { code: number; message: string } {
  const refused = thrown instanceof AppError && thrown.code === 'question-refused';
  return {
    code: refused ? INVALID_PARAMS : INTERNAL_ERROR,
    message: thrown instanceof AppError ? thrown.message : 'The question was not answered.',
  };
}

function ofSkill(skill: string, error: unknown): AppError {
  const { code, message, data } = isObject(error) ? error : {};
  const text = typeof message === 'string' ? message.slice(0, MAX_ERROR_CHARS) : 'no message';
  return new AppError('skill-error', {
    detail: `${skill} answered with an error: ${text}`,
    data: {
      rpc: {
        code: Number.isSafeInteger(code) ? code : -32603,
        message: text,
        ...(data === undefined ? {} : { data }),
      },
    },
  });
}

function tooSlow(skill: string, method: string, timeoutMs: number): AppError {
  return new AppError('skill-timeout', {
    detail: `${skill} did not finish ${method} within ${timeoutMs} ms. Whether it took effect is not known.`,
  });
}

/** The failure of a call that its client has given up. */
export function cancelled(skill: string): AppError {
  return new AppError('call-cancelled', { detail: `The call to ${skill} was cancelled.` });
}

/** A JSON object: not null, not an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
