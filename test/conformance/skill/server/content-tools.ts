import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerContext } from '@modelcontextprotocol/server';
import { PNG, WAV } from './samples.ts';
import { text, type FixtureTools } from './tool.ts';

/** Between the steps of a tool, so that a client sees them arrive one by one. */
const STEP_MS = 50;

/** The tools that answer by themselves: every kind of content, progress, log messages, failure. */
export const CONTENT_TOOLS: FixtureTools = {
  test_simple_text: {
    description: 'Answers with a text.',
    run: () => text('This is a simple text response for testing.'),
  },
  test_image_content: {
    description: 'Answers with an image.',
    run: () => ({ content: [{ type: 'image', data: PNG, mimeType: 'image/png' }] }),
  },
  test_audio_content: {
    description: 'Answers with a sound.',
    run: () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }),
  },
  test_embedded_resource: {
    description: 'Answers with a resource.',
    run: () => ({
      content: [
        {
          type: 'resource',
          resource: {
            uri: 'test://embedded-resource',
            mimeType: 'text/plain',
            text: 'This is an embedded resource content.',
          },
        },
      ],
    }),
  },
  test_multiple_content_types: {
    description: 'Answers with a text, an image and a resource.',
    run: () => ({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        { type: 'image', data: PNG, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: {
            uri: 'test://mixed-content-resource',
            mimeType: 'application/json',
            text: '{"test":"data","value":123}',
          },
        },
      ],
    }),
  },
  test_tool_with_logging: {
    description: 'Logs three times while it works.',
    async run(_args, { mcpReq }) {
      await mcpReq.log('info', 'Tool execution started');
      await sleep(STEP_MS);
      await mcpReq.log('info', 'Tool processing data');
      await sleep(STEP_MS);
      await mcpReq.log('info', 'Tool execution completed');
      return text('Tool with logging executed successfully');
    },
  },
  test_logging_tool: {
    description: 'Logs once.',
    async run(_args, { mcpReq }) {
      await mcpReq.log('info', 'heard only by a client that asked for it');
      return text('logged');
    },
  },
  test_tool_with_progress: {
    description: 'Reports its progress, to a client that asked for it.',
    async run(_args, context) {
      for (const progress of [0, 50, 100]) {
        await report(context, progress);
        if (progress < 100) await sleep(STEP_MS);
      }
      return text(String(progressTokenOf(context) ?? 'no progress token'));
    },
  },
  test_error_handling: {
    description: 'Fails.',
    run: () => ({ ...text('This tool intentionally returns an error for testing'), isError: true }),
  },
  test_reconnection: {
    description: 'Takes a moment, in which a client may lose and regain its stream.',
    async run() {
      await sleep(2 * STEP_MS);
      return text('Reconnection test completed successfully.');
    },
  },
  test_streaming_elicitation: {
    description: 'Answers on a stream that carries no requests.',
    run: () => text('nothing was asked'),
  },
  test_x_mcp_header: {
    description: 'Has an argument that HTTP clients repeat as a header.',
    inputSchema: {
      properties: {
        region: { type: 'string', description: 'Repeated as Mcp-Param-Region', 'x-mcp-header': 'Region' },
        level: { type: 'integer', description: 'Not repeated' },
      },
    },
    run: ({ region }) => text(`region=${typeof region === 'string' ? region : '<none>'}`),
  },
  json_schema_2020_12_tool: {
    description: 'Its schema uses what JSON Schema 2020-12 has.',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'addressDef',
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    run: (args) => text(`called with ${JSON.stringify(args)}`),
  },
};

async function report(context: ServerContext, progress: number): Promise<void> {
  const progressToken = progressTokenOf(context);
  if (progressToken === undefined) return;
  await context.mcpReq.notify({
    method: 'notifications/progress',
    params: { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` },
  });
}

function progressTokenOf({ mcpReq }: ServerContext) {
  const { _meta: { progressToken } = {} } = mcpReq;
  return progressToken;
}
