import { AppError, asAppError } from '../protocol/errors.ts';
import { canonicalJson, digestOf, sayable } from '../protocol/canonical.ts';
import type { Logger } from '../protocol/node/logger.ts';
import type { Decision } from '../protocol/policy.ts';
import type { ArgumentChecks } from './arguments.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { Cancellation } from './cancellation.ts';
import type { Catalog, Target } from './catalog.ts';
import type { InstalledSkill, InstalledSkills } from './installed.ts';
import type { GatewayRequest, Principal, Scope } from './mcp/gateway.ts';
import type { Policy } from './policy/policy.ts';
import {
  type Answers,
  askable,
  type CallingClient,
  offered,
  type Questions,
  relayable,
} from './questions.ts';
import { boundedResult, preview, redact, redactError } from './result.ts';
import { withResultUris } from './uri-places.ts';
import type { Clock } from './clock.ts';

/** What a call needs. None of it is optional: "no policy" or "no audit" is not a way to run. */
export interface CallParts {
  catalog: () => Catalog;
  installed: InstalledSkills;
  argumentChecks: ArgumentChecks;
  policy: Policy;
  audit: AuditLog;
  /** Sends one request to the skill: to its sandboxed process, or to its package where there is nothing to run. */
  perform: (skill: InstalledSkill, user: string, request: GatewayRequest) => Promise<Record<string, unknown>>;
  /** Values that must not leave the skill, by name. */
  secretsOf: (skill: string) => ReadonlyMap<string, string>;
  clock: Clock;
  newCallId: () => string;
  /** Each `host:port` by which this hub is reached. */
  ownHosts: () => readonly string[];
  log: Logger;
}

/**
 * Carries one request to a skill: who may, what exactly, decided and on record before it happens, and its
 * end on record, too. Every path to a skill is this function.
 * @throws AppError with the reason why it did not happen, or how it failed.
 */
export async function call(
  parts: CallParts,
  principal: Principal,
  scope: Scope,
  request: GatewayRequest,
): Promise<Record<string, unknown>> {
  const target = parts.catalog().find(scope, request.method, request.params);
  refuseUnlessServing(target.skill);
  if (target.what === 'tool')
    parts.argumentChecks.check(target.skill, target.name, target.params['arguments'] ?? {});

  const input = argumentsOf(target);
  const decision = await parts.policy.decide({
    principal,
    action: ACTIONS[target.what],
    skill: { name: target.skill.name, version: target.skill.version },
    target: target.name,
    effects: target.tool?.effects ?? ['read'],
    arguments: input,
  });
  const id = parts.newCallId();
  const secrets = parts.secretsOf(target.skill.name);
  await parts.audit.append({
    event: 'call.decided',
    call: id,
    principal,
    skill: target.skill.name,
    version: target.skill.version,
    what: target.what,
    name: target.name,
    argumentsDigest: digestOf(canonicalJson(input)),
    arguments: preview(redact(input, secrets)),
    answer: decision.answer,
    reasons: decision.reasons,
    grants: target.skill.grants.map((grant) => grant.id),
  });
  if (decision.answer !== 'allow') throw refusal(target, decision);

  const startedAt = parts.clock.now();
  // What has happened has happened: nobody waits for its record, which the next start adds as unknown if it is lost.
  const finish = (outcome: Outcome, more: { bytes?: number; detail?: string }) =>
    void parts.audit
      .note({
        event: 'call.finished',
        call: id,
        skill: target.skill.name,
        name: target.name,
        outcome,
        durationMs: Math.max(0, parts.clock.now() - startedAt),
        ...more,
      })
      .catch((err: unknown) => parts.log.error({ err, call: id }, 'the end of a call could not be recorded'));
  try {
    refuseIfChanged(parts.installed, target.skill);
    const answer = await parts.perform(target.skill, principal.user, {
      method: request.method,
      params: target.params,
      signal: request.signal,
      onProgress: relayed(parts.clock, request, secrets),
      client: turnedTo(parts, { call: id, target, request, secrets }),
      caller: principal.client,
    });
    const said = redact(answer, secrets) as Record<string, unknown>;
    const { exposed } = target;
    const { result, bytes } = boundedResult(
      exposed === undefined ? said : withResultUris(request.method, said, exposed),
    );
    finish(result['isError'] === true ? 'error' : 'ok', { bytes });
    return result;
  } catch (thrown) {
    const failure = redactError(asAppError(thrown), secrets);
    finish(outcomeOf(failure, request.signal), { detail: sayable(failure.message, 500) });
    throw failure.code === 'internal' ? thrown : failure;
  }
}

const ACTIONS = {
  tool: 'tool:call',
  prompt: 'prompt:get',
  resource: 'resource:read',
  subscription: 'resource:subscribe',
  completion: 'complete',
} as const;

/** The arguments as they will be sent; a URI is the whole of what a resource is asked for. */
function argumentsOf(target: Target): Record<string, unknown> {
  const given = target.params['arguments'] ?? target.params['argument'] ?? {};
  if (typeof given === 'object' && !Array.isArray(given)) return given as Record<string, unknown>;
  throw new AppError('arguments-invalid', {
    detail: `The arguments of ${target.name} are not an object.`,
    hint: 'Call again with an object of named arguments.',
  });
}

