import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { verifies } from '../support/verifies.ts';

/**
 * The reference servers of MCP as skills. `reference/<name>` is what an author writes to pack each; what the packages
 * read at run time besides their code is copied beside it, as the author would.
 */
const root = join(import.meta.dirname, '../..');
const published = join(root, 'node_modules/@modelcontextprotocol');
const SERVERS = ['everything', 'filesystem', 'memory', 'sequential-thinking'] as const;
const info = { name: 'e2e', version: '1.0.0' };

let home: string;
let workspace: string;
/** Below `node_modules`, so that the skills find the packages as in a project that has installed them. */
let sources: string;
let up: Berth;
let token: string;

beforeAll(async () => {
  [home, workspace] = [await newHome(), await newHome()];
  await writeFile(join(workspace, 'hello.txt'), 'hello from the workspace\n');
  await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
  sources = await mkdtemp(join(root, 'node_modules/.cache/reference-'));
  await cp(join(import.meta.dirname, 'reference'), sources, { recursive: true });
  await cp(join(published, 'server-everything/dist/docs'), join(sources, 'everything/docs'), {
    recursive: true,
  });
  await cp(
    join(published, 'server-sequential-thinking/package.json'),
    join(sources, 'sequential-thinking/package.json'),
  );
  up = await startBerth(home);
  for (const name of SERVERS) {
    await up.ok('publish', join(sources, name));
    const folder = name === 'filesystem' ? ['--workspace', workspace] : [];
    await up.ok('install', `local.reference/${name}`, '--yes', '--allow-tool', '*', ...folder);
  }
  token = (await up.ok('clients', 'add', 'e2e'))['token'] as string;
});

afterAll(async () => {
  await up.stop();
  await rm(sources, { recursive: true, force: true });
  await removeHome(home);
  await removeHome(workspace);
});

/** Text of whatever a request was answered with, by whatever client. */
interface Driven {
  tools(): Promise<string>;
  resources(): Promise<string>;
  prompts(): Promise<string>;
  call(name: string, args: Record<string, string | number | boolean>): Promise<string>;
  read(uri: string): Promise<string>;
  prompt(name: string, args: Record<string, string>): Promise<string>;
  close(): Promise<void>;
}

const auth = () => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } });

/** What both SDKs' clients have in common. */
type AnyClient = Pick<
  Client,
  'callTool' | 'close' | 'getPrompt' | 'listPrompts' | 'listResources' | 'listTools' | 'readResource'
>;

function drivenBy(client: AnyClient): Driven {
  return {
    tools: async () => JSON.stringify(await client.listTools()),
    resources: async () => JSON.stringify(await client.listResources()),
    prompts: async () => JSON.stringify(await client.listPrompts()),
    call: async (name, args) => JSON.stringify(await client.callTool({ name, arguments: args })),
    read: async (uri) => JSON.stringify(await client.readResource({ uri })),
    prompt: async (name, args) => JSON.stringify(await client.getPrompt({ name, arguments: args })),
    close: () => client.close(),
  };
}

const EVERYTHING = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

/** What a client can be asked in the middle of a call, and what it was shown of forms and links. */
interface Asked {
  can: Partial<typeof EVERYTHING>;
  shown: string[];
}

const ROOT = 'file:///home/ada/project';

function answersOf({ shown }: Asked) {
  return {
    elicitation: ({ params }: { params: { message: string; mode?: string | undefined } }) => {
      shown.push(params.message);
      const content = params.mode === 'url' ? {} : { content: { name: 'Ada', integer: 7 } };
      return { action: 'accept' as const, ...content };
    },
    sampling: () => ({
      role: 'assistant' as const,
      model: 'none',
      content: { type: 'text' as const, text: 'a thought of the client' },
    }),
    // The same from each: one process serves all clients of a user that can be asked the same, and this server
    // asks it for roots only once.
    roots: () => ({ roots: [{ uri: ROOT }] }),
  };
}

async function v1(asked: Asked = { can: {}, shown: [] }): Promise<Driven> {
  const client = new V1Client(info, { capabilities: asked.can });
  const answers = answersOf(asked);
  if ('elicitation' in asked.can) client.setRequestHandler(ElicitRequestSchema, answers.elicitation);
  if ('sampling' in asked.can) client.setRequestHandler(CreateMessageRequestSchema, answers.sampling);
  if ('roots' in asked.can) client.setRequestHandler(ListRootsRequestSchema, answers.roots);
  await client.connect(new V1Transport(new URL(up.urls.mcp), auth()));
  return drivenBy(client as unknown as AnyClient);
}

async function v2(mode: 'legacy' | { pin: string }, asked: Asked = { can: {}, shown: [] }): Promise<Driven> {
  const client = new Client(info, { capabilities: asked.can, versionNegotiation: { mode } });
  const answers = answersOf(asked);
  if ('elicitation' in asked.can) client.setRequestHandler('elicitation/create', answers.elicitation);
  if ('sampling' in asked.can) client.setRequestHandler('sampling/createMessage', answers.sampling);
  if ('roots' in asked.can) client.setRequestHandler('roots/list', answers.roots);
  await client.connect(new StreamableHTTPClientTransport(new URL(up.urls.mcp), auth()));
  return drivenBy(client);
}

