import { beforeAll, describe, expect, it } from 'vitest';
import type { GatewayRequest } from '../../../hub/mcp/gateway.ts';
import { AppError } from '../../../protocol/errors.ts';
import { capture } from '../../support/fixture-skills.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import {
  CLIENTS,
  type EndpointRig,
  endpointRig,
  exchange,
  INITIALIZE,
  modernRequest,
  type Surfaces,
} from '../mcp/rig.ts';
import { tasksRig } from './rig.ts';

const EXTENSION = 'io.modelcontextprotocol/tasks';
const REQUIRED = { requiredCapabilities: { extensions: { [EXTENSION]: {} } } };

let real: Surfaces;
/** With tools that only a hub in place of the skill can have. */
let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  const long = (name: string, more: object) => ({
    name,
    description: 'Takes long.',
    inputSchema: { type: 'object' as const },
    ...more,
  });
  real = { modern, legacy };
  surfaces = {
    modern: {
      ...modern,
      tools: [
        ...modern.tools,
        long('long', { _meta: { 'dev.berth/taskSupport': 'optional' } }),
        long('longest', { execution: { taskSupport: 'required' } }),
      ],
    },
    legacy,
  };
});

/** The endpoint with tasks; `request` stands for the hub behind it. */
async function doorRig({
  request,
  afterMs = 60_000,
}: { request?: (order: GatewayRequest) => Promise<Record<string, unknown>>; afterMs?: number } = {}) {
  const { tasks } = await tasksRig({ limits: { afterMs } });
  return endpointRig(request === undefined ? real : surfaces, {
    tasks,
    ...(request === undefined ? {} : { request: (_principal, _scope, order) => request(order) }),
  });
}

interface Sent {
  token?: string;
  declared?: boolean;
  headers?: Record<string, string>;
}

/** One request of 2026-07-28, with the tasks extension declared unless said otherwise. */
async function ask(
  rig: EndpointRig,
  method: string,
  params: Record<string, unknown>,
  { token = 'token-of-ada', declared = true, headers = {} }: Sent = {},
) {
  const { headers: standard, body } = modernRequest(method, params);
  const { _meta: meta } = body.params;
  const capabilities = declared ? { elicitation: {}, extensions: { [EXTENSION]: {} } } : { elicitation: {} };
  const answer = await exchange(rig, {
    headers: {
      authorization: `Bearer ${token}`,
      ...standard,
      ...(typeof params['taskId'] === 'string' ? { 'mcp-name': params['taskId'] } : {}),
      ...headers,
    },
    body: {
      ...body,
      params: {
        ...body.params,
        _meta: { ...meta, 'io.modelcontextprotocol/clientCapabilities': capabilities },
      },
    },
  });
  const { result, error } = answer.json() as Record<string, Record<string, any> | undefined>;
  return { status: answer.status, result: result ?? {}, error };
}

async function until(rig: EndpointRig, taskId: string, status: string): Promise<Record<string, any>> {
  for (;;) {
    const { result, error } = await ask(rig, 'tasks/get', { taskId });
    expect(error).toBeUndefined();
    if (result['status'] === status) return result;
  }
}

const call = (name: string, more: object = {}) => ({ name, arguments: {}, ...more });
const text = (words: string) => ({ content: [{ type: 'text', text: words }] });
const FORM = { method: 'elicitation/create', params: { message: 'Who?' } } as const;
const ANSWER = { action: 'accept', content: { name: 'Ada' } };
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;

