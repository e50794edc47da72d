import type { ServerResponse } from 'node:http';
import {
  type ClientCapabilities,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import { AppError, asAppError, type ErrorCode } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';

/** Ours, out of the range that MCP leaves to implementations (-32000…-32019); `data.code` says which it is. */
const REFUSED = -32_000;
/** What the SDK's clients know as a session that is gone. */
const SESSION_GONE = -32_001;

/** Faults of the request itself: the client named something that is not there, or not in this form. */
const REQUEST_FAULTS: ReadonlySet<ErrorCode> = new Set([
  'tool-not-found',
  'prompt-not-found',
  'resource-not-found',
  'task-not-found',
  'arguments-invalid',
  'request-invalid',
]);
/** Of these a model can make nothing by itself, so that it gets them as results, not as protocol errors. */
const MODEL_CAN_MEND: ReadonlySet<ErrorCode> = new Set(['arguments-invalid']);

const INVALID_PARAMS_RPC = new Set([-32_602, -32_002]);

/** Where an error arose, for the log and for whoever reports it. */
export interface ErrorPlace {
  requestId: string;
  log: Logger;
}

/**
 * The outcome of a failed `tools/call`: a result that a model can act on, wherever the call was made
 * properly and only did not succeed.
 * @throws ProtocolError for faults of the request and for faults of ours.
 */
export function toolFailure(thrown: unknown, place: ErrorPlace): Record<string, unknown> {
  const error = asAppError(thrown);
  const ours = error.code === 'internal';
  if (ours || (REQUEST_FAULTS.has(error.code) && !MODEL_CAN_MEND.has(error.code)))
    throw protocolError(thrown, place);
  return { isError: true, content: [{ type: 'text', text: textForAgents(error) }] };
}

/** The JSON-RPC error of whatever failed; an unexpected fault is logged whole and told only by its id. */
export function protocolError(thrown: unknown, { requestId, log }: ErrorPlace): ProtocolError {
  // The SDK's own errors are answers already.
  if (thrown instanceof ProtocolError) return thrown;
  const error = asAppError(thrown);
  if (error.code === 'internal') {
    log.error({ requestId, err: thrown }, 'unexpected fault');
    return new ProtocolError(ProtocolErrorCode.InternalError, error.title, { code: error.code, requestId });
  }
  // SEP-2164: a resource that is not there is named.
  const uri = error.data?.['uri'];
  return new ProtocolError(rpcCodeOf(error), textForAgents(error), {
    code: error.code,
    requestId,
    ...(typeof uri === 'string' ? { uri } : {}),
  });
}

function rpcCodeOf(error: AppError): number {
  if (REQUEST_FAULTS.has(error.code)) return ProtocolErrorCode.InvalidParams;
  // A skill that does not know what it was asked for says so in the same words as the hub would.
  return INVALID_PARAMS_RPC.has(rpcOf(error)?.code as number) ? ProtocolErrorCode.InvalidParams : REFUSED;
}

/** What a skill's own JSON-RPC error said. */
function rpcOf(error: AppError): { code?: unknown; data?: unknown } | undefined {
  return error.code === 'skill-error' ? (error.data?.['rpc'] as object | undefined) : undefined;
}

const ASKED_OF_CLIENTS = ['elicitation', 'sampling', 'roots'] as const;

/**
 * Set where a skill could not do its work because this client did not say that it can be asked: MCP 2026-07-28 has
 * an error of its own for that, which names what to declare. Of what the skill says only that is passed on.
 */
export function missingCapability(thrown: unknown): ProtocolError | undefined {
  const rpc = thrown instanceof AppError ? rpcOf(thrown) : undefined;
  if (rpc?.code !== ProtocolErrorCode.MissingRequiredClientCapability) return undefined;
  const { requiredCapabilities: asked = {} } = (rpc.data ?? {}) as { requiredCapabilities?: object };
  const named = ASKED_OF_CLIENTS.filter((name) => Object.hasOwn(asked ?? {}, name));
  const requiredCapabilities: ClientCapabilities = Object.fromEntries(named.map((name) => [name, {}]));
  return new MissingRequiredClientCapabilityError({ requiredCapabilities });
}

/** Commands of ours, web addresses, and ids under which something waits for an approval. */
const APPROVES = /`|\bberth\s+[a-z]|\bhttps?:\/\/|\b(?:call|install|upgrade)_[0-9A-Za-z]/;
const MAX_TEXT_CHARS = 4_000;

/**
 * What an agent is told: title, detail and hint, without any sentence that could help it to approve its own
 * call. Hints are written for people, at a terminal and in a console; an agent is neither.
 */
export function textForAgents(error: AppError): string {
  const sentences = [`${error.title}.`, error.message, error.hint ?? ''].flatMap((part) =>
    part.split(/(?<=[.!?])\s+(?=[A-Z])/),
  );
  const told = sentences.filter((sentence) => sentence !== '' && !APPROVES.test(sentence)).join(' ');
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what has to go
  return told.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ' ').slice(0, MAX_TEXT_CHARS);
}

/** What tells a client where to get a token, in `WWW-Authenticate`. */
export interface Challenge {
  /** RFC 9728 §5.1: where it is written which authorization servers are believed. */
  resourceMetadata?: string;
  /** RFC 6750 §3: the scope to begin with. */
  scope?: string;
}

/** How a request was turned away before it became a JSON-RPC exchange. */
export interface Refusal {
  status?: number;
  headers?: Record<string, string>;
  challenge?: Challenge;
}

/** Answers an HTTP request that got no further, in JSON-RPC's form, which MCP clients can show. */
export function refuse(
  response: ServerResponse,
  thrown: unknown,
  place: ErrorPlace,
  refusal: Refusal = {},
): void {
  const error = asAppError(thrown);
  const { message, data } = protocolError(thrown, place);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const code = httpRpcCodeOf(error);
  response.writeHead(refusal.status ?? error.status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...challengeOf(error, refusal.challenge),
    ...retryAfter(error),
    ...refusal.headers,
  });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message, data } }));
}

function httpRpcCodeOf(error: AppError): number {
  if (error.code === 'internal') return ProtocolErrorCode.InternalError;
  if (error.code === 'session-not-found') return SESSION_GONE;
  if (error.code !== 'request-invalid') return REFUSED;
  return error.cause instanceof SyntaxError ? ProtocolErrorCode.ParseError : ProtocolErrorCode.InvalidRequest;
}

/**
 * RFC 6750 §3: says why a token was not taken, and nothing about it where none came; where tokens come from
 * (RFC 9728 §5.1), and for one that opens too little, which scope opens the rest.
 */
function challengeOf(error: AppError, { resourceMetadata, scope }: Challenge = {}): Record<string, string> {
  const stepUp = error.code === 'insufficient-scope';
  if (error.status !== 401 && !stepUp) return {};
  const fault = stepUp
    ? 'insufficient_scope'
    : error.data?.['tokenSent'] === true
      ? 'invalid_token'
      : undefined;
  const said = Object.entries({
    realm: 'berth',
    error: fault,
    error_description: fault === undefined ? undefined : error.title,
    scope: stepUp ? (error.data?.['scope'] as string | undefined) : scope,
    resource_metadata: resourceMetadata,
  }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${value}"`]));
  return { 'www-authenticate': `Bearer ${said.join(', ')}` };
}

/** RFC 9110 §10.2.3. */
function retryAfter({ data }: AppError): Record<string, string> {
  const seconds = data?.['retryAfterSeconds'];
  return typeof seconds === 'number' ? { 'retry-after': String(seconds) } : {};
}
