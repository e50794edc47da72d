import { z } from 'zod';
import { digestSchema, type Digest } from '../canonical.ts';

const text = (max: number) => z.string().max(max);
const name = text(512);
const sentence = text(2000);
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const answer = z.enum(['allow', 'ask', 'deny']);
const by = text(200);

const SKILL = { skill: name, version: text(256) };
/** What a client is shown of the hub. */
const shown = z.strictObject({ mode: z.enum(['all', 'profile', 'search']), profile: text(200).optional() });
const DECIDED_ON = { approval: text(100), ...SKILL, digest, signer: text(2048) };

/** Why a sandbox's connection, or its question for a name, led nowhere. */
const refusalReasonSchema = z.enum([
  'host-not-granted',
  'port-not-granted',
  'between-calls',
  'not-tls',
  'not-http',
  'no-name',
  'other-name',
  'too-slow',
  'name-unknown',
  'address-not-public',
  'own-address',
  'own-door',
  'other-address',
  'unreachable',
  'too-many-names',
  'too-many-connections',
  'flood',
]);
export type RefusalReason = z.infer<typeof refusalReasonSchema>;

/** Where a sandbox's connection was to lead. */
const CONTACT = {
  skill: name,
  user: text(200),
  /** As the skill named it; `*` for so many that they were not told one by one. */
  host: text(300),
  /** Left out where it asked for the name alone. */
  port: z.int().min(0).max(65_535).optional(),
  address: text(100).optional(),
  /** How many more of the same there were since the last record of it. */
  count: z.int().positive().optional(),
};

/** A program of the hub's machine. */
const PROGRAM = { program: name, path: text(4096), digest };

/** Whose task it is, and the tool as the client called it. */
const TASK = { user: text(200), client: text(200), tool: name };

