import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import type { LearnCall } from './learn.ts';

/** What a file of calls may be at most. */
export const CALLS_MAX_BYTES = 1024 * 1024;

const callsSchema = z
  .array(
    z.strictObject({
      /** Of which server; all when left out. */
      server: z.string().min(1).max(200).optional(),
      tool: z.string().min(1).max(128),
      arguments: z.record(z.string().max(200), z.json()).default({}),
    }),
  )
  .min(1)
  .max(1_000);

/**
 * The user's own calls to learn from: `[{"server": "files", "tool": "read", "arguments": {…}}, …]`.
 * @throws AppError `usage-invalid` naming what is wrong.
 */
export function readCalls(text: string, path: string): (server: string) => readonly LearnCall[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(path, 'is not JSON', error);
  }
  const parsed = callsSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(
      path,
      `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'is not valid'}`,
      parsed.error,
    );
  }
  return (server) =>
    parsed.data.flatMap((call) =>
      call.server === undefined || call.server === server
        ? [{ tool: call.tool, arguments: call.arguments }]
        : [],
    );
}

function invalid(path: string, problem: string, cause: unknown): AppError {
  return new AppError('usage-invalid', {
    detail: `${path}: ${problem}.`,
    hint: 'Write a list such as [{"server": "files", "tool": "read_file", "arguments": {"path": "a.txt"}}].',
    cause,
  });
}
