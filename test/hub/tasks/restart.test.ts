import { expect, it } from 'vitest';
import { adminApi } from '../../../hub/admin-api.ts';
import { callRoute } from '../../../protocol/node/http-client.ts';
import { hubRig } from '../../support/hub-rig.ts';
import { skillFolder } from '../../support/skill-folder.ts';
import { verifies } from '../../support/verifies.ts';
import { exchange, modernRequest } from '../mcp/rig.ts';

it(
  'a hub that starts again has the endings of its tasks, and knows what it does not know',
  verifies('tasks.restart', 'tasks.durable'),
  async () => {
    const rig = await hubRig();
    const folder = await skillFolder({
      tools: { hang: { code: 'await new Promise(() => {})' }, greet: { code: "return 'hello'" } },
      prelude: "for (const tool of tools) tool.execution = { taskSupport: 'optional' };",
    });
    const { name } = await rig.publish(folder);
    await rig.install(name, '*', {});
    const { token } = await callRoute(adminApi.addClient, { ...rig.admin, body: { name: 'agent' } });
    const ask = async (method: string, params: Record<string, unknown>): Promise<Record<string, any>> => {
      const { headers, body } = modernRequest(method, params);
      const { _meta: meta } = body.params;
      const answer = await exchange(
        { port: Number(new URL(rig.hub.url).port) },
        {
          path: `/s/${name}/mcp`,
          headers: {
            ...headers,
            authorization: `Bearer ${token}`,
            ...('taskId' in params ? { 'mcp-name': String(params['taskId']) } : {}),
          },
          body: {
            ...body,
            params: {
              ...body.params,
              _meta: {
                ...meta,
                'io.modelcontextprotocol/clientCapabilities': {
                  extensions: { 'io.modelcontextprotocol/tasks': {} },
                },
              },
            },
          },
        },
      );
      expect(answer.json()).toHaveProperty('result');
      return answer.json()['result'] as Record<string, any>;
    };
    const done = await ask('tools/call', { name: 'greet', arguments: {} });
    const cut = await ask('tools/call', { name: 'hang', arguments: {} });
    for (const created of [done, cut]) expect(created).toMatchObject({ resultType: 'task' });
    const result = { content: [{ type: 'text', text: 'hello' }] };
    let status = 'working';
    while (status === 'working')
      ({ status } = (await ask('tasks/get', { taskId: done['taskId'] })) as { status: string });

    await rig.restart();

    expect(await ask('tasks/get', { taskId: done['taskId'] })).toMatchObject({ status: 'completed', result });
    expect(await ask('tasks/get', { taskId: cut['taskId'] })).toMatchObject({
      status: 'failed',
      error: { code: -32_603 },
      statusMessage: expect.stringContaining('Outcome unknown'),
    });
    const told = await callRoute(adminApi.audit, { ...rig.admin, query: { event: 'task.' } });
    expect(told.map(({ sentence }) => sentence)).toEqual([
      'agent (owner) was given a task for its call of hang',
      'agent (owner) was given a task for its call of greet',
    ]);
  },
);
