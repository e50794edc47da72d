import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Client as ModernClient } from '@modelcontextprotocol/client';
import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../../hub/clock.ts';
import { createMcpEndpoint, type EndpointLimits } from '../../../hub/mcp/endpoint.ts';
import type { Gateway, GatewayView, Principal, Scope } from '../../../hub/mcp/gateway.ts';
import type { Tasks } from '../../../hub/tasks/tasks.ts';
import type { RunnableSkill } from '../../../hub/runner/runner.ts';
import { createSubscriptions, type Subscriptions } from '../../../hub/subscriptions.ts';
import { AppError } from '../../../protocol/errors.ts';
import type { Surface } from '../../../protocol/surface.ts';
import { type Fixture, runnable } from '../../support/fixture-skills.ts';
import { newClient, oldClient } from '../../support/mcp-clients.ts';
import { runnerRig } from '../runner/rig.ts';

/** Tokens of the test's clients. */
const TOKENS: Readonly<Record<string, Principal>> = {
  'token-of-ada': { user: 'ada', client: 'editor' },
  'token-of-bob': { user: 'bob', client: 'editor-of-bob' },
  'token-of-ada-too': { user: 'ada', client: 'terminal' },
};

export interface Surfaces {
  modern: Surface;
  legacy: Surface;
}

export type EndpointRig = Awaited<ReturnType<typeof endpointRig>>;

/**
 * The endpoint on a real port, over a real runner with two fixture skills. Its gateway only routes names: what a
 * call has to pass in the hub is not the endpoint's business.
 */
