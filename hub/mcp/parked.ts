import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { ProtocolError, ProtocolErrorCode, type Result } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { canonicalJson } from '../../protocol/canonical.ts';
import { AppError } from '../../protocol/errors.ts';
import type { Clock } from '../clock.ts';
import { type Answers, type CallingClient, isAnswer, type Questions } from '../questions.ts';
import type { GatewayRequest } from './gateway.ts';

export interface ParkingLimits {
  /** How long a question waits for its answer. */
  answerTtlMs: number;
  /** Calls of one client that wait for answers. */
  parkedPerClient: number;
}

/** What one call is, so that nothing else can go on in its place: who asked, at which door, for what exactly. */
export interface Binding {
  user: string;
  client: string;
  /** Method, door and params; any value that canonical JSON can say. */
  request: unknown;
}

/** One round of a call, as the client sent it. */
export interface Round {
  binding: Binding;
  requestState: string | undefined;
  inputResponses: Readonly<Record<string, unknown>> | undefined;
  /** Aborts when the client closes the stream of this round. */
  signal: AbortSignal;
  listener: Listener;
}

/** Who hears of a call's course: the stream of the round that the client has open now. */
export interface Listener {
  onProgress?: NonNullable<GatewayRequest['onProgress']>;
  log: NonNullable<CallingClient['log']>;
}

/** Does the work of a call; `ask` parks it until the client has come back with answers. */
export type Work = (
  ask: (questions: Questions) => Promise<Answers>,
  signal: AbortSignal,
  heard: Required<Listener>,
) => Promise<Result>;

/**
 * Calls that wait for an answer of a client of MCP 2026-07-28, which has no requests to clients: the question goes
 * out as a result, and the client calls again with the answers (basic/patterns/mrtr). The call itself goes on in
 * this process meanwhile, so its requests to the skill, its decision and its record stay one.
 */
export interface ParkedCalls {
  /**
   * Begins a call or goes on with a parked one, up to its result or its next question.
   * @throws ProtocolError -32602 for a state that was altered, used before, has expired, or is of another
   *   principal, request or run of the hub; and whatever the work throws.
   */
  round(round: Round, work: Work): Promise<Result>;
  /** Ends what waits for a client. */
  end(client: string): void;
  close(): void;
}

interface Parked {
  id: string;
  client: string;
  /** Counts rounds: a state is good for one of them. */
  turn: number;
  questions: Questions;
  /** What was answered in rounds that left something out. */
  answered: Record<string, Record<string, unknown>>;
  answer(answers: Answers): void;
  abort: AbortController;
  listener: Listener;
  /** Resolves at the next question or with the result. */
  next: Promise<Outcome>;
  stopWaiting(): void;
}

type Outcome = { result: Result } | { questions: Questions };

const stateSchema = z.strictObject({ id: z.string(), turn: z.int(), expires: z.number() });

