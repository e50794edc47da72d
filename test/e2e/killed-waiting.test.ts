import { afterEach, describe, expect, it } from 'vitest';
import { askingCall, exchange, modernRequest } from '../hub/mcp/rig.ts';
import { allGone, type ChaosHome, chaosHome, filesIn, until } from '../support/chaos-home.ts';
import { verifies } from '../support/verifies.ts';

const TASKS = 'io.modelcontextprotocol/tasks';
const portOf = ({ up }: ChaosHome) => ({ port: Number(new URL(up.urls.hub).port) });

let home: ChaosHome | undefined;
afterEach(() => home?.remove());

/** Kills the hub, waits until nothing of it runs, and starts it again. */
async function killAndRestart(here: ChaosHome): Promise<void> {
  const below = here.alive();
  expect(await here.running()).toMatchObject([{ calls: 1 }]);
  await here.up.kill();
  await until(() => allGone(below));
  await here.restart();
}

/** How calls ended, newest first, and whether the whole record is sound. */
async function recorded({ up }: ChaosHome): Promise<Record<string, unknown>[]> {
  expect((await up.run('audit', 'verify')).code).toBe(0);
  const entries = await up.ok('audit', 'ls', '--event', 'call.finished');
  return (entries as unknown as { record: Record<string, unknown> }[]).map(({ record }) => record);
}

describe('a hub that is killed', () => {
  it(
    'while a call waits for an answer refuses the answer afterwards, in words',
    verifies('hub.killed-waiting'),
    async () => {
      home = await chaosHome();
      await home.install({ name: 'curious' }, 60_000);
      const headers = { authorization: `Bearer ${home.token}` };
      const order = { name: 'curious__ask', arguments: {} };
      const { result } = await askingCall(portOf(home), order, headers);
      expect(result).toMatchObject({ resultType: 'input_required' });
      const [key = ''] = Object.keys(result.inputRequests);
      const goOn = {
        ...order,
        inputResponses: { [key]: { action: 'accept', content: { name: 'ada' } } },
        requestState: result.requestState,
      };
      await killAndRestart(home);

      const refused = await askingCall(portOf(home), goOn, headers);
      expect(refused).toMatchObject({
        error: { code: -32_602, message: expect.stringContaining('requestState') },
      });
      expect(await home.running()).toEqual([]);
      expect(await recorded(home)).toMatchObject([{ name: 'ask', outcome: 'unknown' }]);
      // Begun anew, it works.
      const { result: again } = await askingCall(portOf(home), order, headers);
      const anew = { ...goOn, requestState: again.requestState };
      const [newKey = ''] = Object.keys(again.inputRequests);
      const answers = { [newKey]: goOn.inputResponses[key] };
      const { result: done } = await askingCall(portOf(home), { ...anew, inputResponses: answers }, headers);
      expect(done).toMatchObject({ content: [{ text: 'answered' }] });
    },
  );

  it(
    'while a task goes on has a task that failed as unknown, and does not make the call again',
    verifies('hub.killed-waiting'),
    async () => {
      home = await chaosHome({ BERTH_HUB_TASKS_AFTER_MS: '0' });
      const here = home;
      await here.install({ name: 'patient' }, 60_000);
      const ask = async (method: string, params: Record<string, unknown>) => {
        const { headers, body } = modernRequest(method, params);
        const { _meta: envelope } = body.params;
        const capabilities = { extensions: { [TASKS]: {} } };
        const meta = { ...envelope, 'io.modelcontextprotocol/clientCapabilities': capabilities };
        const named = method === 'tasks/get' ? { 'mcp-name': String(params['taskId']) } : {};
        const answer = await exchange(portOf(here), {
          headers: { ...headers, ...named, authorization: `Bearer ${here.token}` },
          body: { ...body, params: { ...params, _meta: meta } },
        });
        return answer.json()['result'] as Record<string, unknown>;
      };
      const order = { name: 'patient__until', arguments: { path: '/workspace/go' } };
      const { taskId } = await ask('tools/call', order);
      await filesIn(here.workspace, 1);
      await killAndRestart(here);

      expect(await ask('tasks/get', { taskId })).toMatchObject({
        status: 'failed',
        statusMessage: expect.stringContaining('Outcome unknown'),
      });
      expect(await recorded(here)).toMatchObject([{ name: 'until', outcome: 'unknown' }]);
      expect(await here.running()).toEqual([]);
      expect(await filesIn(here.workspace, 1)).toHaveLength(1);
    },
  );
});
