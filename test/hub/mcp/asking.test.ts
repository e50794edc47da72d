import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../../support/fixture-skills.ts';
import { newClient, oldClient } from '../../support/mcp-clients.ts';
import { verifies } from '../../support/verifies.ts';
import { textOf } from '../runner/rig.ts';
import { askingCall, type EndpointRig, endpointRig, type Surfaces } from './rig.ts';

let surfaces: Surfaces;
const fixtures = { modern: 'modern-asks', legacy: 'legacy-asks' } as const;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern-asks'), capture('legacy-asks')]);
  surfaces = { modern, legacy };
});

/** Answers what a client is asked; `name` is what its user types. */
function answersOf(name: string, asked: string[]) {
  return {
    elicitation: ({ params }: { params: unknown }) => {
      asked.push(String((params as { message?: unknown }).message));
      return { action: 'accept' as const, content: { name } };
    },
    sampling: () => ({
      role: 'assistant' as const,
      model: 'none',
      content: { type: 'text' as const, text: `${name} thinks` },
    }),
    roots: () => ({ roots: [{ uri: `file:///home/${name}` }] }),
  };
}

const CAPABILITIES = { elicitation: { form: {} }, sampling: {}, roots: {} };

interface AskableClient {
  call(name: string, args?: Record<string, unknown>): Promise<Record<string, unknown>>;
  asked: string[];
  heard: unknown[];
  wantLogs(): Promise<void>;
}

const entrance = (rig: EndpointRig, name: string, capabilities: object) => ({
  url: `${rig.url}/mcp`,
  token: `token-of-${name}`,
  capabilities,
});

async function oldAskable(
  rig: EndpointRig,
  name = 'ada',
  capabilities: object = CAPABILITIES,
): Promise<AskableClient> {
  const asked: string[] = [];
  const heard: unknown[] = [];
  const client = await oldClient(entrance(rig, name, capabilities));
  const answers = answersOf(name, asked);
  if ('elicitation' in capabilities) client.setRequestHandler(ElicitRequestSchema, answers.elicitation);
  if ('sampling' in capabilities) client.setRequestHandler(CreateMessageRequestSchema, answers.sampling);
  if ('roots' in capabilities) client.setRequestHandler(ListRootsRequestSchema, answers.roots);
  client.setNotificationHandler(
    LoggingMessageNotificationSchema,
    ({ params }) => void heard.push(params.data),
  );
  return {
    asked,
    heard,
    call: (tool, args = {}) => client.callTool({ name: tool, arguments: args }),
    wantLogs: async () => void (await client.setLoggingLevel('info')),
  };
}

async function newAskable(
  rig: EndpointRig,
  name = 'ada',
  capabilities: object = CAPABILITIES,
): Promise<AskableClient> {
  const asked: string[] = [];
  const heard: unknown[] = [];
  const client = await newClient(entrance(rig, name, capabilities));
  const answers = answersOf(name, asked);
  if ('elicitation' in capabilities) client.setRequestHandler('elicitation/create', answers.elicitation);
  if ('sampling' in capabilities) client.setRequestHandler('sampling/createMessage', answers.sampling);
  if ('roots' in capabilities) client.setRequestHandler('roots/list', answers.roots);
  client.setNotificationHandler('notifications/message', ({ params }) => void heard.push(params.data));
  let meta: Record<string, unknown> = {};
  return {
    asked,
    heard,
    call: (tool, args = {}) => client.callTool({ name: tool, arguments: args, _meta: meta }),
    async wantLogs() {
      meta = { 'io.modelcontextprotocol/logLevel': 'info' };
    },
  };
}

const PAIRS = [
  ['modern', 'modern', newAskable],
  ['modern', 'legacy', newAskable],
  ['legacy', 'modern', oldAskable],
  ['legacy', 'legacy', oldAskable],
] as const;

