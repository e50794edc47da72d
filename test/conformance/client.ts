import { z } from 'zod';
import { systemClock } from '../../hub/clock.ts';
import { type CallingClient, everythingOf, type Question } from '../../hub/questions.ts';
import { authorizedFetch } from '../../hub/remote/authorized-fetch.ts';
import { createSharing } from '../../hub/remote/oauth-client.ts';
import { passingSignIn } from '../../hub/remote/sign-ins.ts';
import { captureSurface } from '../../hub/runner/capture.ts';
import type { RemotePlan } from '../../hub/runner/remote.ts';
import type { RunnableSkill } from '../../hub/runner/runner.ts';
import { createRunner } from '../../hub/runner/supervisor.ts';
import { AppError } from '../../protocol/errors.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import type { Surface } from '../../protocol/surface.ts';

/**
 * What the conformance suite runs as “the client”: the hub's runner and its way to a remote server, put together as the
 * hub does it. The suite's server stands for a remote skill, and this program for the client behind the hub: it takes
 * what the server offers, uses all of it once, and answers what it is asked.
 */

/** Scenarios whose server lists tools that cannot be called. */
const ONLY_LISTED: readonly string[] = ['json-schema-ref-no-deref'];
/** The document that the suite expects to be named; it is never fetched. */
const CLIENT_METADATA_URL = 'https://conformance-test.local/client-metadata.json';
const REDIRECT_URL = 'http://localhost:3000/callback';
const EVERYTHING = everythingOf({ elicitation: true, sampling: true, roots: true });

const settings = z
  .object({
    MCP_CONFORMANCE_SCENARIO: z.string(),
    MCP_CONFORMANCE_PROTOCOL_VERSION: z.string().default('2025-11-25'),
    MCP_CONFORMANCE_CONTEXT: z.string().default('{}'),
  })
  .parse(process.env);
const context = z
  .object({
    client_id: z.string().optional(),
    client_secret: z.string().optional(),
    toolCalls: z
      .array(z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }))
      .optional(),
  })
  .parse(JSON.parse(settings.MCP_CONFORMANCE_CONTEXT));

const { client_id, client_secret } = context;
const registered = client_id === undefined ? undefined : { client_id, client_secret };

/** The suite's authorization servers agree to everything, and redirect at once. */
async function agree(authorizationUrl: URL): Promise<URLSearchParams> {
  const response = await fetch(authorizationUrl, { redirect: 'manual' });
  return new URL(response.headers.get('location') ?? REDIRECT_URL).searchParams;
}

async function use(url: string): Promise<void> {
  const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_PROTOCOL_VERSION: protocol } = settings;
  const parts = {
    driver: { start: () => Promise.reject(new Error('A remote skill has no process.')) },
    identity: { name: 'berth', version: '0.0.0' },
    log: createLogger({ level: 'silent', name: 'conformance' }),
    clock: systemClock,
  };
  const signIn = authorizedFetch({
    skill: 'local.remote/conformance',
    url,
    fetch,
    store: passingSignIn({ clients: {}, registered }),
    sharing: createSharing(),
    authorize: agree,
    redirectUrl: REDIRECT_URL,
    clientMetadataUrl: CLIENT_METADATA_URL,
  });
  const plan: RemotePlan = { label: 'local.remote/conformance@1.0.0', url, fetch: signIn };
  const surface = await captureSurface(parts, { plan, protocol, offered: EVERYTHING });
  const runner = createRunner({
    ...parts,
    events: {
      started: () => undefined,
      stopped: () => undefined,
      resourceUpdated: () => undefined,
      surfaceChanged: ({ differences }) => {
        process.stderr.write(`${JSON.stringify(differences)}\n`);
      },
    },
  });
  const skill: RunnableSkill = {
    name: 'local.remote/conformance',
    version: '1.0.0',
    protocol,
    epoch: '1',
    surface,
    captured: EVERYTHING,
    mayAsk: EVERYTHING,
    timeoutMs: 10_000,
    plan: async () => plan,
  };
  try {
    for (const [method, params] of ONLY_LISTED.includes(scenario) ? [] : usesOf(surface)) {
      const { signal } = new AbortController();
      await runner.request(skill, 'owner', { method, params, signal, client });
    }
  } finally {
    await runner.close();
  }
}

/** One use of everything on offer, or the calls that the scenario asks for. */
function usesOf(surface: Surface): [method: string, params: Record<string, unknown>][] {
  const calls =
    context.toolCalls ??
    surface.tools.map((tool) => ({ name: tool.name, arguments: someArguments(tool, surface) }));
  return [
    ...calls.map((call): [string, typeof call] => ['tools/call', call]),
    ...surface.resources.map(({ uri }): [string, { uri: string }] => ['resources/read', { uri }]),
    ...surface.prompts.map(({ name }): [string, { name: string }] => ['prompts/get', { name }]),
  ];
}

const inputSchema = z.object({
  properties: z.record(z.string(), z.object({ type: z.unknown().optional() })).default({}),
  required: z.array(z.string()).default([]),
});

/** Whatever fits; `schema` is what the tool that is to be echoed has for one. */
function someArguments(tool: Surface['tools'][number], { tools }: Surface): Record<string, unknown> {
  const { properties, required } = inputSchema.parse(tool.inputSchema);
  const example = (name: string): unknown => {
    if (name === 'schema') return tools.find((other) => other.name !== tool.name)?.inputSchema;
    return properties[name]?.type === 'string' ? 'some text' : 1;
  };
  return Object.fromEntries(required.map((name) => [name, example(name)]));
}

const client: CallingClient = {
  capabilities: EVERYTHING,
  ask: async (questions) =>
    Object.fromEntries(Object.entries(questions).map(([key, question]) => [key, answerTo(question)])),
};

const form = z.object({
  requestedSchema: z.object({
    properties: z.record(z.string(), z.object({ type: z.string(), default: z.unknown().optional() })),
  }),
});

/** A form is sent as it came, with what it offers by default (SEP-1034), and a box ticked. */
function answerTo({ method, params }: Question): Record<string, unknown> {
  if (method === 'roots/list') return { roots: [] };
  if (method !== 'elicitation/create') throw new AppError('question-unanswered', { detail: 'Not offered.' });
  const { properties } = form.parse(params).requestedSchema;
  const content = Object.entries(properties).flatMap(([name, field]) => {
    const value = field.default ?? (field.type === 'boolean' ? true : undefined);
    return value === undefined ? [] : [[name, value] as const];
  });
  return { action: 'accept', content: Object.fromEntries(content) };
}

try {
  await use(process.argv.at(-1) ?? '');
} catch (error) {
  const { code, message, cause } = error as AppError;
  process.stderr.write(`${code}: ${message}\n${String((cause as Error | undefined)?.stack)}\n`);
  process.exitCode = 1;
}