/** Everything that an audit log records. What a record holds must make sense to a person years later. */
export const auditEventSchema = z.discriminatedUnion('event', [
  /** Written, and on disk, before anything happens. */
  z.strictObject({
    event: z.literal('call.decided'),
    call: text(100),
    /** On whose behalf: `user` comes from the client's token, `agent` is only for display. */
    principal: z.strictObject({ user: text(200), client: text(200), agent: text(200).optional() }),
    ...SKILL,
    what: z.enum(['tool', 'prompt', 'resource', 'subscription', 'completion']),
    /** Of the tool or prompt, or the URI of the resource. */
    name: text(4096),
    argumentsDigest: digest,
    /** The arguments as a person reads them: redacted and shortened. */
    arguments: text(16_000).optional(),
    answer,
    reasons: z.array(z.strictObject({ rule: text(500), text: sentence })).max(100),
    /** Ids of the grants under which it runs. */
    grants: z.array(text(100)).max(1000),
  }),
  /** A question of the skill that was put to the client; what was answered is between the two. */
  z.strictObject({
    event: z.literal('call.asked'),
    call: text(100),
    skill: name,
    name: text(4096),
    method: text(100),
    /** As a person reads it: redacted and shortened. */
    question: text(16_000),
  }),
  z.strictObject({
    event: z.literal('call.finished'),
    call: text(100),
    skill: name,
    name: text(4096),
    /** `unknown`: the hub stopped meanwhile; it may or may not have had its effect. */
    outcome: z.enum(['ok', 'error', 'cancelled', 'timeout', 'crashed', 'unknown']),
    durationMs: z.number().nonnegative(),
    resultDigest: digest.optional(),
    /** Of the result. */
    bytes: z.int().nonnegative().optional(),
    detail: sentence.optional(),
  }),

  /** Written before the client hears of the task; the call in it has records of its own. */
  z.strictObject({ event: z.literal('task.created'), task: text(100), ...TASK }),
  /** The client asked to stop; whether the call stopped in time, its own record says. */
  z.strictObject({ event: z.literal('task.cancelled'), task: text(100), ...TASK }),

  z.strictObject({ event: z.literal('install.proposed'), ...DECIDED_ON }),
  z.strictObject({
    event: z.literal('install.approved'),
    ...DECIDED_ON,
    /** What was granted, as sentences. */
    grants: z.array(sentence).max(1000),
    /** Programs of the machine that it may run, as they were then. */
    programs: z.array(z.strictObject(PROGRAM)).max(100).optional(),
    tools: z.array(z.strictObject({ name, answer })).max(10_000),
    by,
  }),
  z.strictObject({
    event: z.literal('install.denied'),
    approval: text(100),
    ...SKILL,
    by,
    reason: sentence.optional(),
  }),
  z.strictObject({
    event: z.literal('upgrade.waiting'),
    approval: text(100),
    ...SKILL,
    /** The version that goes on serving. */
    serving: text(256),
    /** What the new version wants beyond it, as sentences. */
    wants: z.array(sentence).max(1000),
  }),

  z.strictObject({
    event: z.literal('skill.started'),
    ...SKILL,
    user: text(200),
    pid: z.int().optional(),
    /** It runs without a sandbox, as an admin approved. */
    unsandboxed: z.literal(true).optional(),
  }),
  /** Before a start: what of the machine the skill may run, as it is now. */
  z.strictObject({ event: z.literal('program.used'), ...SKILL, ...PROGRAM, user: text(200) }),
  z.strictObject({
    event: z.literal('skill.stopped'),
    ...SKILL,
    user: text(200),
    pid: z.int().optional(),
    reason: sentence,
  }),
  z.strictObject({
    event: z.literal('skill.quarantined'),
    ...SKILL,
    reason: sentence,
    /** Places that differ from what was approved. */
    differences: z.array(text(4096)).max(1000),
  }),
  z.strictObject({
    event: z.literal('skill.removed'),
    ...SKILL,
    /** Whether what the skill had kept for its users went, too. */
    data: z.boolean(),
    by,
  }),

  z.strictObject({ event: z.literal('grant.revoked'), grant: text(100), skill: name, sentence, by }),
  z.strictObject({
    event: z.literal('tool.answer-changed'),
    skill: name,
    tool: name,
    before: answer,
    answer,
    by,
  }),
  /** At the server of a remote skill; `issuer` is the authorization server that gave the tokens. */
  z.strictObject({ event: z.literal('user.signed-in'), skill: name, user: text(200), issuer: text(2048) }),
  z.strictObject({ event: z.literal('user.signed-out'), skill: name, user: text(200) }),
  z.strictObject({ event: z.literal('secret.used'), skill: name, secret: name, user: text(200) }),

  /** The first connection of a sandbox with a host. */
  z.strictObject({ event: z.literal('network.reached'), ...CONTACT }),
  z.strictObject({
    event: z.literal('network.refused'),
    ...CONTACT,
    reason: refusalReasonSchema,
    /** What the connection named inside itself in place of the host. */
    named: text(300).optional(),
  }),

  z.strictObject({
    event: z.literal('client.added'),
    client: text(200),
    user: text(200),
    /** Left out: everything. */
    shown: shown.optional(),
    by,
  }),
  z.strictObject({ event: z.literal('client.shown'), client: text(200), shown, by }),
  z.strictObject({ event: z.literal('client.removed'), client: text(200), user: text(200), by }),

  /** All of the profile from then on; a skill without `tools` is there as a whole. */
  z.strictObject({
    event: z.literal('profile.set'),
    profile: text(200),
    entries: z.array(z.strictObject({ skill: name, tools: z.array(name).max(10_000).optional() })).max(1000),
    by,
  }),
  z.strictObject({ event: z.literal('profile.removed'), profile: text(200), by }),

  /** `unfinished`: calls of the run before that were decided and had no end; they are closed as unknown. */
  z.strictObject({ event: z.literal('hub.started'), unfinished: z.array(text(100)).max(100_000) }),
  z.strictObject({ event: z.literal('hub.stopped') }),
  z.strictObject({ event: z.literal('registry.pinned'), registry: text(2048), keyId: text(100) }),
]);

/** One thing that happened or was decided. */
export type AuditEvent = z.infer<typeof auditEventSchema>;

/** An event and when it happened (RFC 3339, UTC). */
export type AuditEntry = AuditEvent & { time: string };

/** An event in its place in the chain. */
export type AuditRecord = AuditEntry & {
  /** From 1, without gaps. */
  seq: number;
  /** `hash` of the record before. */
  previous: Digest;
  /** Over the canonical JSON of the record without this member. */
  hash: Digest;
};

const placeSchema = z.looseObject({
  seq: z.int().positive(),
  time: z.iso.datetime(),
  previous: digestSchema,
  hash: digestSchema,
});

/** A record as read back, for showing it; whether it is the one that was written only `verifyChain` can say. */
export const auditRecordSchema: z.ZodType<AuditRecord> = placeSchema.transform((record, context) => {
  const { seq, time, previous, hash, ...rest } = record;
  const event = auditEventSchema.safeParse(rest);
  if (event.success) return { ...event.data, seq, time, previous, hash };
  for (const { path, message } of event.error.issues) context.addIssue({ code: 'custom', path, message });
  return z.NEVER;
});
