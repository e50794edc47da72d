import {
  acceptedContent,
  completable,
  inputRequired,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { askFor } from './asking-tools.ts';
import { PNG } from './samples.ts';

const said = (words: string) => ({ role: 'user', content: { type: 'text', text: words } }) as const;

/** The prompts of the suite: plain, with arguments, with other content, and one that asks first. */
export function addPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'Has no arguments.' }, () => ({
    messages: [said('This is a simple prompt for testing.')],
  }));
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'Has two arguments.',
      argsSchema: z.object({
        arg1: completable(z.string().describe('First test argument'), (begun) =>
          ['testing', 'tested', 'other'].filter((word) => word.startsWith(begun)),
        ),
        arg2: z.string().describe('Second test argument'),
      }),
    },
    ({ arg1, arg2 }) => ({
      messages: [said(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
    }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    {
      description: 'Carries a resource.',
      argsSchema: z.object({ resourceUri: z.string().describe('URI of the resource to embed') }),
    },
    ({ resourceUri }) => ({
      messages: [
        {
          role: 'user',
          content: {
            type: 'resource',
            resource: {
              uri: resourceUri,
              mimeType: 'text/plain',
              text: 'Embedded resource content for testing.',
            },
          },
        },
        said('Please process the embedded resource above.'),
      ],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'Carries an image.' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: PNG, mimeType: 'image/png' } },
      said('Please analyze the image above.'),
    ],
  }));
  server.registerPrompt(
    'test_input_required_result_prompt',
    { description: 'Asks for its context before it is given.' },
    // Without arguments the context is the only one, which the types do not know.
    (context: unknown) => {
      const { inputResponses } = (context as ServerContext).mcpReq;
      const given = acceptedContent<{ context: unknown }>(inputResponses, 'user_context')?.context;
      if (typeof given !== 'string') {
        const question = askFor('What context should the prompt use?', { context: { type: 'string' } });
        return inputRequired({ inputRequests: { user_context: question } });
      }
      return { messages: [said(`Use the following context: ${given}`)] };
    },
  );
}
