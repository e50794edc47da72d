import { setTimeout as sleep } from 'node:timers/promises';
import {
  acceptedContent,
  inputRequired,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { askFor } from './asking-tools.ts';
import type { Tasks } from './tasks.ts';
import { capabilitiesIn, text, type FixtureTools } from './tool.ts';

/** The extension for calls that go on without their request (SEP-2663). */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** The tools that become tasks for a client that knows tasks. */
export function taskTools(tasks: Tasks): FixtureTools {
  return {
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
      run({ seconds, label }, context) {
        const compute = async (signal: AbortSignal) => {
          await sleep(Number(seconds) * 1000, undefined, { signal });
          return text(`computed ${String(label)}`);
        };
        return knowsTasks(context)
          ? tasks.start(({ signal }) => compute(signal))
          : compute(context.mcpReq.signal);
      },
    },
    failing_job: {
      description: 'Fails after a while, as tools fail.',
      run(_args, context) {
        needTasks(context);
        return tasks.start(async ({ signal }) => {
          await sleep(1_000, undefined, { signal });
          return { ...text('The job failed.'), isError: true };
        });
      },
    },
    protocol_error_job: {
      description: 'Breaks, as servers break.',
      run(_args, context) {
        needTasks(context);
        return tasks.start(() =>
          Promise.reject(new ProtocolError(ProtocolErrorCode.InternalError, 'The job broke.')),
        );
      },
    },
    confirm_delete: {
      description: 'Asks before it would delete.',
      inputSchema: { properties: { filename: { type: 'string' } }, required: ['filename'] },
      run({ filename }, context) {
        needTasks(context);
        return tasks.start(async ({ ask }) => {
          const question = askFor(`Delete ${String(filename)}?`, { confirm: { type: 'boolean' } });
          const answers = await ask({ confirm: question });
          const answer = acceptedContent<{ confirm: unknown }>(answers, 'confirm');
          return text(answer?.confirm === true ? 'It would be deleted.' : 'It stays.');
        });
      },
    },
    multi_input: {
      description: 'Asks two questions at once.',
      run(_args, context) {
        needTasks(context);
        return tasks.start(async ({ ask }) => {
          const question = (which: string) => askFor(`Your ${which} name?`, { name: { type: 'string' } });
          await ask({ first: question('first'), last: question('last') });
          return text('Both are known.');
        });
      },
    },
    test_tool_with_task: {
      description: 'Asks for a name first and becomes a task then.',
      run(_args, context) {
        needTasks(context);
        const name = acceptedContent<{ name: unknown }>(context.mcpReq.inputResponses, 'user_name')?.name;
        if (typeof name !== 'string') {
          const question = askFor('What is your name?', { name: { type: 'string' } });
          return inputRequired({ inputRequests: { user_name: question } });
        }
        return tasks.start(() => Promise.resolve(text(`Hello, ${name}!`)));
      },
    },
  };
}

/** @throws MissingRequiredClientCapabilityError when the client of this request does not know tasks. */
export function needTasks(context: ServerContext): void {
  if (knowsTasks(context)) return;
  throw new MissingRequiredClientCapabilityError({
    requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } },
  });
}

function knowsTasks(context: ServerContext): boolean {
  return capabilitiesIn(context).extensions?.[TASKS_EXTENSION] !== undefined;
}
