import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import type { EchoPackage } from './echo-package.ts';
import { poster } from './load.ts';

const MODERN = '2026-07-28';
const LEGACY = '2025-11-25';

/** What every 2026-07-28 request carries. */
const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** Sends requests and waits for their answers. */
export interface BenchClient {
  call(tool: string, args: Record<string, unknown>): Promise<void>;
  /** How many tools were listed. */
  list(): Promise<number>;
  close(): void;
}

/** A client of the hub in the stateless era. */
export function modernClient(mcp: string, token: string): BenchClient {
  const http = poster(mcp, { authorization: `Bearer ${token}`, 'mcp-protocol-version': MODERN });
  let id = 0;
  const send = async (method: string, params: Record<string, unknown>, name?: string) => {
    const body = { jsonrpc: '2.0', id: (id += 1), method, params: { ...params, _meta: ENVELOPE } };
    const headers = { 'mcp-method': method, ...(name === undefined ? {} : { 'mcp-name': name }) };
    return answerOf((await http.post(body, headers)).text);
  };
  return {
    call: async (name, args) => void (await send('tools/call', { name, arguments: args }, name)),
    list: async () => toolsIn(await send('tools/list', {})),
    close: http.close,
  };
}

/** A client of the hub with a session. */
export async function legacyClient(mcp: string, token: string): Promise<BenchClient> {
  const http = poster(mcp, { authorization: `Bearer ${token}` });
  const clientInfo = { name: 'bench', version: '1' };
  const { sessionId } = await http.post({
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: LEGACY, capabilities: {}, clientInfo },
  });
  if (sessionId === undefined) throw new Error('the hub opened no session');
  const headers = { 'mcp-session-id': sessionId, 'mcp-protocol-version': LEGACY };
  await http.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, headers);
  let id = 0;
  const send = async (method: string, params: Record<string, unknown>) => {
    return answerOf((await http.post({ jsonrpc: '2.0', id: (id += 1), method, params }, headers)).text);
  };
  return {
    call: async (name, args) => void (await send('tools/call', { name, arguments: args })),
    list: async () => toolsIn(await send('tools/list', {})),
    close: http.close,
  };
}

/** The skill by itself over its pipes: what everything else is compared with. */
export function directClient(command: readonly string[], cwd: string): BenchClient {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd, stdio: ['pipe', 'pipe', 'ignore'] });
  return pipeClient(child.stdin, child.stdout, () => child.kill('SIGKILL'));
}

/** The same in the sandbox, with nothing granted. */
export async function sandboxedClient(driver: SandboxDriver, echo: EchoPackage): Promise<BenchClient> {
  const child = await driver.start({
    label: 'bench',
    packageDir: echo.folder,
    runtime: { kind: 'node', entry: echo.entry, args: [] },
    mounts: [],
    scratch: [],
    env: {},
    programs: [],
    network: [],
    limits: { memoryMb: 256, cpus: 1, pids: 32, diskMb: 64 },
  });
  return pipeClient(child.stdin, child.stdout, () => void child.kill());
}

function pipeClient(input: Writable, output: Readable, close: () => void): BenchClient {
  const waiting = new Map<number, (text: string) => void>();
  createInterface({ input: output }).on('line', (line) => {
    const { id } = JSON.parse(line) as { id?: number };
    if (id === undefined) return;
    waiting.get(id)?.(line);
    waiting.delete(id);
  });
  let last = 0;
  const send = async (method: string, params: Record<string, unknown>) => {
    const id = (last += 1);
    const answer = new Promise<string>((resolve) => waiting.set(id, resolve));
    input.write(
      `${JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: ENVELOPE } })}\n`,
    );
    return answerOf(await answer);
  };
  return {
    call: async (name, given) => void (await send('tools/call', { name, arguments: given })),
    list: async () => toolsIn(await send('tools/list', {})),
    close,
  };
}

/** The answer itself, unless it is a failure: a benchmark of refusals would look very fast. */
function answerOf(text: string): string {
  if (text.includes('"error":{') || text.includes('"isError":true')) throw new Error(text.slice(0, 500));
  return text;
}

function toolsIn(answer: string): number {
  return answer.split('"inputSchema"').length - 1;
}