export async function endpointRig(
  surfaces: Surfaces,
  {
    clock = systemClock,
    limits = {},
    request: fails,
    fixtures = { modern: 'modern', legacy: 'legacy' },
    fastLane = process.env['BERTH_TEST_FAST_LANE'] !== 'off',
    tasks,
    cursorKey,
  }: {
    clock?: Clock;
    limits?: Partial<EndpointLimits>;
    request?: Gateway['request'];
    fixtures?: { modern: Fixture; legacy: Fixture };
    fastLane?: boolean;
    tasks?: Tasks;
    cursorKey?: Uint8Array;
  } = {},
) {
  const { runner, said, log, lines } = runnerRig({ updated: (resource) => subscriptions.updated(resource) });
  const subscriptions: Subscriptions = createSubscriptions({
    renew: async () => undefined,
    async release({ skill, user, uri }) {
      const found = [...skills.values()].find(({ name }) => name === skill);
      const order = {
        method: 'resources/unsubscribe',
        params: { uri },
        signal: new AbortController().signal,
      };
      if (found !== undefined) await runner.request(found, user, order);
    },
    log,
  });
  const skills = new Map([
    ['modern', runnable(fixtures.modern, surfaces.modern)],
    ['legacy', runnable(fixtures.legacy, surfaces.legacy)],
  ]);
  const hidden = new Map<string, Set<string>>();
  const listeners = new Set<() => void>();
  const asked: Principal[] = [];
  const gateway: Gateway = {
    view: (principal, scope) => viewOf(skills, scope, hidden.get(principal.user) ?? new Set()),
    async request(principal, scope, order) {
      asked.push(principal);
      if (fails !== undefined) return fails(principal, scope, order);
      const { skill, params } = route(skills, scope, order.params);
      return runner.request(skill, principal.user, { ...order, params, caller: principal.client });
    },
    async subscribe(principal, scope, uri, updated) {
      const request = {
        method: 'resources/subscribe' as const,
        params: { uri },
        signal: new AbortController().signal,
      };
      const { skill } = route(skills, scope, request.params);
      return subscriptions.listen(
        { skill: skill.name, user: principal.user, uri },
        () => runner.request(skill, principal.user, request),
        updated,
      );
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  let ownHosts: string[] = [];
  const endpoint = createMcpEndpoint({
    gateway,
    ...(tasks === undefined ? {} : { tasks }),
    ...(cursorKey === undefined ? {} : { cursorKey }),
    authenticate(token) {
      if (token === 'expired')
        throw new AppError('token-expired', { detail: 'This token expired yesterday.' });
      return TOKENS[token];
    },
    serverInfo: { name: 'berth', version: '0.0.0' },
    ownHosts: () => ownHosts,
    log,
    clock,
    limits,
    fastLane,
  });
  const server = createServer((incoming, response) => void endpoint.handle(incoming, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  ownHosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  onTestFinished(async () => {
    await endpoint.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    endpoint,
    url: `http://127.0.0.1:${port}`,
    port,
    said,
    running: () => runner.running(),
    lines,
    asked,
    /** Hides a tool, prompt or resource from a user from now on, and tells the endpoint that something changed. */
    hide(user: string, what: string) {
      hidden.set(user, new Set([...(hidden.get(user) ?? []), what]));
      for (const listener of listeners) listener();
    },
    changed() {
      for (const listener of listeners) listener();
    },
    listening: () => listeners.size,
  };
}

function viewOf(
  skills: ReadonlyMap<string, RunnableSkill>,
  scope: Scope,
  hidden: ReadonlySet<string>,
): GatewayView {
  const shown = [...skills].filter(([, skill]) => scope.kind === 'all' || scope.name === skill.name);
  if (shown.length === 0) throw new AppError('not-installed', { detail: 'This skill is not installed.' });
  const prefixed = (alias: string, name: unknown): string =>
    scope.kind === 'all' ? `${alias}__${String(name)}` : String(name);
  const seen = (entry: Record<string, unknown>): boolean => !hidden.has(String(entry['name']));
  const named = (list: 'tools' | 'prompts') =>
    shown
      .flatMap(([alias, { surface }]) =>
        surface[list].map((entry) => ({ ...entry, name: prefixed(alias, entry.name) })),
      )
      .filter(seen);
  // Both fixtures have the same URIs; the first one keeps them.
  const [[, first] = []] = shown;
  return {
    instructions: 'Skills of a test.',
    tools: named('tools'),
    prompts: named('prompts'),
    resources: (first?.surface.resources ?? []).filter(seen),
    resourceTemplates: first?.surface.resourceTemplates ?? [],
    skills: [],
    completions: true,
    logging: true,
    subscribable: true,
    asking: new Set(
      shown.some(([, { mayAsk }]) => Object.keys(mayAsk).length > 0)
        ? named('tools').map(({ name }) => name)
        : [],
    ),
  };
}

function route(skills: ReadonlyMap<string, RunnableSkill>, scope: Scope, params: Record<string, unknown>) {
  const [first] = skills.values();
  const one = [...skills.values()].find((skill) => scope.kind === 'skill' && scope.name === skill.name);
  const ref = params['ref'] as { name?: string } | undefined;
  const exposed = (params['name'] as string | undefined) ?? ref?.name ?? '';
  const [alias = '', bare = exposed] = scope.kind === 'all' ? exposed.split('__') : ['', exposed];
  const skill = one ?? skills.get(alias) ?? first;
  if (skill === undefined) throw new Error('There is no skill.');
  const isTool = params['name'] !== undefined && ref === undefined;
  const known = [...skill.surface.tools, ...skill.surface.prompts].some(({ name }) => name === bare);
  if (isTool && !known) throw new AppError('tool-not-found', { detail: `No tool is named "${exposed}".` });
  return {
    skill,
    params: {
      ...params,
      ...(params['name'] === undefined ? {} : { name: bare }),
      ...(ref?.name === undefined ? {} : { ref: { ...ref, name: bare } }),
    },
  };
}

const INFO = { name: 'test-client', version: '1.0.0' };

/** What the tests ask of a client, whichever SDK and era it is of. */
export interface AnyClient {
  listTools(params?: { cursor?: string }): Promise<{ tools: Record<string, unknown>[]; nextCursor?: string }>;
  callTool(
    params: { name: string; arguments?: Record<string, unknown> },
    options?: { signal?: AbortSignal; onprogress?: (progress: { progress: number }) => void },
  ): Promise<Record<string, unknown>>;
  listResources(): Promise<{ resources: Record<string, unknown>[] }>;
  listResourceTemplates(): Promise<{ resourceTemplates: Record<string, unknown>[] }>;
  readResource(params: { uri: string }): Promise<Record<string, unknown>>;
  listPrompts(): Promise<{ prompts: Record<string, unknown>[] }>;
  getPrompt(params: { name: string; arguments?: Record<string, string> }): Promise<Record<string, unknown>>;
  complete(params: {
    ref: { type: 'ref/prompt'; name: string };
    argument: { name: string; value: string };
  }): Promise<Record<string, unknown>>;
  getInstructions(): string | undefined;
  setNotificationHandler: unknown;
  close(): Promise<void>;
}

/** The clients of acceptance: the v1 SDK, and the v2 SDK in each of its three ways to choose an era. */
export const CLIENTS = {
  'v1 SDK': { era: 'legacy', connect: connectOld },
  'v2 SDK (legacy)': {
    era: 'legacy',
    connect: (url: string, token?: string) => connectModern(url, token, 'legacy'),
  },
  'v2 SDK (auto)': {
    era: 'modern',
    connect: (url: string, token?: string) => connectModern(url, token, 'auto'),
  },
  'v2 SDK (2026-07-28)': {
    era: 'modern',
    connect: (url: string, token?: string) => connectModern(url, token, { pin: '2026-07-28' }),
  },
} as const satisfies Record<string, AnyClientKind>;
export type ClientName = keyof typeof CLIENTS;

interface AnyClientKind {
  era: 'modern' | 'legacy';
  connect: (url: string, token?: string) => Promise<AnyClient>;
}

async function connectOld(url: string, token = 'token-of-ada'): Promise<AnyClient> {
  const client = await oldClient({ url, token });
  const { listTools, ...rest } = wrap(client as unknown as AnyClient);
  return {
    ...rest,
    listTools,
    callTool: (params, options) => client.callTool(params, undefined, options),
  };
}

async function connectModern(
  url: string,
  token = 'token-of-ada',
  mode: 'legacy' | 'auto' | { pin: string } = { pin: '2026-07-28' },
): Promise<AnyClient & Pick<ModernClient, 'listen' | 'getProtocolEra'>> {
  const client = await newClient({ url, token }, mode);
  return Object.assign(wrap(client as unknown as AnyClient), {
    listen: client.listen.bind(client),
    getProtocolEra: client.getProtocolEra.bind(client),
  });
}

function wrap(client: AnyClient): AnyClient {
  const methods = [
    'listTools',
    'callTool',
    'listResources',
    'listResourceTemplates',
    'readResource',
    'listPrompts',
    'getPrompt',
    'complete',
    'getInstructions',
    'setNotificationHandler',
    'close',
  ] as const;
  return Object.fromEntries(
    methods.map((method) => [method, (client[method] as () => unknown).bind(client)]),
  ) as unknown as AnyClient;
}

/** One HTTP exchange with every header under the test's control. */
export function exchange(
  { port }: Pick<EndpointRig, 'port'>,
  {
    method = 'POST',
    path = '/mcp',
    headers = {},
    body,
  }: { method?: string; path?: string; headers?: Record<string, string>; body?: string | object } = {},
): Promise<{
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  json: () => Record<string, unknown>;
}> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: {
        host: `127.0.0.1:${port}`,
        authorization: 'Bearer token-of-ada',
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
    });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () =>
            JSON.parse(text.startsWith('event:') ? (/^data: (.*)$/m.exec(text)?.[1] ?? '') : text) as Record<
              string,
              unknown
            >,
        }),
      );
    });
    outgoing.end(typeof body === 'object' ? JSON.stringify(body) : body);
  });
}