describe('a client that knows tasks', () => {
  it('finds them offered, gets a task, and fetches its result', verifies('tasks.durable'), async () => {
    const rig = await doorRig({ request: async () => text('at last') });
    const { result: discovered } = await ask(rig, 'server/discover', {});
    expect(discovered['capabilities']).toMatchObject({ extensions: { [EXTENSION]: {} } });
    for (const tool of ['modern__long', 'modern__longest']) {
      const { result: created } = await ask(rig, 'tools/call', call(tool));
      const { _meta: _hub, ...task } = created;
      expect(task).toEqual({
        resultType: 'task',
        taskId: expect.stringMatching(/^task_[\w-]{32}$/),
        status: expect.stringMatching(/working|completed/),
        createdAt: expect.stringMatching(TIME),
        lastUpdatedAt: expect.stringMatching(TIME),
        ttlMs: 3_600_000,
        pollIntervalMs: 1_000,
      });
      const done = await until(rig, task['taskId'], 'completed');
      expect(done).toMatchObject({ resultType: 'complete', result: text('at last') });
      expect(done).not.toHaveProperty('content');
    }
  });

  it('gets a plain result from a tool that is quick', verifies('tasks.slow'), async () => {
    const rig = await doorRig();
    const { result } = await ask(rig, 'tools/call', call('modern__echo', { arguments: { message: 'hi' } }));
    expect(result).toMatchObject({ resultType: 'complete', ...text('hi') });
    expect(result).not.toHaveProperty('taskId');
  });

  it('gets structured content through a task as it would without', verifies('tasks.durable'), async () => {
    const rig = await doorRig({ request: async () => ({ ...text('[1]'), structuredContent: [1] }) });
    const { result } = await ask(rig, 'tools/call', call('modern__long'));
    expect(await until(rig, result['taskId'], 'completed')).toMatchObject({
      result: { structuredContent: [1] },
    });
  });

  it('cancels in the skill itself', verifies('tasks.cancel', 'tasks.slow'), async () => {
    const rig = await doorRig({ afterMs: 0 });
    const { result } = await ask(rig, 'tools/call', call('modern__wait'));
    const taskId = String(result['taskId']);
    await rig.said('waiting');
    expect((await ask(rig, 'tasks/get', { taskId })).result).toMatchObject({ status: 'working' });
    const { result: acknowledged } = await ask(rig, 'tasks/cancel', { taskId });
    const { _meta: _hub, ...rest } = acknowledged;
    expect(rest).toEqual({ resultType: 'complete' });
    await rig.said('cancelled');
    await until(rig, taskId, 'cancelled');
    expect((await ask(rig, 'tasks/cancel', { taskId })).error).toBeUndefined();
  });

  it('answers what is asked in the middle of a call', verifies('tasks.input'), async () => {
    const rig = await doorRig({
      request: async ({ client }) => {
        const { who } = (await client?.ask({ who: FORM })) ?? {};
        return text(JSON.stringify(who));
      },
    });
    const { result: created } = await ask(rig, 'tools/call', call('modern__long'));
    expect(created).toMatchObject({ resultType: 'task' });
    expect(created).not.toHaveProperty('inputRequests');
    const taskId = String(created['taskId']);
    const waiting = await until(rig, taskId, 'input_required');
    const [key = ''] = Object.keys(waiting['inputRequests']);
    expect(waiting['inputRequests'][key]).toMatchObject({ method: 'elicitation/create' });
    for (const inputResponses of [{ 'no-such-key': ANSWER }, { [key]: ANSWER }]) {
      const { result } = await ask(rig, 'tasks/update', { taskId, inputResponses });
      const { _meta: _hub, ...rest } = result;
      expect(rest).toEqual({ resultType: 'complete' });
    }
    expect(await until(rig, taskId, 'completed')).toMatchObject({ result: text(JSON.stringify(ANSWER)) });
  });

  it('answers what skills of either era ask, through the task', verifies('tasks.input'), async () => {
    const { tasks } = await tasksRig();
    const [modern, legacy] = await Promise.all([capture('modern-asks'), capture('legacy-asks')]);
    const fixtures = { modern: 'modern-asks', legacy: 'legacy-asks' } as const;
    const rig = await endpointRig({ modern, legacy }, { tasks, fixtures });
    for (const skill of ['modern', 'legacy']) {
      const { result: created } = await ask(rig, 'tools/call', call(`${skill}__both`));
      const taskId = String(created['taskId']);
      const given: string[] = [];
      for (let status = ''; status !== 'completed';) {
        const { result: task } = await ask(rig, 'tasks/get', { taskId });
        ({ status } = task as { status: string });
        for (const key of Object.keys(task['inputRequests'] ?? {})) {
          const name = `name ${given.push(key)}`;
          const inputResponses = { [key]: { action: 'accept', content: { name } } };
          await ask(rig, 'tasks/update', { taskId, inputResponses });
        }
      }
      expect(await until(rig, taskId, 'completed')).toMatchObject({ result: text('name 1 name 2') });
    }
  });

  it('is asked before there is a task, and gets one after its answers', verifies('tasks.first'), async () => {
    const clock = manualClock();
    const { tasks } = await tasksRig({ clock, limits: { afterMs: 5_000 } });
    let finish: () => void = () => undefined;
    const finishing = new Promise<void>((resolve) => (finish = resolve));
    let calls = 0;
    const rig = await endpointRig(surfaces, {
      tasks,
      async request(_principal, _scope, { client }) {
        calls += 1;
        const { who } = (await client?.ask({ who: FORM })) ?? {};
        clock.advance(5_000);
        const { really } = (await client?.ask({ really: FORM })) ?? {};
        await finishing;
        return text(JSON.stringify([who, really]));
      },
    });
    const asked = call('modern__echo', { arguments: { message: '' } });
    const { result: first } = await ask(rig, 'tools/call', asked);
    expect(first).toMatchObject({ resultType: 'input_required', inputRequests: { who: FORM } });
    expect(first).not.toHaveProperty('taskId');
    clock.advance(60_000);
    const { requestState } = first;
    const again = { ...asked, inputResponses: { who: ANSWER }, requestState };
    // Whoever no longer says that it knows tasks must not be given one.
    expect((await ask(rig, 'tools/call', again, { declared: false })).error).toMatchObject({ code: -32_602 });
    const { result: created } = await ask(rig, 'tools/call', again);
    expect(created).toMatchObject({ resultType: 'task' });
    expect(created).not.toHaveProperty('requestState');
    expect(created).not.toHaveProperty('inputRequests');
    const taskId = String(created['taskId']);
    const waiting = await until(rig, taskId, 'input_required');
    const [key = ''] = Object.keys(waiting['inputRequests']);
    await ask(rig, 'tasks/update', { taskId, inputResponses: { [key]: ANSWER } });
    finish();
    const done = await until(rig, taskId, 'completed');
    expect(done).toMatchObject({ result: text(JSON.stringify([ANSWER, ANSWER])) });
    expect(calls).toBe(1);
  });

  it('is asked in its request where it can have no further task', verifies('tasks.first'), async () => {
    const { tasks } = await tasksRig({ limits: { openPerClient: 0 } });
    const rig = await endpointRig(surfaces, {
      tasks,
      request: async (_principal, _scope, { client }) =>
        text(JSON.stringify((await client?.ask({ who: FORM })) ?? {})),
    });
    const { result: first } = await ask(rig, 'tools/call', call('modern__long'));
    expect(first).toMatchObject({ resultType: 'input_required', inputRequests: { who: FORM } });
    const { requestState } = first;
    const again = call('modern__long', { inputResponses: { who: ANSWER }, requestState });
    expect((await ask(rig, 'tools/call', again)).result).toMatchObject(text(JSON.stringify({ who: ANSWER })));
  });

  it('learns how a call failed, in the two ways there are', verifies('tasks.durable'), async () => {
    const failures = [
      new AppError('call-denied', { detail: 'Policy says no.' }),
      new AppError('skill-error', {
        detail: 'Broken.',
        data: { rpc: { code: -32_603, message: 'Broken.' } },
      }),
      new Error('a bug'),
    ];
    const rig = await doorRig({ request: async () => Promise.reject(failures.shift()) });
    const denied = (await ask(rig, 'tools/call', call('modern__long'))).result;
    expect(await until(rig, denied['taskId'], 'completed')).toMatchObject({ result: { isError: true } });
    const broken = (await ask(rig, 'tools/call', call('modern__long'))).result;
    const failed = await until(rig, broken['taskId'], 'failed');
    expect(failed['error']).toMatchObject({ code: -32_000, message: expect.stringContaining('Broken') });
    expect(failed['statusMessage']).toContain('Broken');
    expect(failed).not.toHaveProperty('result');
    const bug = (await ask(rig, 'tools/call', call('modern__long'))).result;
    const unexpected = await until(rig, bug['taskId'], 'failed');
    expect(unexpected['error']).toMatchObject({ code: -32_603 });
    expect(JSON.stringify(unexpected)).not.toContain('a bug');
  });

  it('gets nothing of a task of another client', verifies('tasks.owner'), async () => {
    const rig = await doorRig({ request: async () => text('for ada alone') });
    const { result } = await ask(rig, 'tools/call', call('modern__long'));
    const taskId = String(result['taskId']);
    await until(rig, taskId, 'completed');
    const refusals = await Promise.all(
      [taskId, 'task_unknown'].flatMap((id) => [
        ask(rig, 'tasks/get', { taskId: id }, { token: 'token-of-bob' }),
        ask(rig, 'tasks/cancel', { taskId: id }, { token: 'token-of-bob' }),
        ask(rig, 'tasks/update', { taskId: id, inputResponses: {} }, { token: 'token-of-bob' }),
      ]),
    );
    const told = refusals.map(({ error }) => ({ code: error?.['code'], message: error?.['message'] }));
    expect(new Set(told.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(told[0]).toMatchObject({ code: -32_602 });
  });

  it('must say in the header which task it means', verifies('mcp.headers'), async () => {
    const rig = await doorRig({ request: async () => text('done') });
    const { result } = await ask(rig, 'tools/call', call('modern__long'));
    for (const method of ['tasks/get', 'tasks/cancel', 'tasks/update']) {
      const params = { taskId: result['taskId'], inputResponses: {} };
      const { status, error } = await ask(rig, method, params, { headers: { 'mcp-name': 'task_other' } });
      expect({ status, code: error?.['code'] }).toEqual({ status: 400, code: -32_020 });
    }
  });

  it('is refused answers that are none, or far too many', verifies('tasks.bounded'), async () => {
    const rig = await doorRig({ request: async () => text('done') });
    const { result } = await ask(rig, 'tools/call', call('modern__long'));
    const taskId = String(result['taskId']);
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`${n}`, {}]));
    for (const inputResponses of [undefined, many]) {
      const { error } = await ask(rig, 'tasks/update', { taskId, inputResponses });
      expect(error).toMatchObject({ code: -32_602 });
    }
    expect((await ask(rig, 'tasks/get', { taskId: 'x'.repeat(300) })).error).toMatchObject({ code: -32_602 });
  });
});

