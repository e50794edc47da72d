// A skill of the sessionful era that turns to whoever calls it, on the v1 SDK. Some tools are there only where it may ask.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod/v4';

const text = (words) => ({ content: [{ type: 'text', text: words }] });
const server = new McpServer(
  { name: 'legacy-asks', version: '1.0.0' },
  { capabilities: { tools: { listChanged: true }, logging: {}, resources: { subscribe: true } } },
);
const elicit = (message) =>
  server.server.elicitInput({
    mode: 'form',
    message,
    requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  });
const TASKABLE = { 'dev.berth/taskSupport': 'optional' };
const tag = { tag: z.string().default('') };
server.registerTool('whom', { description: 'Asks.', inputSchema: tag }, async ({ tag: about }) => {
  const { action, content } = await elicit(`Who? ${about}`);
  return text(`${action} ${String(content?.name ?? '')} asked ${about}`);
});
server.registerTool('both', { description: 'Asks.', inputSchema: tag, _meta: TASKABLE }, async () => {
  const [one, two] = await Promise.all([elicit('One?'), elicit('Two?')]);
  return text(`${String(one.content?.name)} ${String(two.content?.name)}`);
});
server.registerTool('twice', { description: 'Asks.', inputSchema: tag }, async () => {
  const first = await elicit('First?');
  const second = await elicit('Second?');
  return text(`${String(first.content?.name)} ${String(second.content?.name)}`);
});
server.registerTool('where', { description: 'Asks.', inputSchema: tag }, async () => {
  const { roots } = await server.server.listRoots();
  return text(roots.map(({ uri }) => uri).join(' '));
});
server.registerTool('log', { description: 'Logs.' }, async () => {
  await server.server.sendLoggingMessage({ level: 'debug', data: 'quiet' });
  await server.server.sendLoggingMessage({ level: 'warning', data: 'loud' });
  return text('logged');
});
const think = server.registerTool('think', { description: 'Asks.', inputSchema: tag }, async () => {
  const { content } = await server.server.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: 'Hm?' } }],
    maxTokens: 10,
  });
  return text(content.text);
});
think.disable();
server.server.oninitialized = () => {
  if (server.server.getClientCapabilities()?.sampling !== undefined) think.enable();
};
const watched = new Set();
server.registerResource('note', 'note://one', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'note' }] }));
server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
  watched.add(params.uri);
  return {};
});
server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
  watched.delete(params.uri);
  process.stderr.write('event:unsubscribed\n');
  return {};
});
server.registerTool('touch', { description: 'Changes the note.' }, async () => {
  if (watched.has('note://one')) await server.server.sendResourceUpdated({ uri: 'note://one' });
  return text(watched.size === 0 ? 'unwatched' : 'watched');
});
await server.connect(new StdioServerTransport());
