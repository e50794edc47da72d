// A skill of MCP 2026-07-28 that turns to whoever calls it, on the v2 SDK.
import { inputRequired, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod/v4';

const text = (words) => ({ content: [{ type: 'text', text: words }] });
const form = (message) => ({
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message,
    requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  },
});

serveStdio(() => {
  const server = new McpServer(
    { name: 'modern-asks', version: '1.0.0' },
    { capabilities: { tools: {}, logging: {}, resources: { subscribe: true } } },
  );
  const ask = (name, requests, answered, _meta) =>
    server.registerTool(
      name,
      { description: 'Asks.', inputSchema: z.object({ tag: z.string().default('') }), _meta },
      ({ tag }, { mcpReq }) => {
        const { inputResponses } = mcpReq;
        if (inputResponses === undefined)
          return inputRequired({ inputRequests: requests(tag), requestState: `asked ${tag}` });
        return answered(inputResponses, mcpReq.requestState(), tag);
      },
    );
  ask(
    'whom',
    (tag) => ({ who: form(`Who? ${tag}`) }),
    ({ who }, state) => text(`${who.action} ${who.content?.name ?? ''} ${state}`),
  );
  ask(
    'both',
    () => ({ one: form('One?'), two: form('Two?') }),
    ({ one, two }) => text(`${one.content?.name} ${two.content?.name}`),
    { 'dev.berth/taskSupport': 'optional' },
  );
  ask(
    'twice',
    () => ({ first: form('First?') }),
    ({ first, second }, state) => {
      if (second !== undefined) return text(`${state} ${second.content?.name}`);
      return inputRequired({ inputRequests: { second: form('Second?') }, requestState: first.content?.name });
    },
  );
  ask(
    'think',
    () => ({
      thought: {
        method: 'sampling/createMessage',
        params: { messages: [{ role: 'user', content: { type: 'text', text: 'Hm?' } }], maxTokens: 10 },
      },
    }),
    ({ thought }) => text(thought.content.text),
  );
  ask(
    'where',
    () => ({ roots: { method: 'roots/list', params: {} } }),
    ({ roots }) => text(roots.roots.map(({ uri }) => uri).join(' ')),
  );
  server.registerTool('log', { description: 'Logs.' }, async ({ mcpReq }) => {
    await mcpReq.log('debug', 'quiet');
    await mcpReq.log('warning', 'loud');
    return text('logged');
  });
  server.registerResource('note', 'note://one', {}, (uri) => ({
    contents: [{ uri: uri.href, text: 'note' }],
  }));
  server.registerTool('touch', { description: 'Changes the note.' }, async () => {
    await server.server.sendResourceUpdated({ uri: 'note://one' });
    return text('touched');
  });
  return server;
});
