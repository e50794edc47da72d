import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { asAppError } from '../../protocol/errors.ts';
import { berthVersion } from '../version.ts';
import type { DevSession } from './session.ts';

const message = z.looseObject({
  id: z.union([z.string().max(200), z.int()]).optional(),
  method: z.string().max(200).optional(),
  params: z.record(z.string(), z.unknown()).default({}),
});

const PARSE_ERROR = -32_700;
const INVALID_REQUEST = -32_600;
const INTERNAL_ERROR = -32_603;
const MAX_LINE_CHARS = 16 * 1024 * 1024;

/**
 * The skill as an MCP server on a pipe (MCP stdio transport), in the era that it speaks: what a client sends goes to the
 * skill as it is. It outlives the skill's restarts; the client hears that lists have changed. Ends with its input.
 */
export function serveStdio(
  session: DevSession,
  { input, output, protocol }: { input: Readable; output: Writable; protocol: () => string | undefined },
): { ended: Promise<void>; restarted(): void } {
  const calls = new Map<string | number, AbortController>();
  let opened = false;
  const send = (body: object): void => void output.write(`${JSON.stringify({ jsonrpc: '2.0', ...body })}\n`);
  const lines = createInterface({ input });
  const pending = new Set<Promise<void>>();

  function take(line: string): void {
    if (line.trim() === '') return;
    const parsed = line.length > MAX_LINE_CHARS ? undefined : message.safeParse(asJson(line));
    if (parsed?.success !== true)
      return send({ id: null, error: { code: PARSE_ERROR, message: 'This is no message of MCP.' } });
    const { id, method, params } = parsed.data;
    if (method === undefined) return id === undefined ? undefined : void 0;
    if (id === undefined) return heard(method, params);
    const work = answer(id, method, params).finally(() => pending.delete(work));
    pending.add(work);
  }

  function heard(method: string, params: Record<string, unknown>): void {
    if (method !== 'notifications/cancelled') return;
    const { requestId } = params;
    if (typeof requestId === 'string' || typeof requestId === 'number') calls.get(requestId)?.abort();
  }

  async function answer(id: string | number, method: string, params: Record<string, unknown>): Promise<void> {
    if (calls.has(id)) return send({ id, error: { code: INVALID_REQUEST, message: 'This id is in use.' } });
    const stop = new AbortController();
    calls.set(id, stop);
    try {
      send({ id, result: await result(method, params, stop.signal) });
    } catch (error) {
      const { message: text, data } = asAppError(error);
      const rpc = data?.['rpc'];
      send({ id, error: isRecord(rpc) ? rpc : { code: INTERNAL_ERROR, message: text } });
    } finally {
      calls.delete(id);
    }
  }

  async function result(method: string, params: Record<string, unknown>, signal: AbortSignal) {
    if (method === 'ping') return {};
    if (method !== 'initialize') return session.request(method, params, signal);
    // The skill was greeted by this process already, which answers for it.
    const { capabilities = {}, instructions } = session.run()?.connection.session ?? {};
    opened = true;
    return {
      protocolVersion: protocol(),
      capabilities,
      serverInfo: { name: 'berth dev', version: berthVersion() },
      ...(instructions === undefined ? {} : { instructions }),
    };
  }

  lines.on('line', take);
  const ended = new Promise<void>((resolve) => {
    lines.once('close', () => void Promise.allSettled([...pending]).then(() => resolve()));
  });
  return {
    ended,
    restarted() {
      if (!opened) return;
      for (const list of ['tools', 'prompts', 'resources'])
        send({ method: `notifications/${list}/list_changed` });
    },
  };
}

function asJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
