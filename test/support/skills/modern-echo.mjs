// A well-behaved skill of MCP 2026-07-28, on the v2 SDK. What happens inside it shows on standard error.
import { completable, McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod/v4';

const say = (event) => process.stderr.write(`event:${event}\n`);

serveStdio(() => {
  const server = new McpServer(
    { name: 'modern-echo', version: '1.0.0' },
    { instructions: 'Echoes what it is told.', capabilities: { tools: { listChanged: true } } },
  );
  server.registerTool(
    'echo',
    {
      title: 'Echo',
      description: 'Says it again.',
      inputSchema: z.object({ message: z.string() }),
      outputSchema: z.object({ said: z.string() }),
      annotations: { readOnlyHint: true },
    },
    ({ message }, { mcpReq: { _meta: meta = {} } }) => ({
      content: [{ type: 'text', text: message }],
      structuredContent: { said: message },
      _meta: { 'org.example/seen': meta },
    }),
  );
  server.registerTool(
    'count',
    { description: 'Counts aloud.', inputSchema: z.object({ to: z.number().int() }) },
    async ({ to }, { mcpReq }) => {
      const { _meta: { progressToken } = {} } = mcpReq;
      for (let progress = 1; progress <= to && progressToken !== undefined; progress += 1) {
        await mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: to, message: `${progress} of ${to}` },
        });
      }
      return { content: [{ type: 'text', text: `counted to ${to}` }] };
    },
  );
  server.registerTool('wait', { description: 'Waits until it is cancelled.' }, ({ mcpReq }) => {
    say('waiting');
    return new Promise((_resolve, reject) => {
      mcpReq.signal.addEventListener('abort', () => {
        say('cancelled');
        reject(new Error('cancelled'));
      });
    });
  });
  server.registerTool('fail', { description: 'Fails.' }, () => ({
    isError: true,
    content: [{ type: 'text', text: 'It did not work.' }],
  }));
  server.registerTool(
    'list',
    { description: 'Answers with a list.', outputSchema: z.array(z.number()) },
    () => ({
      content: [],
      structuredContent: [1, 2, 3],
    }),
  );
  server.registerPrompt(
    'greet',
    {
      description: 'Greets somebody.',
      argsSchema: z.object({
        name: completable(z.string(), (start) =>
          ['Ada', 'Alan', 'Grace'].filter((name) => name.startsWith(start)),
        ),
      }),
    },
    ({ name }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}.` } }] }),
  );
  server.registerResource('motto', 'echo://motto', { mimeType: 'text/plain' }, (uri) => ({
    contents: [{ uri: uri.href, text: 'Again!' }],
  }));
  server.registerResource(
    'line',
    new ResourceTemplate('echo://lines/{number}', { list: undefined }),
    {},
    (uri) => ({
      contents: [{ uri: uri.href, text: `line ${uri.pathname}` }],
    }),
  );
  return server;
});
