import { z } from 'zod';
import { AppError } from '../protocol/errors.ts';
import type { Permissions } from '../protocol/permissions.ts';

/** What a skill may ask of whoever called it (MCP 2026-07-28, basic/patterns/mrtr; client features of older revisions). */
const QUESTION_METHODS = ['elicitation/create', 'sampling/createMessage', 'roots/list'] as const;
export type QuestionMethod = (typeof QUESTION_METHODS)[number];

export interface Question {
  method: QuestionMethod;
  params: Record<string, unknown>;
}

/** Questions under the keys that their answers come back under. */
export type Questions = Readonly<Record<string, Question>>;
export type Answers = Readonly<Record<string, Record<string, unknown>>>;

/** What a client can be asked, in the one form that equal capabilities have; absent means no. */
export interface AskableCapabilities {
  elicitation?: { form?: Record<string, never>; url?: Record<string, never> };
  sampling?: { tools?: Record<string, never>; context?: Record<string, never> };
  roots?: Record<string, never>;
}

/** Whoever waits for a call, as far as the skill may turn to it meanwhile. */
export interface CallingClient {
  capabilities: AskableCapabilities;
  /** Puts questions to the client; rejects when they are not answered. */
  ask(questions: Questions): Promise<Answers>;
  /** The mildest log messages it wants; absent means none. */
  logLevel?: LogLevel;
  log?(message: Record<string, unknown>): void;
}

/** RFC 5424 §6.2.1, mildest first. */
export const LOG_LEVELS = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Whether a message of one level is wanted by who asked for another. */
export function isWanted(level: unknown, wanted: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level as LogLevel) >= LOG_LEVELS.indexOf(wanted);
}

const declared = z.looseObject({}).optional().catch(undefined);
const capabilitiesSchema = z
  .looseObject({
    elicitation: z.looseObject({ form: declared, url: declared }).optional().catch(undefined),
    sampling: z.looseObject({ tools: declared, context: declared }).optional().catch(undefined),
    roots: declared,
  })
  .catch({});

/** What a client says it can be asked, without anything else it says. */
export function askable(capabilities: unknown): AskableCapabilities {
  const { elicitation, sampling, roots } = capabilitiesSchema.parse(capabilities ?? {});
  return {
    ...(elicitation === undefined
      ? {}
      : {
          elicitation: {
            // MCP 2025-11-25: an empty capability means forms, which older revisions have alone.
            ...(elicitation.form !== undefined || elicitation.url === undefined ? { form: {} } : {}),
            ...(elicitation.url === undefined ? {} : { url: {} }),
          },
        }),
    ...(sampling === undefined
      ? {}
      : {
          sampling: {
            ...(sampling.tools === undefined ? {} : { tools: {} }),
            ...(sampling.context === undefined ? {} : { context: {} }),
          },
        }),
    ...(roots === undefined ? {} : { roots: {} }),
  };
}

/** Everything that a skill with these permissions could ever be offered; its surface is captured with that. */
export function everythingOf(mcp: Permissions['mcp']): AskableCapabilities {
  return {
    ...(mcp.elicitation ? { elicitation: { form: {}, url: {} } } : {}),
    ...(mcp.sampling ? { sampling: { tools: {}, context: {} } } : {}),
    ...(mcp.roots ? { roots: {} } : {}),
  };
}

/** What of a client's capabilities a skill is offered: only what it was granted to ask. */
export function offered(capabilities: AskableCapabilities, mcp: Permissions['mcp']): AskableCapabilities {
  const { elicitation, sampling, roots } = capabilities;
  return {
    ...(mcp.elicitation && elicitation !== undefined ? { elicitation } : {}),
    ...(mcp.sampling && sampling !== undefined ? { sampling } : {}),
    ...(mcp.roots && roots !== undefined ? { roots } : {}),
  };
}

export function isQuestion(method: string): method is QuestionMethod {
  return (QUESTION_METHODS as readonly string[]).includes(method);
}

/** Questions at once, and characters of one, with all its fields. */
const MAX_QUESTIONS = 16;
const MAX_QUESTION_CHARS = 200_000;
const MAX_MESSAGE_CHARS = 4_000;

const questionsSchema = z
  .record(
    z.string().min(1).max(200),
    z.object({
      method: z.enum(QUESTION_METHODS),
      params: z.record(z.string(), z.unknown()).default({}),
    }),
  )
  .refine((questions) => Object.keys(questions).length <= MAX_QUESTIONS)
  .default({});

/** The questions of an `input_required` result. @throws AppError `skill-output-invalid`. */
export function questionsOf(skill: string, inputRequests: unknown): Questions {
  const parsed = questionsSchema.safeParse(inputRequests);
  if (parsed.success) return parsed.data;
  throw new AppError('skill-output-invalid', {
    detail: `${skill} asks for input in a form that MCP does not have.`,
    cause: parsed.error,
  });
}

/** Who asks, and what no question may speak of. */
export interface Asking {
  /** Title of the skill, for the person who is asked. */
  title: string;
  skill: string;
  offered: AskableCapabilities;
  /** Each `host:port` by which the hub is reached: a question that leads there could make somebody approve something. */
  ownHosts: readonly string[];
}

