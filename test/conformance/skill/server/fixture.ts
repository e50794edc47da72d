import {
  type CallToolResult,
  type InputResponses,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import type { SkillsExtension } from '@modelcontextprotocol/server/ext/skills';
import { z } from 'zod';
import { askingTools, type RoundCodec } from './asking-tools.ts';
import { CONTENT_TOOLS } from './content-tools.ts';
import { addPrompts } from './prompts.ts';
import { addResources } from './resources.ts';
import { needTasks, TASKS_EXTENSION, taskTools } from './task-tools.ts';
import type { Tasks } from './tasks.ts';
import { listed, text, type FixtureTools } from './tool.ts';

/** What outlives one server: over HTTP each request has a server of its own. */
export interface FixtureParts {
  tasks: Tasks;
  codec: RoundCodec;
  skills: SkillsExtension;
}

/** A server with everything that the conformance suite asks for, under the names it asks for. */
export function fixtureServer({ tasks, codec, skills }: FixtureParts): McpServer {
  const server = new McpServer(
    { name: 'conformance', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
        extensions: { [TASKS_EXTENSION]: {} },
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
    ...taskTools(tasks),
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
  addTasks(server, tasks);
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
    return (await tool.run(params.arguments ?? {}, context)) as CallToolResult;
  });
}

const anything = z.looseObject({});
const ofTask = z.looseObject({ taskId: z.string() });

function addTasks({ server }: McpServer, tasks: Tasks): void {
  server.setRequestHandler('tasks/get', { params: ofTask, result: anything }, ({ taskId }, context) => {
    needTasks(context);
    return tasks.get(taskId);
  });
  server.setRequestHandler(
    'tasks/update',
    { params: ofTask.extend({ inputResponses: anything.optional() }), result: anything },
    ({ taskId, inputResponses }, context) => {
      needTasks(context);
      // The SDK takes these out of every request, whichever method it is.
      return tasks.update(taskId, (context.mcpReq.inputResponses ?? inputResponses ?? {}) as InputResponses);
    },
  );
  server.setRequestHandler('tasks/cancel', { params: ofTask, result: anything }, ({ taskId }, context) => {
    needTasks(context);
    return tasks.cancel(taskId);
  });
}
