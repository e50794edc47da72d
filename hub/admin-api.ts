import { z } from 'zod';
import { route } from '../protocol/route.ts';

/** The admin API, on the Unix socket `hub/admin.sock`: the CLI's and the console's only way to a running hub. */

const skillName = z.string().max(200);
const answer = z.enum(['allow', 'ask', 'deny']);
const sentences = z.array(z.string());
const skillParams = z.strictObject({ namespace: z.string().max(120), name: z.string().max(80) });

const toolView = z.object({
  name: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  effects: z.array(z.string()),
  /** Whether the sandbox holds it to reading, or it is its author's word. */
  enforced: z.boolean(),
  reversible: z.boolean(),
  answer,
});

/** One granted permission; `id` takes it back with `berth revoke`. */
export const grantView = z.object({
  id: z.string(),
  skill: z.string(),
  /** Stable id of the permission, such as `filesystem:${workspace}`. */
  permission: z.string(),
  sentence: z.string(),
  grantedBy: z.string(),
  grantedAt: z.string(),
  revokedAt: z.string().optional(),
});

export const installedSkill = z.object({
  name: z.string(),
  alias: z.string(),
  version: z.string(),
  digest: z.string(),
  signer: z.string(),
  title: z.string(),
  description: z.string(),
  kind: z.string(),
  /** `blocked`: granted, but this sandbox cannot hold it; `problem` says what is missing. */
  state: z.enum(['ready', 'blocked', 'quarantined']),
  problem: z.string().optional(),
  can: sentences,
  cannot: sentences,
  asksFirst: sentences,
  /** An admin approved that it runs without a sandbox: nothing of what it "cannot" do is enforced. */
  unsandboxed: z.boolean(),
  /** What of it nobody can check; empty for what runs here in a sandbox. */
  unverified: sentences,
  /** How granted folders are held, such as "with root's file ownership". */
  notes: sentences,
  tools: z.array(toolView),
  grants: z.array(grantView),
  workspace: z.string().optional(),
  config: z.record(z.string(), z.unknown()),
  /** Which folder was granted at each path, as device and inode. */
  folders: z.record(z.string(), z.string()),
  installedAt: z.string(),
  /** An upgrade that waits for a decision. */
  waiting: z.string().optional(),
});

/** What an admin says when accepting a proposal; what is left out means: exactly what the manifest asks. */
export const acceptance = z.strictObject({
  workspace: z.string().max(4096).optional(),
  config: z.record(z.string().max(64), z.union([z.string().max(4096), z.number(), z.boolean()])).optional(),
  /** Hosts in the place of `${config.x}`: `name[:port][=address]`, after `x@` where there is more than one. */
  hosts: z.array(z.string().max(400)).max(64).optional(),
  /** Secret values by name; kept by the hub, never shown again. */
  secrets: z.record(z.string().max(128), z.string().max(65_536)).optional(),
  /** Answers per tool name; `*` for all others. */
  tools: z.record(z.string().max(128), answer).optional(),
  /** Permission ids that are refused, such as `secrets:WEATHER_KEY`. */
  without: z.array(z.string().max(500)).max(200).optional(),
  /** Lets it run without any sandbox, where the hub allows that; holds until the next acceptance. */
  unsandboxed: z.literal(true).optional(),
});

export const approvalView = z.object({
  id: z.string(),
  kind: z.enum(['install', 'upgrade']),
  state: z.enum(['waiting', 'approved', 'denied', 'replaced']),
  createdAt: z.string(),
  settledAt: z.string().optional(),
  skill: z.string(),
  version: z.string(),
  /** The version that keeps serving meanwhile. */
  from: z.string().optional(),
  title: z.string(),
  description: z.string(),
  digest: z.string(),
  signer: z.string(),
  /** Sentences that were checked, such as "signature verified with key …". */
  verified: sentences,
  /** What nobody can check; empty for what runs here. */
  unverified: sentences,
  can: sentences,
  cannot: sentences,
  /** What is wider than what is approved today; empty on a first install. */
  widened: sentences,
  permissions: z.array(z.object({ id: z.string(), sentence: z.string(), reason: z.string().optional() })),
  tools: z.array(toolView),
  /** What the acceptance has to bring, and the CLI flag for it. */
  needs: z.array(
    z.object({
      kind: z.enum(['workspace', 'config', 'host', 'secret']),
      name: z.string(),
      flag: z.string(),
      title: z.string().optional(),
    }),
  ),
  /** What cannot be enforced on this machine, in a sentence. */
  problem: z.string().optional(),
});

/** What a client is shown: everything, a profile, or three tools that find the others (of a profile, if it has one). */
const exposure = z.strictObject({
  mode: z.enum(['all', 'profile', 'search']),
  profile: z.string().max(80).optional(),
});

export const clientView = z.object({
  name: z.string(),
  user: z.string(),
  shown: exposure,
  createdAt: z.string(),
  expiresAt: z.string().optional(),
  lastSeenAt: z.string().optional(),
});

