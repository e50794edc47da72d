import { McpServer, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import type { SkillsExtension } from '@modelcontextprotocol/server/ext/skills';
import { askingTools, type RoundCodec } from './asking-tools.ts';
import { CONTENT_TOOLS } from './content-tools.ts';
import { addPrompts } from './prompts.ts';
import { addResources } from './resources.ts';
import { TASK_TOOLS } from './task-tools.ts';
import { listed, text, type FixtureTools } from './tool.ts';

/** What outlives one server: over HTTP each request has a server of its own. */
export interface FixtureParts {
  codec: RoundCodec;
  skills: SkillsExtension;
}

/** A server with everything that the conformance suite asks for, under the names it asks for. */
export function fixtureServer({ codec, skills }: FixtureParts): McpServer {
  const server = new McpServer(
    { name: 'conformance', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
      },
      requestState: { verify: codec.verify },
    },
  );
  skills.attach(server);
  addResources(server);
  addPrompts(server);
  addTools(server, {
    ...CONTENT_TOOLS,
    ...askingTools(codec),
    ...TASK_TOOLS,
    test_trigger_tool_change: {
      description: 'Says that the tools have changed.',
      run() {
        server.sendToolListChanged();
        return text('said');
      },
    },
    test_trigger_prompt_change: {
      description: 'Says that the prompts have changed.',
      run() {
        server.sendPromptListChanged();
        return text('said');
      },
    },
  });
  return server;
}

/** By hand instead of by `registerTool`, which lists schemas made anew and turns every error into a result. */
function addTools({ server }: McpServer, tools: FixtureTools): void {
  server.setRequestHandler('tools/list', () => ({
    tools: Object.entries(tools).map(([name, tool]) => listed(name, tool)),
  }));
  server.setRequestHandler('tools/call', async ({ params }, context) => {
    const tool = Object.hasOwn(tools, params.name) ? tools[params.name] : undefined;
    if (tool === undefined)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'There is no such tool.');
    return tool.run(params.arguments ?? {}, context);
  });
}
