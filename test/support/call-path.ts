import { join } from 'node:path';
import { argumentChecks } from '../../hub/arguments.ts';
import { openAuditLog } from '../../hub/audit/audit-log.ts';
import { auditEntries, verifyStoredAudit } from '../../hub/audit/stored-audit.ts';
import { systemClock } from '../../hub/clock.ts';
import { createGateway } from '../../hub/gateway.ts';
import type { InstalledSkill, InstalledSkills } from '../../hub/installed.ts';
import type { GatewayRequest, Principal } from '../../hub/mcp/gateway.ts';
import { answersPolicy } from '../../hub/policy/answers.ts';
import type { Policy } from '../../hub/policy/policy.ts';
import { hubMigrations } from '../../hub/store/migrations/migrations.ts';
import type { HubTables } from '../../hub/store/schema.ts';
import { openDatabase } from '../../protocol/node/database.ts';
import { createKey } from '../../protocol/node/keys.ts';
import type { SyncFile } from '../../protocol/node/wal-sync.ts';
import { createSubscriptions } from '../../hub/subscriptions.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { installedSkill, tool } from './installed-skill.ts';
import { tempFolder } from './temp-folder.ts';

const agent: Principal = { user: 'owner', client: 'agent' };
const SKILL = { kind: 'skill', name: 'local.test/echo' } as const;
const key = createKey();

/** A skill with a tool for each answer. */
export const echo = installedSkill({
  surface: {
    tools: [tool('say'), tool('wipe'), tool('off')],
    prompts: [{ name: 'hello' }],
    resources: [{ uri: 'memo://one', name: 'one' }],
    resourceTemplates: [{ uriTemplate: 'memo://{id}', name: 'memo' }],
  },
  answers: { say: 'allow', wipe: 'ask', off: 'deny' },
});

/** A hub's call path over a real audit log; the skill behind it is a function. */
export async function callPath(given: {
  skills?: InstalledSkill[];
  policy?: Policy;
  perform?: (request: GatewayRequest) => Promise<Record<string, unknown>>;
  secrets?: ReadonlyMap<string, string>;
  syncFile?: SyncFile;
}) {
  const database = await openDatabase<HubTables>(join(await tempFolder(), 'hub.db'), {
    migrations: hubMigrations,
    ...(given.syncFile === undefined ? {} : { syncFile: given.syncFile }),
  });
  const { query: db, close } = database;
  const audit = await openAuditLog({ database, key, clock: systemClock });
  let skills = given.skills ?? [echo];
  const performed: GatewayRequest[] = [];
  const installed: InstalledSkills = {
    get: (name) => skills.find((skill) => skill.name === name),
    find: (name) => skills.find((skill) => skill.name === name),
    list: () => skills,
    reload: async () => undefined,
    onChange: () => () => undefined,
  };
  let calls = 0;
  const gateway = createGateway({
    installed,
    argumentChecks: argumentChecks(),
    policy:
      given.policy ??
      answersPolicy({ answerOf: (name, tool) => installed.get(name)?.tools.get(tool)?.answer }),
    audit,
    perform: async (_skill, _user, request) => {
      performed.push(request);
      return given.perform === undefined
        ? { content: [{ type: 'text', text: 'done' }] }
        : given.perform(request);
    },
    secretsOf: () => given.secrets ?? new Map(),
    clock: systemClock,
    subscriptions: createSubscriptions({
      renew: async () => undefined,
      release: async () => undefined,
      log: createLogger({ level: 'silent', name: 'test' }),
    }),
    ownHosts: () => ['127.0.0.1:4750'],
    newCallId: () => `call_${(calls += 1)}`,
    log: createLogger({ level: 'silent', name: 'test' }),
  });
  return {
    performed,
    gateway,
    installed,
    audit,
    db,
    close,
    change: (next: InstalledSkill[]) => (skills = next),
    request: (
      method: GatewayRequest['method'],
      params: Record<string, unknown>,
      signal = AbortSignal.any([]),
      more: Pick<GatewayRequest, 'onProgress' | 'client'> = {},
    ) =>
      gateway.request(agent, SKILL, {
        method,
        params,
        signal,
        ...more,
      }),
    async records() {
      await audit.settle();
      return (await auditEntries(db, {})).toReversed().map((entry) => entry.record);
    },
    async verify() {
      await audit.settle();
      return verifyStoredAudit(db, [key.record]);
    },
  };
}