/** A legacy initialize request. */
export const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: INFO },
};

/** A request of 2026-07-28 with its headers. */
export function modernRequest(method: string, params: Record<string, unknown> = {}) {
  const name = params['name'] ?? params['uri'];
  return {
    headers: {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
    },
    body: {
      jsonrpc: '2.0',
      id: 7,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
          'io.modelcontextprotocol/clientInfo': INFO,
        },
      },
    },
  };
}

/** One round of a `tools/call` of a 2026-07-28 client that can be asked anything. */
export async function askingCall(
  rig: Pick<EndpointRig, 'port'>,
  params: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<Record<string, any>> {
  const { headers: own, body } = modernRequest('tools/call', params);
  const { _meta: envelope } = body.params;
  const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };
  const meta = { ...envelope, 'io.modelcontextprotocol/clientCapabilities': capabilities };
  const request = { ...body, params: { ...params, _meta: meta } };
  return (await exchange(rig, { headers: { ...own, ...headers }, body: request })).json();
}

/** An open event stream; `next` waits for one JSON-RPC message, `undefined` is its end. */
export async function eventStream(
  { port }: Pick<EndpointRig, 'port'>,
  { method, headers, body }: { method: string; headers: Record<string, string>; body?: object },
): Promise<{ status: number; next(): Promise<Record<string, unknown> | undefined> }> {
  const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
    method,
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    status: response.status,
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end >= 0) {
          const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
          text = text.slice(end + 2);
          if (data !== undefined) return JSON.parse(data) as Record<string, unknown>;
          continue;
        }
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) return undefined;
        text += value;
      }
    },
  };
}
