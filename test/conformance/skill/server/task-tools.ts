import { setTimeout as sleep } from 'node:timers/promises';
import {
  acceptedContent,
  inputRequired,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/server';
import { askFor } from './asking-tools.ts';
import { text, type FixtureTools } from './tool.ts';

/** Longer than the five seconds after which a hub makes a task of a call. */
const LONG_MS = 6_000;

/** The tools whose calls the hub makes tasks of, for a client that knows tasks (SEP-2663). They know nothing of it. */
export const TASK_TOOLS: FixtureTools = {
  greet: {
    description: 'Greets at once.',
    inputSchema: { properties: { name: { type: 'string' } }, required: ['name'] },
    run: ({ name }) => text(`Hello, ${String(name)}!`),
  },
  slow_compute: {
    description: 'Computes for so many seconds.',
    inputSchema: {
      properties: { seconds: { type: 'number' }, label: { type: 'string' } },
      required: ['seconds'],
    },
    taskSupport: 'optional',
    async run({ seconds, label }, { mcpReq: { signal } }) {
      await sleep(Number(seconds) * 1_000, undefined, { signal });
      return text(`computed ${String(label)}`);
    },
  },
  failing_job: {
    description: 'Fails after a while, as tools fail.',
    taskSupport: 'required',
    async run(_args, { mcpReq: { signal } }) {
      await sleep(1_000, undefined, { signal });
      return { ...text('The job failed.'), isError: true };
    },
  },
  protocol_error_job: {
    description: 'Breaks, as servers break.',
    taskSupport: 'optional',
    run: () => Promise.reject(new ProtocolError(ProtocolErrorCode.InternalError, 'The job broke.')),
  },
  confirm_delete: {
    description: 'Asks before it would delete.',
    inputSchema: { properties: { filename: { type: 'string' } }, required: ['filename'] },
    taskSupport: 'optional',
    run({ filename }, { mcpReq: { inputResponses } }) {
      if (inputResponses === undefined) {
        const question = askFor(`Delete ${String(filename)}?`, { confirm: { type: 'boolean' } });
        return inputRequired({ inputRequests: { confirm: question } });
      }
      const answer = acceptedContent<{ confirm: unknown }>(inputResponses, 'confirm');
      return text(answer?.confirm === true ? 'It would be deleted.' : 'It stays.');
    },
  },
  multi_input: {
    description: 'Asks two questions at once.',
    taskSupport: 'optional',
    run(_args, { mcpReq: { inputResponses } }) {
      if (inputResponses !== undefined) return text('Both are known.');
      const question = (which: string) => askFor(`Your ${which} name?`, { name: { type: 'string' } });
      return inputRequired({ inputRequests: { first: question('first'), last: question('last') } });
    },
  },
  test_tool_with_task: {
    description: 'Asks for a name first and takes long then.',
    async run(_args, { mcpReq: { inputResponses, signal } }) {
      const name = acceptedContent<{ name: unknown }>(inputResponses, 'user_name')?.name;
      if (typeof name !== 'string') {
        const question = askFor('What is your name?', { name: { type: 'string' } });
        return inputRequired({ inputRequests: { user_name: question } });
      }
      await sleep(LONG_MS, undefined, { signal });
      return text(`Hello, ${name}!`);
    },
  },
};
