import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { z } from 'zod';

/** A URI, or a template of some. */
export const uriSchema = z.string().min(1).max(8_192);

const meta = z.record(z.string(), z.unknown()).optional();
const name = z.string().min(1).max(256);
const words = z.record(z.string(), z.string());
const reference = z.union([
  z.object({ type: z.literal('ref/prompt'), name }),
  z.object({ type: z.literal('ref/resource'), uri: uriSchema }),
]);

/** What goes to a skill is what these schemas let through, and nothing beside it. */
export const REQUESTS = {
  'tools/call': {
    capability: 'tools',
    params: z.object({ name, arguments: z.record(z.string(), z.unknown()).optional(), _meta: meta }),
  },
  'prompts/get': {
    capability: 'prompts',
    params: z.object({ name, arguments: words.optional(), _meta: meta }),
  },
  'resources/read': { capability: 'resources', params: z.object({ uri: uriSchema, _meta: meta }) },
  'completion/complete': {
    capability: 'completions',
    params: z.object({
      ref: reference,
      argument: z.object({ name, value: z.string().max(8_192) }),
      context: z.object({ arguments: words.optional() }).optional(),
      _meta: meta,
    }),
  },
} as const;

/** Whether a method goes to a skill. */
export function isRequest(method: string): method is keyof typeof REQUESTS {
  return Object.hasOwn(REQUESTS, method);
}

/** Params as their schema has them. @throws ProtocolError -32602 with the first fault. */
export function parsed<Schema extends z.ZodType>(schema: Schema, params: unknown): z.output<Schema> {
  const outcome = schema.safeParse(params);
  if (outcome.success) return outcome.data;
  const [fault] = outcome.error.issues;
  throw invalidParams(`Invalid params: ${fault?.path.join('.') ?? ''}: ${fault?.message ?? ''}`);
}

/** A fault of the params themselves. */
export function invalidParams(message: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, message.slice(0, 500));
}
