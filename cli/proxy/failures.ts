import {
  type JSONRPCErrorResponse,
  ProtocolErrorCode,
  SdkErrorCode,
  SdkHttpError,
} from '@modelcontextprotocol/client';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';

/** The error of a JSON-RPC answer. */
export type RpcError = JSONRPCErrorResponse['error'];

/** Ours, out of the range that MCP leaves to implementations; `data.code` says which it is. */
const REFUSED = -32_000;

/** What the hub answers to an HTTP request that became no exchange; its `id` is null. */
const hubRefusal = z.object({
  error: z.object({ code: z.number().int(), message: z.string(), data: z.unknown().optional() }),
});

/**
 * What the client is told about a message that could not be carried. Never a command: an agent reads this. The hub's
 * own words are kept where there are some.
 */
export function rpcErrorOf(thrown: unknown): RpcError {
  if (thrown instanceof AppError)
    return { code: REFUSED, message: `${thrown.title}. ${thrown.message}`, data: { code: thrown.code } };
  return (
    refusalIn(thrown) ?? {
      code: ProtocolErrorCode.InternalError,
      message: 'The hub answered with something that is not MCP.',
      data: { code: 'internal' },
    }
  );
}

/** Whether the hub no longer knows the session, as after its restart. */
export function isSessionGone(thrown: unknown): boolean {
  // What the hub said about a stream that it did not open, the SDK does not keep.
  if (thrown instanceof SdkHttpError && thrown.code === SdkErrorCode.ClientHttpFailedToOpenStream)
    return thrown.status === 404;
  const { data } = refusalIn(thrown) ?? {};
  return (data as { code?: unknown } | undefined)?.code === 'session-not-found';
}

/** The HTTP status of what the SDK's transport throws; undefined when there was no answer. */
export function statusOf(thrown: unknown): number | undefined {
  return thrown instanceof SdkHttpError ? thrown.status : undefined;
}

function refusalIn(thrown: unknown): RpcError | undefined {
  const text = thrown instanceof SdkHttpError ? thrown.data['text'] : undefined;
  if (typeof text !== 'string') return undefined;
  try {
    return hubRefusal.parse(JSON.parse(text)).error;
  } catch {
    // Whatever answered there is no hub, which the caller says.
    return undefined;
  }
}
