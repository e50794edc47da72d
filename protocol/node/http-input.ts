import express, { type Request, type Response } from 'express';
import type { z } from 'zod';
import { AppError } from '../errors.ts';
import { RAW_BYTES } from '../route.ts';
import { refuseDeepJson } from '../json-depth.ts';

/** Bounds on what a request may hold. */
export interface HttpLimits {
  /** Bytes of a JSON body. */
  bodyBytes: number;
  /** Nested objects and arrays in a JSON body. */
  bodyDepth: number;
}

/** What holds where a route says nothing else. */
export const DEFAULT_HTTP_LIMITS: HttpLimits = { bodyBytes: 1_048_576, bodyDepth: 64 };

/** True for the mark of a body or reply of raw bytes. */
export function isRaw(schema: z.ZodType): boolean {
  return schema === (RAW_BYTES as z.ZodType);
}

/** True for the schema of an input that must be absent. */
export function takesNothing(schema: z.ZodType): boolean {
  return schema.def.type === 'undefined';
}

/** The JSON of a body within its limits; `undefined` for none, and for one that the handler streams. */
export async function readBody(
  request: Request,
  response: Response,
  schema: z.ZodType,
  limits: HttpLimits,
): Promise<unknown> {
  if (isRaw(schema)) return undefined;
  const announced =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length']) > 0;
  if (takesNothing(schema)) {
    if (announced) throw new AppError('request-invalid', { detail: 'This takes no body.' });
    return undefined;
  }
  if (!announced) return undefined;
  if (request.is('application/json') !== 'application/json') {
    throw new AppError('request-invalid', {
      detail: 'The body must be JSON.',
      hint: 'Content-Type: application/json',
    });
  }
  const read = express.raw({ limit: limits.bodyBytes, type: () => true });
  await new Promise<void>((resolve, reject) => {
    read(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
  return parseJson(request.body as Uint8Array, limits.bodyDepth);
}

function parseJson(bytes: Uint8Array, maxDepth: number): unknown {
  refuseDeepJson(bytes, maxDepth);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new AppError('request-invalid', { detail: 'The body is not JSON in UTF-8.', cause: error });
  }
}

/** One thing wrong with an input: where, as `body.name`, and what. */
interface Fault {
  path: string;
  problem: string;
}

const MAX_FAULTS = 20;
const MAX_FAULT_CHARS = 200;

/** One part of a request through its schema; `request-invalid` names every fault by its path. */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  where: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = faultsOf(parsed.error, where);
  throw new AppError('request-invalid', {
    detail: faults.map(({ path, problem }) => `${path}: ${problem}`).join('; '),
    data: { faults },
  });
}

/** The faults of an input as data, bounded: they repeat parts of what somebody sent. */
function faultsOf(error: z.ZodError, where: string): Fault[] {
  return error.issues.slice(0, MAX_FAULTS).map(({ path, message }) => ({
    path: [where, ...path.map(String)].join('.').slice(0, MAX_FAULT_CHARS),
    problem: message.slice(0, MAX_FAULT_CHARS),
  }));
}