describe.each(PAIRS)('a %s client and a %s skill', (_era, skill, connect) => {
  it('exchange a form, one after the other and two at once', verifies('mcp.asks'), async () => {
    const rig = await endpointRig(surfaces, { fixtures });
    const client = await connect(rig);
    expect(textOf(await client.call(`${skill}__whom`, { tag: 'x' }))).toBe('accept ada asked x');
    expect(textOf(await client.call(`${skill}__twice`))).toBe('ada ada');
    expect(textOf(await client.call(`${skill}__both`))).toBe('ada ada');
    expect(client.asked).toEqual(['Who? x', 'First?', 'Second?', expect.any(String), expect.any(String)]);
  });

  it('reach the model and the roots of the client', verifies('mcp.asks'), async () => {
    const rig = await endpointRig(surfaces, { fixtures });
    const client = await connect(rig);
    expect(textOf(await client.call(`${skill}__think`))).toBe('ada thinks');
    expect(textOf(await client.call(`${skill}__where`))).toBe('file:///home/ada');
  });

  it(
    'pass log messages on when asked to, from the level that was asked for',
    verifies('mcp.logging'),
    async () => {
      const rig = await endpointRig(surfaces, { fixtures });
      const client = await connect(rig);
      await client.call(`${skill}__log`);
      expect(client.heard).toEqual([]);
      await client.wantLogs();
      await client.call(`${skill}__log`);
      expect(client.heard).toEqual(['loud']);
    },
  );

  it('never mix answers, whoever asks at the same time', verifies('mcp.asks-apart'), async () => {
    const rig = await endpointRig(surfaces, { fixtures });
    const [ada, bob] = await Promise.all([connect(rig, 'ada'), connect(rig, 'bob')]);
    const calls = Array.from({ length: 8 }, (_none, index) =>
      (index % 2 === 0 ? ada : bob).call(`${skill}__whom`, { tag: String(index) }),
    );
    const texts = (await Promise.all(calls)).map(textOf);
    expect(texts).toEqual(
      texts.map((_text, index) => `accept ${index % 2 === 0 ? 'ada' : 'bob'} asked ${index}`),
    );
    expect(ada.asked.toSorted()).toEqual(['Who? 0', 'Who? 2', 'Who? 4', 'Who? 6']);
  });

  it(
    'of one user share no process that may ask with another client',
    verifies('mcp.asks-apart'),
    async () => {
      const rig = await endpointRig(surfaces, { fixtures });
      const [one, other] = await Promise.all([connect(rig, 'ada'), connect(rig, 'ada-too')]);
      await Promise.all([one.call(`${skill}__whom`), other.call(`${skill}__whom`)]);
      const processes = rig.running().filter((child) => child.skill.includes(skill));
      expect(processes).toHaveLength(skill === 'legacy' ? 2 : 1);
    },
  );

  it('that cannot be asked, fail in words', verifies('mcp.asks'), async () => {
    const rig = await endpointRig(surfaces, { fixtures });
    const client = await connect(rig, 'ada', {});
    const outcome = await client.call(`${skill}__whom`).catch((error: unknown) => error as { code: number });
    expect('isError' in outcome ? outcome['isError'] : outcome.code).toSatisfy(
      (value) => value === true || value === -32_021,
    );
  });
});

describe('a requestState', () => {
  const WHOM = { name: 'legacy__whom', arguments: { tag: 'x' } };

  it('without the answers is answered with the question again', verifies('mcp.asks-bound'), async () => {
    const rig = await endpointRig(surfaces, { fixtures });
    const { result } = await askingCall(rig, WHOM);
    const { result: again } = await askingCall(rig, {
      ...WHOM,
      requestState: result.requestState,
      inputResponses: {},
    });
    expect(again.inputRequests).toEqual(result.inputRequests);
    expect(again.requestState).not.toBe(result.requestState);
  });

  it('is not needed for answers that come before the question', verifies('mcp.asks'), async () => {
    const rig = await endpointRig(surfaces, { fixtures });
    const who = { action: 'accept', content: { name: 'eve' } };
    const early = { name: 'modern__whom', arguments: { tag: 'x' }, inputResponses: { who, why: who } };
    expect(textOf((await askingCall(rig, early))['result'])).toBe('accept eve asked x');
    const wrong = { ...early, inputResponses: { who: { action: 'perhaps' }, why: who } };
    expect((await askingCall(rig, wrong))['result']).toMatchObject({
      resultType: 'input_required',
      inputRequests: { who: { method: 'elicitation/create' } },
    });
  });
});