/** Progress is for people who watch: the first reports of a call at once, then so many a second, each a line. */
const PROGRESS_AT_ONCE = 100;
const PROGRESS_PER_SECOND = 20;
const MAX_PROGRESS_CHARS = 1000;

/** Progress bounded and without secrets: nobody can be made to buffer what a skill reports. */
function relayed(
  clock: Clock,
  { onProgress }: GatewayRequest,
  secrets: ReadonlyMap<string, string>,
): GatewayRequest['onProgress'] {
  if (onProgress === undefined) return undefined;
  const startedAt = clock.now();
  let told = 0;
  return ({ message, ...progress }) => {
    const allowed = PROGRESS_AT_ONCE + ((clock.now() - startedAt) / 1000) * PROGRESS_PER_SECOND;
    if (told >= allowed) return;
    told += 1;
    onProgress({
      ...progress,
      ...(message === undefined
        ? {}
        : { message: sayable(String(redact(message, secrets)), MAX_PROGRESS_CHARS) }),
    });
  };
}

/** Log messages of one call that are passed on; a chatty skill must not make anybody buffer. */
const MAX_LOGS_PER_CALL = 1_000;
const MAX_LOG_CHARS = 10_000;

/**
 * The client as the skill may turn to it: offered what was granted, each question labelled, without secrets and on
 * record, and nothing asked or taken back to a skill that may not do any more what it was let through for.
 */
function turnedTo(
  parts: CallParts,
  {
    call: id,
    target,
    request: { client },
    secrets,
  }: { call: string; target: Target; request: GatewayRequest; secrets: ReadonlyMap<string, string> },
): CallingClient | undefined {
  if (client === undefined) return undefined;
  const { skill } = target;
  const capabilities = offered(askable(client.capabilities), skill.permissions.mcp);
  if (Object.keys(capabilities).length === 0 && client.logLevel === undefined) return undefined;
  const asking = {
    title: skill.manifest.title,
    skill: skill.name,
    offered: capabilities,
    ownHosts: parts.ownHosts(),
  };
  let logged = 0;

  async function ask(questions: Questions): Promise<Answers> {
    const put = Object.fromEntries(
      Object.entries(redact(questions, secrets) as Questions).map(([key, question]) => [
        key,
        relayable(asking, question),
      ]),
    );
    refuseIfChanged(parts.installed, skill);
    await parts.audit.append(
      ...Object.values(put).map(
        ({ method, params }) =>
          ({
            event: 'call.asked',
            call: id,
            skill: skill.name,
            name: target.name,
            method,
            question: preview(params),
          }) as const,
      ),
    );
    const answers = await (client as CallingClient).ask(put);
    refuseIfChanged(parts.installed, skill);
    return answers;
  }

  return {
    ...client,
    capabilities,
    ask,
    log(message) {
      logged += 1;
      if (logged > MAX_LOGS_PER_CALL) return;
      const clean = redact(message, secrets) as Record<string, unknown>;
      if (JSON.stringify(clean).length <= MAX_LOG_CHARS) client.log?.(clean);
    },
  };
}

type Outcome = 'ok' | 'error' | 'cancelled' | 'timeout' | 'crashed' | 'unknown';

function outcomeOf(error: AppError, signal: Cancellation): Outcome {
  if (signal.aborted || error.code === 'call-cancelled') return 'cancelled';
  if (error.code === 'skill-timeout') return 'timeout';
  return error.code === 'skill-crashed' ? 'crashed' : 'error';
}

function refuseUnlessServing(skill: InstalledSkill): void {
  if (skill.quarantine !== undefined) {
    throw new AppError('skill-quarantined', {
      detail: `${skill.name} ${skill.version} is quarantined: it no longer says what was approved.`,
      hint: 'An admin has to look at it.',
    });
  }
  if (skill.blocked !== undefined) {
    throw new AppError('sandbox-cannot-enforce', {
      detail: `${skill.name} will not start. ${skill.blocked}`,
      data: { missing: [...skill.lacks] },
    });
  }
}

/** A grant taken back between decision and act must stop the act. */
function refuseIfChanged(installed: InstalledSkills, decidedOn: InstalledSkill): void {
  if (installed.get(decidedOn.name)?.epoch === decidedOn.epoch) return;
  throw new AppError('call-denied', {
    detail: `What ${decidedOn.name} may do changed while this call was being decided; nothing was done.`,
    hint: 'Call again.',
  });
}

/** Tells the agent why, and never how to approve its own call. */
function refusal(target: Target, decision: Decision): AppError {
  const why = decision.reasons.map((reason) => reason.text).join('; ');
  return new AppError(decision.answer === 'ask' ? 'call-needs-approval' : 'call-denied', {
    detail: `${target.name} of ${target.skill.name} was not called: ${why}.`,
    hint: 'Do not try again by yourself; tell the user what you wanted to do and why, and that an admin decides.',
  });
}
