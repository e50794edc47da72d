import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import type { SandboxDriver, SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import type { EchoPackage } from './echo-package.ts';
import { openWire } from './wire.ts';

const MODERN = '2026-07-28';
const LEGACY = '2025-11-25';
const CLIENT_INFO = { name: 'bench', version: '1' };

/** What every 2026-07-28 request carries. */
const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': CLIENT_INFO,
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** What is echoed; an answer that lacks it is a failure, and a benchmark of failures would look very fast. */
export const MESSAGE = 'x'.repeat(100);

/** Sends a request that was built beforehand, under an id of its own, and answers with the text that came back. */
export type Send = () => Promise<string>;

/** One client with a connection of its own; one request at a time. */
export interface BenchClient {
  prepare(method: string, params: Record<string, unknown>): Send;
  close(): void;
}

/** One call of an echo tool again and again, each answer checked. */
export function echoing(client: BenchClient, tool: string): () => Promise<void> {
  const send = client.prepare('tools/call', { name: tool, arguments: { message: MESSAGE } });
  return async () => {
    const text = await send();
    if (!text.includes(MESSAGE)) throw new Error(`no echo: ${text.slice(0, 500)}`);
  };
}

/** A client of the hub in the stateless era. */
export async function modernClient(mcp: string, token: string): Promise<BenchClient> {
  const wire = await openWire(mcp);
  const common = `authorization: Bearer ${token}\r\nmcp-protocol-version: ${MODERN}\r\n`;
  return {
    prepare(method, params) {
      const name = typeof params['name'] === 'string' ? `mcp-name: ${params['name']}\r\n` : '';
      const headers = `${common}mcp-method: ${method}\r\n${name}`;
      const body = numbered(method, { ...params, _meta: ENVELOPE });
      return async () => (await wire.post(headers, body())).body;
    },
    close: wire.close,
  };
}

/** A client with a session, of the hub, of a peer, or of something that keeps none and says so by giving no id. */
export async function legacyClient(mcp: string, token?: string): Promise<BenchClient> {
  const wire = await openWire(mcp);
  let headers = token === undefined ? '' : `authorization: Bearer ${token}\r\n`;
  const initialize = { protocolVersion: LEGACY, capabilities: {}, clientInfo: CLIENT_INFO };
  const opened = await wire.post(headers, numbered('initialize', initialize)());
  if (opened.status >= 300 || !opened.body.includes('"protocolVersion"'))
    throw new Error(`${mcp} did not initialize: ${opened.status} ${opened.body.slice(0, 500)}`);
  const session = /\nmcp-session-id: *(\S+)/.exec(opened.head)?.[1];
  headers += `mcp-protocol-version: ${LEGACY}\r\n`;
  if (session !== undefined) headers += `mcp-session-id: ${session}\r\n`;
  await wire.post(headers, JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }));
  return {
    prepare(method, params) {
      const body = numbered(method, params);
      return async () => (await wire.post(headers, body())).body;
    },
    close: wire.close,
  };
}

/** A client of the older HTTP+SSE transport: requests go one way, all answers come on one stream. */
export async function sseClient(url: string): Promise<BenchClient> {
  const request = get(url, { headers: { accept: 'text/event-stream' } });
  const [stream] = (await once(request, 'response')) as [Readable];
  const waiting = new Map<number, (text: string) => void>();
  const endpoint = new Promise<string>((resolve) => {
    let unfinished = '';
    stream.on('data', (chunk: Buffer) => {
      const events = (unfinished + chunk.toString('latin1')).split('\n\n');
      unfinished = events.pop() ?? '';
      for (const event of events) {
        const data = /^data: *(.*)$/m.exec(event)?.[1] ?? '';
        if (/^event: *endpoint$/m.test(event)) resolve(data.trim());
        else if (data.startsWith('{')) settle(waiting, data);
      }
    });
  });
  // A stream that is cut when the client closes it is no news.
  stream.on('error', () => undefined);
  request.on('error', () => undefined);
  const wire = await openWire(new URL(await endpoint, url).href);
  const send = (build: () => string, id: () => number) => async () => {
    const body = build();
    const answer = new Promise<string>((resolve) => waiting.set(id(), resolve));
    await wire.post('', body);
    return answer;
  };
  const prepare: BenchClient['prepare'] = (method, params) => {
    const body = numbered(method, params);
    return send(body, () => body.last);
  };
  await prepare('initialize', { protocolVersion: LEGACY, capabilities: {}, clientInfo: CLIENT_INFO })();
  await wire.post('', JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }));
  return {
    prepare,
    close() {
      wire.close();
      request.destroy();
    },
  };
}

/**
 * The skill by itself over its pipes, with any number of requests at once: what everything else is compared with.
 * Settles with the answer to `initialize`.
 */
export async function directClient(echo: EchoPackage): Promise<BenchClient> {
  return (await directChild(echo)).client;
}

/** The same, with its process. */
export async function directChild(echo: EchoPackage): Promise<{ client: BenchClient; pid: number }> {
  const child = spawn(process.execPath, [echo.entry], {
    cwd: echo.folder,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const client = await pipeClient(child.stdin, child.stdout, () => child.kill('SIGKILL'));
  return { client, pid: child.pid ?? 0 };
}

/** The same in the sandbox, with its outermost process. */
export async function sandboxedChild(
  driver: SandboxDriver,
  plan: SandboxPlan,
): Promise<{ client: BenchClient; pid: number }> {
  const child = await driver.start(plan);
  return { client: await pipeClient(child.stdin, child.stdout, () => child.kill()), pid: child.pid };
}

/** A client of a server at the ends of two pipes. */
export async function pipeClient(
  input: Writable,
  output: Readable,
  close: () => unknown,
): Promise<BenchClient> {
  const waiting = new Map<number, (text: string) => void>();
  let unfinished = '';
  output.on('data', (chunk: Buffer) => {
    const lines = (unfinished + chunk.toString('latin1')).split('\n');
    unfinished = lines.pop() ?? '';
    for (const line of lines) settle(waiting, line);
  });
  const prepare: BenchClient['prepare'] = (method, params) => {
    const body = numbered(method, params);
    return () => {
      const text = body();
      const answer = new Promise<string>((resolve) => waiting.set(body.last, resolve));
      input.write(`${text}\n`);
      return answer;
    };
  };
  await prepare('initialize', { protocolVersion: LEGACY, capabilities: {}, clientInfo: CLIENT_INFO })();
  input.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`);
  return { prepare, close: () => void close() };
}

/** Ids have one width, so that a body keeps its length. */
const FIRST_ID = 100_000_000;
let lastId = FIRST_ID;

/** A request as text, with a new id each time; `last` is the one that was given last. */
function numbered(method: string, params: Record<string, unknown>): (() => string) & { last: number } {
  const rest = `,"method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`;
  const build = () => {
    lastId += 1;
    build.last = lastId;
    return `{"jsonrpc":"2.0","id":${lastId}${rest}`;
  };
  build.last = 0;
  return build;
}

/** Hands an answer to whoever waits for it; reading the whole of it would cost more than it tells. */
function settle(waiting: Map<number, (text: string) => void>, text: string): void {
  const id = Number(/"id":(\d{9})\b/.exec(text)?.[1]);
  waiting.get(id)?.(text);
  waiting.delete(id);
}