describe('a client that did not say that it knows tasks', () => {
  it('gets plain results, however long they take', verifies('tasks.declared'), async () => {
    const rig = await doorRig({ request: async () => text('in the end'), afterMs: 0 });
    for (const tool of ['modern__long', 'modern__echo']) {
      const { result } = await ask(rig, 'tools/call', call(tool), { declared: false });
      expect(result).toMatchObject({ resultType: 'complete', ...text('in the end') });
      expect(result).not.toHaveProperty('taskId');
    }
  });

  it('is told what a tool needs that is only to be had as a task', verifies('tasks.declared'), async () => {
    let calls = 0;
    const rig = await doorRig({ request: async () => text(`${(calls += 1)}`) });
    const { status, error } = await ask(rig, 'tools/call', call('modern__longest'), { declared: false });
    expect(error).toMatchObject({ code: -32_021, data: REQUIRED });
    expect(status).toBe(400);
    expect(calls).toBe(0);
  });

  it('cannot ask for a task, also not for one of its own', verifies('tasks.declared'), async () => {
    const rig = await doorRig({ request: async () => text('done') });
    const { result } = await ask(rig, 'tools/call', call('modern__long'));
    for (const method of ['tasks/get', 'tasks/cancel', 'tasks/update']) {
      const params = { taskId: result['taskId'], inputResponses: {} };
      const { status, error } = await ask(rig, method, params, { declared: false });
      expect({ status, error }).toMatchObject({ status: 400, error: { code: -32_021, data: REQUIRED } });
    }
  });

  it('of an older revision finds no such thing', verifies('tasks.declared'), async () => {
    const rig = await doorRig({ request: async () => text('plain') });
    const opened = await exchange(rig, { body: INITIALIZE });
    expect(JSON.stringify(opened.json())).not.toContain('io.modelcontextprotocol/tasks');
    const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
    const answer = await exchange(rig, {
      headers: { ...session, 'mcp-protocol-version': '2025-11-25' },
      body: { jsonrpc: '2.0', id: 2, method: 'tasks/get', params: { taskId: 'task_1' } },
    });
    expect(answer.json()).toMatchObject({ error: { code: -32_601 } });
    const client = await CLIENTS['v1 SDK'].connect(`${rig.url}/mcp`);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain('modern__longest');
    for (const tool of ['modern__long', 'modern__longest'])
      expect(await client.callTool({ name: tool })).toMatchObject(text('plain'));
  });
});

it('methods of tasks that the extension does not have are unknown', verifies('tasks.declared'), async () => {
  const rig = await doorRig();
  for (const method of ['tasks/list', 'tasks/result']) {
    const { status, error } = await ask(rig, method, { taskId: 'task_1' });
    expect({ status, code: error?.['code'] }).toEqual({ status: 404, code: -32_601 });
  }
});