/** What server-everything registers only where it may ask. */
function askingTools({ call }: Driven) {
  const link = { url: 'https://example.com/pay', message: 'Look here' };
  return {
    'get-roots-list': () => call('everything__get-roots-list', {}),
    'trigger-elicitation-request': () => call('everything__trigger-elicitation-request', {}),
    'trigger-sampling-request': () => call('everything__trigger-sampling-request', { prompt: 'Think.' }),
    'trigger-url-elicitation': () => call('everything__trigger-url-elicitation', link),
  };
}

async function inspector(era: 'legacy' | 'modern'): Promise<Driven> {
  const ask = (method: string, ...args: string[]) =>
    inspect('--protocol-era', era, '--method', method, ...args);
  const pairs = (flag: string, values: object) =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${String(value)}`]);
  return {
    tools: () => ask('tools/list'),
    resources: () => ask('resources/list'),
    prompts: () => ask('prompts/list'),
    call: (name, args) => ask('tools/call', '--tool-name', name, ...pairs('--tool-arg', args)),
    read: (uri) => ask('resources/read', '--uri', uri),
    prompt: (name, args) => ask('prompts/get', '--prompt-name', name, ...pairs('--prompt-args', args)),
    close: async () => undefined,
  };
}

const bearer = () => ['--header', `Authorization: Bearer ${token}`];

/** One run of the Inspector's command line. */
async function inspect(...args: string[]): Promise<string> {
  return inspecting('launcher/build/index.js', [
    '--cli',
    up.urls.mcp,
    '--transport',
    'http',
    ...bearer(),
    ...args,
  ]);
}

/** A program of the Inspector; fails with all that it said. */
async function inspecting(
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = spawn(process.execPath, [join(published, 'inspector/clients', program), ...args], {
    env: { PATH: process.env['PATH'], HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`inspector ${args.join(' ')} → ${String(code)}\n${output}`);
  return output;
}

const pendingSchema = z.object({
  elicitationPending: z.object({ elicitationId: z.string(), message: z.string() }),
});

/**
 * The Inspector's other command line, which keeps a connection in a process of its own and can be asked; neither of
 * the two lets a server sample.
 */
async function mcpdo(era: 'legacy' | 'modern') {
  const env = {
    MCP_INSPECTOR_DAEMON_DIR: join(home, `mcpdo-${era}`),
    MCP_INSPECTOR_DAEMON_TOKEN: randomUUID(),
  };
  const run = (...args: string[]) =>
    inspecting('mcpdo/build/mcp-bin.js', ['--format', 'json', '--connection', 'berth', ...args], env);
  await run('connect', '--server-url', up.urls.mcp, '--transport', 'http', '--era', era, ...bearer());
  return {
    /** Calls a tool, and answers what it asks. */
    async asked(tool: string, args: readonly string[], answer: readonly string[]) {
      const { elicitationPending: question } = pendingSchema.parse(
        JSON.parse(await run('tools/call', tool, ...args)),
      );
      return {
        message: question.message,
        result: await run('elicitation/respond', question.elicitationId, ...answer),
      };
    },
    close: () => run('daemon', 'stop'),
  };
}

describe.each([
  ['the v1 client', () => v1()],
  ['the v2 client, legacy', () => v2('legacy')],
  ['the v2 client, modern', () => v2({ pin: '2026-07-28' })],
  ['the Inspector, legacy', () => inspector('legacy')],
  ['the Inspector, modern', () => inspector('modern')],
] as const)('to %s', (name, connect) => {
  it('server-everything is whole', verifies('mcp.reference-servers'), async () => {
    const client = await connect();
    expect(await client.tools()).toContain('everything__get-structured-content');
    expect(await client.call('everything__echo', { message: 'ahoy' })).toContain('Echo: ahoy');
    expect(await client.call('everything__get-sum', { a: 2, b: 3 })).toContain('is 5');
    expect(await client.call('everything__get-structured-content', { location: 'Chicago' })).toContain(
      'temperature',
    );
    expect(await client.resources()).toContain('demo://resource/static/document/features.md');
    expect(await client.read('demo://resource/static/document/features.md')).toContain('Everything Server');
    expect(await client.read('demo://resource/dynamic/text/1')).toContain('text/plain');
    expect(await client.prompts()).toContain('everything__args-prompt');
    expect(await client.prompt('everything__args-prompt', { city: 'Paris' })).toContain('Paris');
    await client.close();
  });

  it(
    'server-filesystem reads and writes the granted folder and no other',
    verifies('mcp.reference-servers'),
    async () => {
      const client = await connect();
      const read = (path: string) => client.call('filesystem__read_text_file', { path });
      expect(await read('/workspace/hello.txt')).toContain('hello from the workspace');
      expect(await read('/etc/hostname').catch(String)).toMatch(/denied|outside/);
      const file = `${name.replaceAll(/\W+/g, '-')}.txt`;
      await client.call('filesystem__write_file', { path: `/workspace/${file}`, content: name });
      expect(await readFile(join(workspace, file), 'utf8')).toBe(name);
      await client.close();
    },
  );

  it('server-memory keeps its graph', verifies('mcp.reference-servers'), async () => {
    const client = await connect();
    expect(await client.call('memory__search_nodes', { query: 'nobody' })).toContain('entities');
    expect(await client.read('memory://knowledge-graph')).toContain('relations');
    await client.close();
  });

  it('server-sequential-thinking thinks', verifies('mcp.reference-servers'), async () => {
    const client = await connect();
    const thought = { thought: 'First.', thoughtNumber: 1, totalThoughts: 1, nextThoughtNeeded: false };
    expect(await client.call('sequential-thinking__sequentialthinking', thought)).toContain(
      'thoughtHistoryLength',
    );
    await client.close();
  });
});

describe('server-everything', () => {
  it(
    'hands out pictures, and sees nothing of the environment of the hub',
    verifies('mcp.reference-servers'),
    async () => {
      const client = await v2({ pin: '2026-07-28' });
      expect(await client.call('everything__get-tiny-image', {})).toContain('image/png');
      const seen = await client.call('everything__get-env', {});
      expect([seen.includes('/skill'), seen.includes(home)]).toEqual([true, false]);
      await client.close();
    },
  );
});

describe.each([
  ['the v1 client', (asked: Asked) => v1(asked)],
  ['the v2 client, legacy', (asked: Asked) => v2('legacy', asked)],
  ['the v2 client, modern', (asked: Asked) => v2({ pin: '2026-07-28' }, asked)],
] as const)('what server-everything asks %s in the middle of a call', (_name, connect) => {
  it(
    'is answered: a form, a link, a thought of its model and its roots',
    verifies('mcp.reference-servers', 'mcp.asks', 'mcp.asks-labelled'),
    async () => {
      const asked: Asked = { can: EVERYTHING, shown: [] };
      const client = await connect(asked);
      const ask = askingTools(client);
      expect(await ask['trigger-elicitation-request']()).toMatch(/Name: Ada.*Favorite Integer: 7/);
      expect(await ask['trigger-url-elicitation']()).toMatch(/accept/);
      expect(asked.shown).toEqual(
        ['Please provide inputs for the following fields:', 'Look here'].map(
          (message) => `Everything (local.reference/everything) asks: ${message}`,
        ),
      );
      expect(await ask['trigger-sampling-request']()).toContain('a thought of the client');
      expect(await ask['get-roots-list']()).toContain(ROOT);
      await client.close();
    },
  );

  it.each([
    ['nothing', {}, []],
    ['its roots alone', { roots: {} }, ['get-roots-list']],
  ] as const)(
    'of %s leaves it all listed; the other tools fail in words, and the skill is not taken for another',
    verifies('mcp.reference-servers', 'mcp.asks', 'runner.surface'),
    async (_what, can, working: readonly string[]) => {
      const client = await connect({ can, shown: [] });
      const listed = await client.tools();
      for (const [name, ask] of Object.entries(askingTools(client))) {
        expect(listed).toContain(`"everything__${name}"`);
        const answer = await ask();
        expect([name, answer.includes('"isError":true')]).toEqual([name, !working.includes(name)]);
        expect(answer).toContain(working.includes(name) ? ROOT : name);
      }
      const [everything] = await up.ok('list').then(Object.values);
      expect(everything).toMatchObject({ name: 'local.reference/everything', state: 'ready' });
      await client.close();
    },
  );
});

describe.each(['legacy', 'modern'] as const)('what server-everything asks the Inspector, %s', (era) => {
  it('is answered from the command line', verifies('mcp.reference-servers', 'mcp.asks'), async () => {
    const inspector = await mcpdo(era);
    try {
      const form = await inspector.asked(
        'everything__trigger-elicitation-request',
        [],
        ['name:=Ada', 'integer:=7'],
      );
      expect(form.message).toContain('Everything (local.reference/everything) asks: Please provide inputs');
      expect(form.result).toMatch(/Name: Ada.*Favorite Integer: 7/);
      const link = ['url:=https://example.com/pay', 'message:=Look here'];
      expect((await inspector.asked('everything__trigger-url-elicitation', link, ['--done'])).result).toMatch(
        /accept/,
      );
    } finally {
      await inspector.close();
    }
  });
});

describe('the graph of server-memory', () => {
  it('outlives the process that wrote it', verifies('mcp.reference-servers'), async () => {
    const entities = [{ name: 'Ada', entityType: 'person', observations: ['wrote the first program'] }];
    await up.ok('call', 'memory', 'create_entities', JSON.stringify({ entities }));
    await up.stop();
    up = await startBerth(home);
    const client = await v2({ pin: '2026-07-28' });
    expect(await client.call('memory__search_nodes', { query: 'Ada' })).toContain('wrote the first program');
    await client.close();
  });
});