/**
 * The question as it may be put to a client: labelled with who asks, asking for nothing that looks like a
 * secret, leading nowhere into this hub. What a person types here is given to the skill, so a password or a
 * token must never be asked for in a form; secrets are an admin's to hand out.
 * @throws AppError `question-refused`.
 */
export function relayable({ title, skill, offered: can, ownHosts }: Asking, question: Question): Question {
  const { method, params } = question;
  const refuse = (why: string) =>
    new AppError('question-refused', { detail: `${skill} wanted to ask its user something: ${why}.` });
  const text = JSON.stringify(params);
  if (text.length > MAX_QUESTION_CHARS) throw refuse('the question is too long');
  const lower = text.toLowerCase();
  if (ownHosts.some((host) => lower.includes(host.toLowerCase())))
    throw refuse('it leads to an address of this hub');
  if (method === 'sampling/createMessage') {
    if (can.sampling === undefined) throw refuse('the client cannot sample, or it was not granted');
    return question;
  }
  if (method === 'roots/list') {
    if (can.roots === undefined) throw refuse('the client has no roots, or it was not granted');
    return { method, params: {} };
  }
  const isUrl = params['mode'] === 'url';
  if ((isUrl ? can.elicitation?.url : can.elicitation?.form) === undefined)
    throw refuse(`the client cannot be asked with a ${isUrl ? 'link' : 'form'}, or it was not granted`);
  if (isUrl) refuseUrl(String(params['url']), refuse);
  else refuseSecretFields(params['requestedSchema'], refuse);
  const message = typeof params['message'] === 'string' ? params['message'] : '';
  return { method, params: { ...params, message: labelled(title, skill, message) } };
}

function labelled(title: string, skill: string, message: string): string {
  // oxlint-disable-next-line no-control-regex -- what could hide or forge the label has to go
  const clean = message.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\p{Cf}]/gu, ' ');
  return `${title} (${skill}) asks: ${clean.slice(0, MAX_MESSAGE_CHARS)}`;
}

/** MCP 2026-07-28 elicitation, URL mode: only a plain web address that says where it leads. */
function refuseUrl(address: string, refuse: (why: string) => AppError): void {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== 'https:') throw refuse('its link is not an https address');
  if (url.username !== '' || url.password !== '') throw refuse('its link carries a name or password');
}

/** Words for what only an admin hands to a skill, as names of fields have them. */
const SECRET_WORDS =
  /pass(?:word|wd|phrase|code|key)|secret|token|api.?key|access.?key|private.?key|credential|\bpin\b|\botp\b|one.?time|2fa|mfa|\bcvv\b|\bcvc\b|card.?number|credit.?card|\bssn\b|social.?security|seed.?phrase|mnemonic|recovery.?code/i;

/** What the fields of a form that speak of secrets may say together: less than the shortest secret, such as a CVC. */
const MAX_HARMLESS_VALUES = 100;

function refuseSecretFields(schema: unknown, refuse: (why: string) => AppError): void {
  const { properties } = z
    .looseObject({ properties: z.record(z.string(), z.unknown()).catch({}) })
    .catch({ properties: {} })
    .parse(schema ?? {});
  let values = 1;
  for (const [name, field] of Object.entries(properties)) {
    const { title = '', description = '', format = '' } = (field ?? {}) as Record<string, unknown>;
    const said = [
      name.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').replaceAll(/[_-]/g, ' '),
      title,
      description,
      format,
    ];
    if (!said.some((words) => SECRET_WORDS.test(String(words)))) continue;
    // A field may also speak of secrets to say that it wants none.
    values *= valuesOf(field);
    if (values > MAX_HARMLESS_VALUES)
      throw refuse(`its field ${JSON.stringify(name.slice(0, 100))} looks like one for a secret`);
  }
}

const rangeSchema = z.looseObject({ type: z.literal('integer'), minimum: z.int(), maximum: z.int() });

/** How many different answers a field has; no bound unless it is yes or no, or a whole number in a range. */
function valuesOf(field: unknown): number {
  if (z.looseObject({ type: z.literal('boolean') }).safeParse(field).success) return 2;
  const range = rangeSchema.safeParse(field);
  if (!range.success || range.data.maximum < range.data.minimum) return Infinity;
  return range.data.maximum - range.data.minimum + 1;
}

const answerSchemas: Readonly<Record<QuestionMethod, z.ZodType<Record<string, unknown>>>> = {
  'elicitation/create': z.looseObject({
    action: z.enum(['accept', 'decline', 'cancel']),
    content: z.record(z.string(), z.unknown()).optional(),
  }),
  'sampling/createMessage': z.looseObject({
    role: z.enum(['user', 'assistant']),
    content: z.union([z.looseObject({ type: z.string() }), z.array(z.looseObject({ type: z.string() }))]),
    model: z.string().max(500),
  }),
  'roots/list': z.looseObject({ roots: z.array(z.looseObject({ uri: z.string().max(8_192) })).max(1_000) }),
};

/** Whether this is an answer to such a question. */
export function isAnswer(method: QuestionMethod, answer: unknown): answer is Record<string, unknown> {
  return answerSchemas[method].safeParse(answer).success;
}
