import { beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../../support/fixture-skills.ts';
import { verifies } from '../../support/verifies.ts';
import { type ClientName, CLIENTS, endpointRig, type Surfaces } from './rig.ts';

let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  surfaces = { modern, legacy };
});

const names = Object.keys(CLIENTS) as ClientName[];

describe.each(names)('the %s client', (name) => {
  const { era, connect } = CLIENTS[name];

  it('lists what it may see, with prefixed names at /mcp', verifies('mcp.clients'), async () => {
    const { url } = await endpointRig(surfaces);
    const client = await connect(`${url}/mcp`);
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool['name'])).toEqual([
      ...surfaces.modern.tools.map((tool) => `modern__${tool.name}`),
      ...surfaces.legacy.tools.map((tool) => `legacy__${tool.name}`),
    ]);
    expect((await client.listPrompts()).prompts.map((prompt) => prompt['name'])).toEqual([
      'modern__greet',
      'legacy__greet',
    ]);
    expect((await client.listResources()).resources).toMatchObject([{ uri: 'echo://motto' }]);
    expect((await client.listResourceTemplates()).resourceTemplates).toMatchObject([
      { uriTemplate: 'echo://lines/{number}' },
    ]);
    expect(client.getInstructions()).toBe('Skills of a test.');
  });

  describe.each(['modern', 'legacy'] as const)('at the door of one %s skill', (skill) => {
    const door = `/s/org.example/${skill}/mcp`;

    it(
      'calls a tool and gets structured content and _meta as they are',
      verifies('mcp.clients'),
      async () => {
        const { url, asked } = await endpointRig(surfaces);
        const client = await connect(url + door);
        const { tools } = await client.listTools();
        expect(tools.map((tool) => tool['name'])).toEqual(surfaces[skill].tools.map((tool) => tool.name));
        const result = await client.callTool({ name: 'echo', arguments: { message: 'hello' } });
        expect(result).toMatchObject({
          content: [{ type: 'text', text: 'hello' }],
          structuredContent: { said: 'hello' },
          _meta: { 'org.example/seen': {} },
        });
        expect(asked).toEqual([{ user: 'ada', client: 'editor', agent: 'test-client' }]);
      },
    );

    it('gets progress', verifies('mcp.clients'), async () => {
      const { url } = await endpointRig(surfaces);
      const client = await connect(url + door);
      const seen: number[] = [];
      const result = await client.callTool(
        { name: 'count', arguments: { to: 4 } },
        { onprogress: ({ progress }) => seen.push(progress) },
      );
      expect(result['content']).toEqual([{ type: 'text', text: 'counted to 4' }]);
      expect(seen.length).toBeGreaterThan(0);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    });

    it('cancels, and the skill hears of it', verifies('mcp.clients', 'mcp.cancel'), async () => {
      const { url, said } = await endpointRig(surfaces);
      const client = await connect(url + door);
      const giveUp = new AbortController();
      const call = client.callTool({ name: 'wait' }, { signal: giveUp.signal });
      await said('waiting');
      giveUp.abort('the user changed their mind');
      await expect(call).rejects.toThrow();
      await said('cancelled');
      expect(await client.callTool({ name: 'echo', arguments: { message: 'next' } })).toMatchObject({
        structuredContent: { said: 'next' },
      });
    });

    it('reads resources, gets prompts, completes arguments', verifies('mcp.clients'), async () => {
      const { url } = await endpointRig(surfaces);
      const client = await connect(url + door);
      expect(await client.readResource({ uri: 'echo://motto' })).toMatchObject({
        contents: [{ text: 'Again!' }],
      });
      expect(await client.readResource({ uri: 'echo://lines/3' })).toMatchObject({
        contents: [{ text: 'line /3' }],
      });
      await expect(client.readResource({ uri: 'echo://nothing' })).rejects.toMatchObject({ code: -32602 });
      expect(await client.getPrompt({ name: 'greet', arguments: { name: 'Ada' } })).toMatchObject({
        messages: [{ content: { text: 'Greet Ada.' } }],
      });
      expect(
        await client.complete({
          ref: { type: 'ref/prompt', name: 'greet' },
          argument: { name: 'name', value: 'A' },
        }),
      ).toMatchObject({ completion: { values: ['Ada', 'Alan'] } });
    });

    it(
      'gets failures of a tool as results, and an unknown tool as an error',
      verifies('mcp.errors'),
      async () => {
        const { url } = await endpointRig(surfaces);
        const client = await connect(url + door);
        expect(await client.callTool({ name: 'fail' })).toMatchObject({
          isError: true,
          content: [{ text: 'It did not work.' }],
        });
        await expect(client.callTool({ name: 'nothing' })).rejects.toMatchObject({ code: -32602 });
      },
    );
  });

  it('gets structured content that is no object in the form that its era has', async () => {
    const { url } = await endpointRig(surfaces);
    const client = await connect(`${url}/s/org.example/modern/mcp`);
    await client.listTools();
    const { structuredContent } = await client.callTool({ name: 'list' });
    expect(structuredContent).toEqual(era === 'modern' ? [1, 2, 3] : { result: [1, 2, 3] });
  });
});