export const profileView = z.object({
  name: z.string(),
  /** A skill without `tools` is there as a whole. */
  entries: z.array(z.object({ skill: z.string(), tools: z.array(z.string()).optional() })),
  /** The clients that see by it. */
  clients: z.array(z.string()),
});

const profileName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be up to 63 of a-z, 0-9, dots, hyphens and underscores');

export const auditEntryView = z.object({
  seq: z.number(),
  time: z.string(),
  event: z.string(),
  sentence: z.string(),
  record: z.record(z.string(), z.unknown()),
});

export const sandboxView = z.object({
  driver: z.string(),
  usable: z.boolean(),
  problem: z.object({ detail: z.string(), hint: z.string() }).optional(),
  enforces: z.array(z.string()),
  /** What the admin demands; a skill does not run while one of them is not enforced. */
  requires: z.array(z.string()),
  notes: sentences,
});

export const adminApi = {
  status: route({
    method: 'GET',
    path: '/v1/status',
    summary: 'The state of the hub',
    reply: z.object({
      version: z.string(),
      startedAt: z.string(),
      hub: z.string(),
      mcp: z.string(),
      registry: z.string(),
      sandbox: sandboxView,
      /** Skills that run without it. */
      unsandboxed: z.array(z.string()),
      skills: z.object({ ready: z.number(), blocked: z.number(), quarantined: z.number() }),
      running: z.array(
        z.object({
          skill: z.string(),
          version: z.string(),
          user: z.string(),
          pid: z.number(),
          startedAt: z.string(),
          /** Whether its folders are all read-only. */
          readOnly: z.boolean(),
          calls: z.number(),
          memoryBytes: z.number(),
          state: z.string(),
        }),
      ),
      memory: z.object({ bytes: z.number(), limitBytes: z.number(), warmBytes: z.number() }),
      waiting: z.array(
        z.object({ id: z.string(), skill: z.string(), version: z.string(), sentence: z.string() }),
      ),
      clients: z.number(),
      audit: z.object({ records: z.number(), head: z.string() }),
    }),
  }),

  skills: route({
    method: 'GET',
    path: '/v1/skills',
    summary: 'Installed skills',
    reply: z.array(installedSkill),
  }),
  skill: route({
    method: 'GET',
    path: '/v1/skills/:namespace/:name',
    summary: 'One installed skill',
    params: skillParams,
    reply: installedSkill,
  }),
  removeSkill: route({
    method: 'DELETE',
    path: '/v1/skills/:namespace/:name',
    summary: 'Remove a skill and its grants; with data=true its data, too',
    params: skillParams,
    query: z.strictObject({ data: z.enum(['true', 'false']).optional() }),
    reply: z.object({ name: z.string(), version: z.string() }),
  }),

  install: route({
    method: 'POST',
    path: '/v1/installs',
    summary: 'Fetch and verify a version and propose it; with `accept`, approve it unless an upgrade widens',
    body: z.strictObject({
      name: skillName,
      range: z.string().max(200).optional(),
      accept: acceptance.optional(),
    }),
    reply: z.object({
      approval: approvalView.optional(),
      /** Set when the version now serves. */
      installed: installedSkill.optional(),
    }),
  }),
  approvals: route({
    method: 'GET',
    path: '/v1/approvals',
    summary: 'What waits for a decision',
    reply: z.array(approvalView),
  }),
  approval: route({
    method: 'GET',
    path: '/v1/approvals/:id',
    summary: 'One proposal',
    params: z.strictObject({ id: z.string().max(80) }),
    reply: approvalView,
  }),
  approve: route({
    method: 'POST',
    path: '/v1/approvals/:id/approve',
    summary: 'Accept a proposal',
    params: z.strictObject({ id: z.string().max(80) }),
    body: acceptance,
    reply: installedSkill,
  }),
  deny: route({
    method: 'POST',
    path: '/v1/approvals/:id/deny',
    summary: 'Refuse a proposal',
    params: z.strictObject({ id: z.string().max(80) }),
    body: z.strictObject({ reason: z.string().max(1000).optional() }),
    reply: approvalView,
  }),

  grants: route({
    method: 'GET',
    path: '/v1/grants',
    summary: 'What skills may do now',
    query: z.strictObject({ skill: skillName.optional() }),
    reply: z.array(grantView),
  }),
  revoke: route({
    method: 'DELETE',
    path: '/v1/grants/:id',
    summary: 'Take a permission back, from the next call on',
    params: z.strictObject({ id: z.string().max(80) }),
    reply: grantView,
  }),

  clients: route({ method: 'GET', path: '/v1/clients', summary: 'Clients', reply: z.array(clientView) }),
  addClient: route({
    method: 'POST',
    path: '/v1/clients',
    summary: 'Add a client; its token is shown this once',
    body: z.strictObject({
      name: z
        .string()
        .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be up to 63 of a-z, 0-9, dots, hyphens and underscores'),
      /** Days until the token expires; absent means never. */
      expiresInDays: z.number().int().min(1).max(3650).optional(),
      /** Absent means everything. */
      shown: exposure.optional(),
    }),
    reply: z.object({ name: z.string(), token: z.string(), mcp: z.string() }),
    status: 201,
  }),
  showClient: route({
    method: 'PUT',
    path: '/v1/clients/:client/shown',
    summary: 'Choose what a client is shown, from its next list on',
    params: z.strictObject({ client: z.string().max(80) }),
    body: exposure,
    reply: z.object({ client: clientView, before: exposure }),
  }),
  removeClient: route({
    method: 'DELETE',
    path: '/v1/clients/:client',
    summary: 'Remove a client and its token',
    params: z.strictObject({ client: z.string().max(80) }),
    reply: clientView,
  }),

  profiles: route({ method: 'GET', path: '/v1/profiles', summary: 'Profiles', reply: z.array(profileView) }),
  profile: route({
    method: 'GET',
    path: '/v1/profiles/:profile',
    summary: 'One profile',
    params: z.strictObject({ profile: z.string().max(80) }),
    reply: profileView,
  }),
  setProfile: route({
    method: 'PUT',
    path: '/v1/profiles/:profile',
    summary: 'Make a profile, or replace all of it',
    params: z.strictObject({ profile: profileName }),
    body: z.strictObject({
      entries: z
        .array(
          z.strictObject({
            /** By full name, or by alias when it is installed. */
            skill: skillName,
            tools: z.array(z.string().max(128)).min(1).max(1000).optional(),
          }),
        )
        .min(1)
        .max(1000),
    }),
    reply: z.object({
      profile: profileView,
      /** Absent when it is new. */
      before: profileView.optional(),
      /** Sentences about what is not there yet. */
      missing: sentences,
    }),
  }),
  removeProfile: route({
    method: 'DELETE',
    path: '/v1/profiles/:profile',
    summary: 'Remove a profile that no client sees by',
    params: z.strictObject({ profile: z.string().max(80) }),
    reply: profileView,
  }),

  beginSignIn: route({
    method: 'POST',
    path: '/v1/skills/:namespace/:name/sign-in',
    summary: 'Begin to sign the user in at the server of a remote skill',
    params: skillParams,
    body: z.strictObject({
      /** As whom the hub was registered there by hand. */
      client: z
        .strictObject({ id: z.string().min(1).max(2048), secret: z.string().min(1).max(16_384).optional() })
        .optional(),
    }),
    reply: z.object({
      skill: z.string(),
      /** Where the user has to agree, and the name under which that is waited for; absent when there is no need. */
      id: z.string().optional(),
      url: z.string().optional(),
    }),
  }),
  finishSignIn: route({
    method: 'POST',
    path: '/v1/sign-ins/:id',
    summary: 'Hand in the query with which the authorization server sent the user back',
    params: z.strictObject({ id: z.string().max(80) }),
    body: z.strictObject({ answer: z.string().max(16_384) }),
    reply: z.object({ skill: z.string() }),
  }),
  forgetSignIn: route({
    method: 'DELETE',
    path: '/v1/skills/:namespace/:name/sign-in',
    summary: 'Forget the tokens of the user at the server of a remote skill',
    params: skillParams,
    reply: z.object({ skill: z.string(), forgotten: z.boolean() }),
  }),

  call: route({
    method: 'POST',
    path: '/v1/call',
    summary: 'Call one tool as client `cli` of user `owner`, on the same path as an agent',
    body: z.strictObject({
      skill: skillName,
      tool: z.string().max(128),
      arguments: z.record(z.string(), z.unknown()),
    }),
    reply: z.record(z.string(), z.unknown()),
  }),

  audit: route({
    method: 'GET',
    path: '/v1/audit',
    summary: 'Audit records, newest first',
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(1000).optional(),
      before: z.coerce.number().int().min(1).optional(),
      skill: skillName.optional(),
      event: z.string().max(64).optional(),
    }),
    reply: z.array(auditEntryView),
  }),
  auditRecord: route({
    method: 'GET',
    path: '/v1/audit/:seq',
    summary: 'One audit record',
    params: z.strictObject({ seq: z.coerce.number().int().min(1) }),
    reply: auditEntryView,
  }),
  verifyAudit: route({
    method: 'POST',
    path: '/v1/audit/verify',
    summary: 'Check the whole chain; a break is the error `audit-broken` with `record` and `reason`',
    reply: z.object({ records: z.number(), head: z.string() }),
  }),
};

export type InstalledSkillView = z.infer<typeof installedSkill>;
export type ApprovalView = z.infer<typeof approvalView>;
export type Acceptance = z.infer<typeof acceptance>;
export type GrantView = z.infer<typeof grantView>;
export type ClientView = z.infer<typeof clientView>;
export type ProfileView = z.infer<typeof profileView>;
