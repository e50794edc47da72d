import {
  acceptedContent,
  inputRequired,
  type InputRequests,
  type JSONObject,
  type RequestStateCodec,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { capabilitiesIn, text, type FixtureTools } from './tool.ts';

/** What the fixture carries from one round of a call to the next, through the client and sealed against it. */
export interface RoundState {
  tool: string;
  round: number;
  name?: string;
}

export type RoundCodec = RequestStateCodec<RoundState>;

const askName = () => askFor('What is your name?', { name: { type: 'string' } });
const askConfirmation = () => askFor('Please confirm', { ok: { type: 'boolean' } });
const askGreeting = () => askModel('Generate a greeting');

/**
 * The tools that ask the client something before they answer. Each is written once for both eras: where
 * results cannot ask, the SDK makes a request to the client of what the result says.
 */
export function askingTools(codec: RoundCodec): FixtureTools {
  return {
    test_sampling: {
      description: "Asks the client's model.",
      inputSchema: { properties: { prompt: { type: 'string' } }, required: ['prompt'] },
      run({ prompt }, context) {
        const answer = sampledText(context, 'answer');
        return answer === undefined
          ? inputRequired({ inputRequests: { answer: askModel(String(prompt)) } })
          : text(`LLM response: ${answer}`);
      },
    },
    test_elicitation: {
      description: 'Asks the user with a message of the caller.',
      inputSchema: { properties: { message: { type: 'string' } }, required: ['message'] },
      run: ({ message }, context) =>
        askThenShow(context, String(message), {
          properties: { response: { type: 'string', description: "User's response" } },
          required: ['response'],
        }),
    },
    test_elicitation_sep1034_defaults: {
      description: 'Asks the user with a default for every field.',
      run: (_args, context) =>
        askThenShow(context, 'Please review and update the form fields with defaults', {
          properties: {
            name: { type: 'string', default: 'John Doe' },
            age: { type: 'integer', default: 30 },
            score: { type: 'number', default: 95.5 },
            status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
            verified: { type: 'boolean', default: true },
          },
        }),
    },
    test_elicitation_sep1330_enums: {
      description: 'Asks the user to choose, in every form that a choice can have.',
      run: (_args, context) =>
        askThenShow(context, 'Please select options from the enum fields', { properties: CHOICES }),
    },
    test_missing_capability: {
      description: "Asks the client's model, whether the client has one or not.",
      run: (_args, context) =>
        sampledText(context, 'answer') === undefined
          ? inputRequired({ inputRequests: { answer: askModel('Reply with the single word: pong') } })
          : text('answered'),
    },
    test_input_required_result_elicitation: {
      description: 'Asks for a name until it has one.',
      run(_args, { mcpReq }) {
        const name = acceptedContent<{ name: unknown }>(mcpReq.inputResponses, 'user_name')?.name;
        return typeof name === 'string'
          ? text(`Hello, ${name}!`)
          : inputRequired({ inputRequests: { user_name: askName() } });
      },
    },
    test_input_required_result_sampling: {
      description: "Asks the client's model.",
      run(_args, context) {
        const answer = sampledText(context, 'capital_question');
        return answer === undefined
          ? inputRequired({
              inputRequests: { capital_question: askModel('What is the capital of France?') },
            })
          : text(`Sampling response: ${answer}`);
      },
    },
    test_input_required_result_list_roots: {
      description: 'Asks for the roots of the client.',
      run(_args, context) {
        const roots = rootsIn(context, 'client_roots');
        return roots === undefined
          ? inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
          : text(`Client exposed ${roots.length} root(s): ${roots.map(({ uri }) => uri).join(', ')}`);
      },
    },
    test_input_required_result_request_state: {
      description: 'Asks for a confirmation and takes it only with its own state.',
      async run(_args, { mcpReq }) {
        const state = mcpReq.requestState<RoundState>();
        const answered = acceptedContent(mcpReq.inputResponses, 'confirm') !== undefined;
        if (answered && state !== undefined) return text('state-ok: confirmed with its state');
        return inputRequired({
          inputRequests: { confirm: askConfirmation() },
          requestState: await codec.mint({ tool: 'request_state', round: 1 }),
        });
      },
    },
    test_input_required_result_tampered_state: {
      description: 'Asks for a confirmation and refuses a state that was changed.',
      async run(_args, { mcpReq }) {
        const answered = acceptedContent(mcpReq.inputResponses, 'confirm') !== undefined;
        if (answered && mcpReq.requestState() !== undefined) return text('integrity-ok');
        return inputRequired({
          inputRequests: { confirm: askConfirmation() },
          requestState: await codec.mint({ tool: 'tampered_state', round: 1 }),
        });
      },
    },
    test_input_required_result_multiple_inputs: {
      description: 'Asks for a name, a greeting and the roots at once.',
      async run(_args, context) {
        const name = acceptedContent<{ name: unknown }>(context.mcpReq.inputResponses, 'user_name')?.name;
        const greeting = sampledText(context, 'greeting');
        const roots = rootsIn(context, 'client_roots');
        if (typeof name === 'string' && greeting !== undefined && roots !== undefined)
          return text(`${greeting} ${name}, with ${roots.length} root(s)`);
        return inputRequired({
          inputRequests: {
            user_name: askName(),
            greeting: askGreeting(),
            client_roots: inputRequired.listRoots(),
          },
          requestState: await codec.mint({ tool: 'multiple_inputs', round: 1 }),
        });
      },
    },
    test_input_required_result_multi_round: {
      description: 'Asks for a name, then for a colour.',
      async run(_args, { mcpReq }) {
        const { round = 0, name } = mcpReq.requestState<RoundState>() ?? {};
        if (round === 0) {
          return inputRequired({
            inputRequests: { step1: askFor('Step 1: What is your name?', { name: { type: 'string' } }) },
            requestState: await codec.mint({ tool: 'multi_round', round: 1 }),
          });
        }
        if (round === 1) {
          const given = acceptedContent<{ name: unknown }>(mcpReq.inputResponses, 'step1')?.name;
          return inputRequired({
            inputRequests: {
              step2: askFor('Step 2: What is your favorite color?', { color: { type: 'string' } }),
            },
            requestState: await codec.mint({ tool: 'multi_round', round: 2, name: String(given) }),
          });
        }
        const color = acceptedContent<{ color: unknown }>(mcpReq.inputResponses, 'step2')?.color;
        return text(`Multi-round complete: ${String(name)} likes ${String(color)}`);
      },
    },
    test_input_required_result_capabilities: {
      description: 'Asks for whatever the client says it can answer.',
      run(_args, context) {
        if (context.mcpReq.inputResponses !== undefined) return text('answered');
        const can = capabilitiesIn(context);
        const inputRequests: InputRequests = {
          ...(can.elicitation === undefined ? {} : { user_name: askName() }),
          ...(can.sampling === undefined ? {} : { greeting: askGreeting() }),
          ...(can.roots === undefined ? {} : { client_roots: inputRequired.listRoots() }),
        };
        return Object.keys(inputRequests).length === 0
          ? text('The client can answer nothing.')
          : inputRequired({ inputRequests });
      },
    },
  };
}

/** A question to the user with these fields, all of which are needed. */
export function askFor(message: string, properties: JSONObject) {
  return inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties, required: Object.keys(properties) } as never,
  });
}

