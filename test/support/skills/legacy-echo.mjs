// A well-behaved skill of the sessionful era, on the v1 SDK. What happens inside it shows on standard error.
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import * as z from 'zod/v4';

const say = (event) => process.stderr.write(`event:${event}\n`);

const server = new McpServer(
  { name: 'legacy-echo', version: '1.0.0' },
  { instructions: 'Echoes what it is told.', capabilities: { tools: { listChanged: true } } },
);
server.registerTool(
  'echo',
  {
    title: 'Echo',
    description: 'Says it again.',
    inputSchema: { message: z.string() },
    outputSchema: { said: z.string() },
    annotations: { readOnlyHint: true },
  },
  ({ message }, { _meta }) => ({
    content: [{ type: 'text', text: message }],
    structuredContent: { said: message },
    _meta: { 'org.example/seen': _meta ?? {} },
  }),
);
server.registerTool(
  'count',
  { description: 'Counts aloud.', inputSchema: { to: z.number().int() } },
  async ({ to }, { _meta, sendNotification }) => {
    const progressToken = _meta?.progressToken;
    for (let progress = 1; progress <= to && progressToken !== undefined; progress += 1) {
      await sendNotification({
        method: 'notifications/progress',
        params: { progressToken, progress, total: to, message: `${progress} of ${to}` },
      });
    }
    return { content: [{ type: 'text', text: `counted to ${to}` }] };
  },
);
server.registerTool('wait', { description: 'Waits until it is cancelled.' }, ({ signal }) => {
  say('waiting');
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      say('cancelled');
      reject(new Error('cancelled'));
    });
  });
});
server.registerTool('fail', { description: 'Fails.' }, () => ({
  isError: true,
  content: [{ type: 'text', text: 'It did not work.' }],
}));
server.registerTool('ask', { description: 'Asks its client for a text.' }, async () => {
  // No capability was offered, so the SDK would not even ask; a careless skill does.
  const answer = await server.server.request({ method: 'roots/list', params: {} }, z.looseObject({})).then(
    () => 'answered',
    (error) => `refused with ${error.code}`,
  );
  return { content: [{ type: 'text', text: answer }] };
});
server.registerTool('grow', { description: 'Offers one tool more from now on.' }, () => {
  server.registerTool('surprise', { description: 'Was not there before.' }, () => ({ content: [] }));
  return { content: [] };
});
server.registerPrompt(
  'greet',
  {
    description: 'Greets somebody.',
    argsSchema: {
      name: completable(z.string(), (start) =>
        ['Ada', 'Alan', 'Grace'].filter((name) => name.startsWith(start)),
      ),
    },
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
await server.connect(new StdioServerTransport());