/** Keeps parked calls; their states are sealed with a key that lives as long as the process, as the calls do. */
export function createParkedCalls({
  clock,
  answerTtlMs,
  parkedPerClient,
}: ParkingLimits & { clock: Clock }): ParkedCalls {
  const seal = createSeal(randomBytes(32));
  const parked = new Map<string, Parked>();

  function begin({ binding: { client }, listener }: Round, work: Work): Parked {
    const abort = new AbortController();
    let tell: (outcome: Outcome | Promise<Outcome>) => void = () => undefined;
    /** The end of the work, which may come while a question still waits: a skill need not wait for what it asked. */
    let ended: Promise<Outcome> | undefined;
    // A call whose client never comes back has nobody to hear of its end.
    const heardOrNot = (outcome: Promise<Outcome>): Promise<Outcome> => {
      outcome.catch(() => undefined);
      return outcome;
    };
    const renew = (): Promise<Outcome> =>
      ended ?? heardOrNot(new Promise<Outcome>((resolve) => (tell = resolve)));
    const end = (outcome: Promise<Outcome>): void => {
      ended = heardOrNot(outcome);
      tell(outcome);
    };
    const call: Parked = {
      id: randomUUID(),
      client,
      turn: 0,
      questions: {},
      answered: {},
      answer: () => undefined,
      abort,
      listener,
      next: renew(),
      stopWaiting: () => undefined,
    };
    let asked: Promise<unknown> = Promise.resolve();
    /** One question after the other: the client has only one state to come back with. */
    const ask = (questions: Questions): Promise<Answers> => {
      const mine = asked.then(() => askNow(questions));
      asked = mine.catch(() => undefined);
      return mine;
    };
    const askNow = (questions: Questions): Promise<Answers> =>
      new Promise<Answers>((resolve, reject) => {
        if (ended !== undefined) throw asksTooLate();
        refuseTooMany(client);
        call.questions = questions;
        call.answered = {};
        parked.set(call.id, call);
        const giveUp = (): void => {
          leave(call);
          reject(
            new AppError('question-unanswered', { detail: 'Nobody answered what the skill asked in time.' }),
          );
          abort.abort();
        };
        call.stopWaiting = clock.after(answerTtlMs, giveUp);
        abort.signal.addEventListener('abort', giveUp, { once: true });
        call.answer = (answers) => {
          abort.signal.removeEventListener('abort', giveUp);
          leave(call);
          call.next = renew();
          resolve(answers);
        };
        tell({ questions });
      });
    const heard: Required<Listener> = {
      onProgress: (progress) => call.listener.onProgress?.(progress),
      log: (message) => call.listener.log(message),
    };
    work(ask, abort.signal, heard).then(
      (result) => end(Promise.resolve({ result })),
      (error: unknown) => end(Promise.reject(error as Error)),
    );
    return call;
  }

  function refuseTooMany(client: string): void {
    const own = [...parked.values()].filter((call) => call.client === client).length;
    if (own < parkedPerClient) return;
    throw new AppError('question-unanswered', {
      detail: `${own} calls of this client wait for answers already.`,
    });
  }

  function leave(call: Parked): void {
    call.stopWaiting();
    parked.delete(call.id);
  }

  function comeBack(requestState: string, { binding }: Round): Parked {
    const state = seal.open(requestState, binding);
    const call = state === undefined ? undefined : parked.get(state.id);
    if (state === undefined || call?.turn !== state.turn || clock.now() >= state.expires) {
      throw new ProtocolError(
        ProtocolErrorCode.InvalidParams,
        'This requestState is not one that waits: it was used, altered or has expired, or belongs to another request.',
      );
    }
    // Used from here on, whatever comes of it.
    call.turn += 1;
    return call;
  }

  function takeAnswers(call: Parked, given: Readonly<Record<string, unknown>>): void {
    for (const [key, { method }] of Object.entries(call.questions)) {
      const answer = Object.hasOwn(given, key) ? given[key] : undefined;
      if (isAnswer(method, answer)) call.answered[key] = answer;
    }
    const isComplete = Object.keys(call.questions).every((key) => Object.hasOwn(call.answered, key));
    if (isComplete) call.answer(call.answered);
  }

  function inputRequired(call: Parked, questions: Questions, binding: Binding): Result {
    const open = Object.entries(questions).filter(([key]) => !Object.hasOwn(call.answered, key));
    return {
      resultType: 'input_required',
      ...(open.length === 0 ? {} : { inputRequests: Object.fromEntries(open) }),
      requestState: seal.close({ id: call.id, turn: call.turn, expires: clock.now() + answerTtlMs }, binding),
    };
  }

  return {
    async round(round, work) {
      const { binding, requestState, inputResponses = {}, signal } = round;
      const call = requestState === undefined ? begin(round, work) : comeBack(requestState, round);
      call.listener = round.listener;
      const gone = (): void => call.abort.abort();
      signal.addEventListener('abort', gone, { once: true });
      if (signal.aborted) gone();
      try {
        if (requestState !== undefined) {
          takeAnswers(call, inputResponses);
          // What is missing or malformed is asked for again.
          if (parked.has(call.id)) return inputRequired(call, call.questions, binding);
        }
        let outcome = await call.next;
        if (requestState === undefined && 'questions' in outcome) {
          // A client may know what it will be asked, from an earlier call of the kind.
          takeAnswers(call, inputResponses);
          if (!parked.has(call.id)) outcome = await call.next;
        }
        return 'result' in outcome ? outcome.result : inputRequired(call, outcome.questions, binding);
      } finally {
        // From here on the client has its answer, and closing that stream cancels nothing.
        signal.removeEventListener('abort', gone);
      }
    },
    end(client) {
      for (const call of parked.values()) if (call.client === client) call.abort.abort();
    },
    close() {
      for (const call of parked.values()) call.abort.abort();
    },
  };
}

function asksTooLate(): AppError {
  return new AppError('question-unanswered', { detail: 'The call that the skill asked in has ended.' });
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MAX_STATE_CHARS = 1_000;

type State = z.infer<typeof stateSchema>;

/** AES-256-GCM (NIST SP 800-38D) with the binding as additional data: a state opens for its own request alone. */
function createSeal(key: Uint8Array): {
  close(state: State, binding: Binding): string;
  open(sealed: string, binding: Binding): State | undefined;
} {
  const about = (binding: Binding): Buffer => Buffer.from(canonicalJson(binding));
  return {
    close(state, binding) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(about(binding));
      const hidden = Buffer.concat([cipher.update(JSON.stringify(state)), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), hidden]).toString('base64url');
    },
    open(sealed, binding) {
      if (sealed.length > MAX_STATE_CHARS) return undefined;
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length <= NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== sealed) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES,
        })
          .setAAD(about(binding))
          .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
        const text = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8');
        return stateSchema.parse(JSON.parse(text + decipher.final('utf8')));
      } catch {
        return undefined;
      }
    },
  };
}