function askModel(prompt: string) {
  return inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
    maxTokens: 100,
  });
}

function askThenShow({ mcpReq }: ServerContext, message: string, form: JSONObject) {
  const answer = mcpReq.inputResponses?.['answer'] as { action?: string; content?: unknown } | undefined;
  return answer === undefined
    ? inputRequired({
        inputRequests: {
          answer: inputRequired.elicit({ message, requestedSchema: { type: 'object', ...form } as never }),
        },
      })
    : text(`User response: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}

function sampledText({ mcpReq }: ServerContext, key: string): string | undefined {
  const answer = mcpReq.inputResponses?.[key] as { content?: { text?: string } } | undefined;
  return answer?.content?.text;
}

function rootsIn({ mcpReq }: ServerContext, key: string): { uri: string }[] | undefined {
  const answer = mcpReq.inputResponses?.[key] as { roots?: { uri: string }[] } | undefined;
  return Array.isArray(answer?.roots) ? answer.roots : undefined;
}

const CHOICES: JSONObject = {
  untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  titledSingle: {
    type: 'string',
    oneOf: [
      { const: 'value1', title: 'First Option' },
      { const: 'value2', title: 'Second Option' },
      { const: 'value3', title: 'Third Option' },
    ],
  },
  legacyEnum: {
    type: 'string',
    enum: ['opt1', 'opt2', 'opt3'],
    enumNames: ['Option One', 'Option Two', 'Option Three'],
  },
  untitledMulti: {
    type: 'array',
    minItems: 1,
    maxItems: 3,
    items: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  },
  titledMulti: {
    type: 'array',
    minItems: 1,
    maxItems: 3,
    items: {
      anyOf: [
        { const: 'value1', title: 'First Choice' },
        { const: 'value2', title: 'Second Choice' },
        { const: 'value3', title: 'Third Choice' },
      ],
    },
  },
};
