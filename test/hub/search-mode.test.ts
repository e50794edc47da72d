import { describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { type HubRig, hubRig } from '../support/hub-rig.ts';
import { newClient } from '../support/mcp-clients.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { verifies } from '../support/verifies.ts';

const subject = () =>
  skillFolder({
    tools: {
      hello: { description: 'Greet somebody by name', code: 'return `hello ${args.who}`' },
      wipe: { description: 'Wipe the board', annotations: { destructiveHint: true }, code: `return 'wiped'` },
    },
  });

async function connected(rig: HubRig, token: string, mode: 'legacy' | { pin: string }) {
  const client = await newClient({ url: rig.hub.mcp, token }, mode);
  return {
    client,
    names: async () => (await client.listTools()).tools.map(({ name }) => name),
    async use(name: string, args: Record<string, unknown>) {
      const result = (await client.callTool({ name, arguments: args })) as {
        isError?: boolean;
        content: { text: string }[];
      };
      return { isError: result.isError ?? false, text: result.content[0]?.text ?? '' };
    },
  };
}

describe.each([
  ['2026-07-28', { pin: '2026-07-28' }],
  ['2025-11-25', 'legacy'],
] as const)('a real client of %s in search mode', (_era, mode) => {
  it(
    'finds, looks up and calls a tool of a skill it never listed',
    verifies('exposure.search', 'exposure.same-path', 'exposure.profile'),
    async () => {
      const rig = await hubRig();
      await rig.publish(await subject());
      await rig.install('local.test/subject', '*', { tools: { wipe: 'ask' } });
      const admin = rig.admin;
      const { token } = await callRoute(adminApi.addClient, {
        ...admin,
        body: { name: 'agent', shown: { mode: 'search' } },
      });
      const { client, names, use } = await connected(rig, token, mode);
      expect(await names()).toEqual(['search_tools', 'describe_tools', 'call_tool']);
      expect(client.getInstructions()).toContain('search_tools');

      const found = await use('search_tools', { query: 'greet a person by name' });
      expect(found.text).toMatch(/^subject__hello\(\): Greet somebody by name/);
      const described = await use('describe_tools', { names: ['subject__hello'] });
      expect(JSON.parse(described.text)).toMatchObject({ tools: [{ name: 'subject__hello' }] });
      const called = await use('call_tool', { name: 'subject__hello', arguments: { who: 'Ada' } });
      expect(called).toEqual({ isError: false, text: 'hello Ada' });

      expect(await use('call_tool', { name: 'subject__nothing' })).toMatchObject({ isError: true });
      expect(await use('search_tools', {})).toMatchObject({ isError: true });
      expect(await use('call_tool', { name: 'subject__wipe' })).toMatchObject({ isError: true });
      const records = await callRoute(adminApi.audit, { ...admin, query: { event: 'call.decided' } });
      expect(records.map(({ record }) => [record['name'], record['answer']])).toEqual([
        ['wipe', 'ask'],
        ['hello', 'allow'],
      ]);

      await callRoute(adminApi.setProfile, {
        ...admin,
        params: { profile: 'small' },
        body: { entries: [{ skill: 'subject', tools: ['wipe'] }] },
      });
      await callRoute(adminApi.showClient, {
        ...admin,
        params: { client: 'agent' },
        body: { mode: 'profile', profile: 'small' },
      });
      // A client of 2026-07-28 may keep a list for a while; a new one asks.
      const again = await connected(rig, token, mode);
      expect(await again.names()).toEqual(['subject__wipe']);
      await expect(again.use('subject__hello', { who: 'Ada' })).rejects.toThrow('No tool is named');
    },
  );
});
