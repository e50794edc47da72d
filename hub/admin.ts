import type { Express } from 'express';
import type { Kysely } from 'kysely';
import { unverifiable } from '../protocol/manifest.ts';
import { mount } from '../protocol/node/http-server.ts';
import type { PublicKeyRecord } from '../protocol/provenance.ts';
import { adminApi } from './admin-api.ts';
import type { AuditLog } from './audit/audit-log.ts';
import { auditEntries, auditEntry, verifyStoredAudit } from './audit/stored-audit.ts';
import { approve, deny, proposalOf, waitingProposals } from './approvals.ts';
import { CLI_CLIENT, type Clients, LOCAL_USER } from './clients.ts';
import { revoke } from './grants.ts';
import { type InstallParts, install } from './install.ts';
import { mountProfiles } from './profiles-admin.ts';
import type { Profiles } from './profiles.ts';
import type { SigningIn } from './remote/signing-in.ts';
import { notInstalled, remove } from './remove.ts';
import type { InstalledSkill } from './installed.ts';
import type { Gateway } from './mcp/gateway.ts';
import type { HubTables } from './store/schema.ts';
import { approvalView, clientView, grantOf, skillView } from './views.ts';

export interface AdminParts extends InstallParts {
  clients: Clients;
  profiles: Profiles;
  signingIn: SigningIn;
  audit: AuditLog;
  gateway: Gateway;
  db: Kysely<HubTables>;
  auditKeys: readonly PublicKeyRecord[];
  version: string;
  startedAt: string;
  /** URLs, known once the hub listens. */
  urls: () => { hub: string; mcp: string; registry: string };
}

/** Serves the admin API. Whoever can open the socket is the admin: the home is readable by one account. */
export function mountAdmin(app: Express, parts: AdminParts): void {
  const asAdmin = { authenticate: async () => LOCAL_USER };

  mount(app, adminApi.status, asAdmin, async () => {
    const skills = parts.installed.list();
    const { driver, usable, problem, enforces, requires, notes } = await parts.driver.report();
    const waiting = await waitingProposals(parts);
    const count = (test: (skill: InstalledSkill) => boolean) => skills.filter(test).length;
    return {
      version: parts.version,
      startedAt: parts.startedAt,
      ...parts.urls(),
      sandbox: {
        driver,
        usable,
        ...(problem === undefined ? {} : { problem }),
        enforces: [...enforces],
        requires: [...requires],
        notes: [...notes],
      },
      unsandboxed: skills.filter(({ unsandboxed }) => unsandboxed).map(({ name }) => name),
      skills: {
        ready: count((skill) => skill.quarantine === undefined && skill.blocked === undefined),
        blocked: count((skill) => skill.quarantine === undefined && skill.blocked !== undefined),
        quarantined: count((skill) => skill.quarantine !== undefined),
      },
      running: [...parts.runner.running()],
      memory: parts.runner.memory(),
      waiting: waiting.map(({ id, kind, offered, current }) => ({
        id,
        skill: offered.name,
        version: offered.version,
        sentence: [
          kind === 'install'
            ? `${offered.name} ${offered.version} wants to be installed.`
            : `${offered.name} ${offered.version} wants more than ${current?.version ?? 'before'}, which goes on serving.`,
          unverifiable(offered.manifest.runtime.kind) ?? [],
        ]
          .flat()
          .join(' '),
      })),
      clients: parts.clients.list().length,
      audit: parts.audit.head(),
    };
  });

  const waitingFor = async (skill: string) =>
    (await waitingProposals(parts)).find((proposal) => proposal.offered.name === skill)?.id;

  mount(app, adminApi.skills, asAdmin, async () => {
    return Promise.all(
      parts.installed.list().map(async (skill) => skillView(parts, skill, await waitingFor(skill.name))),
    );
  });
  mount(app, adminApi.skill, asAdmin, async ({ params }) => {
    const skill = installedOr404(parts, `${params.namespace}/${params.name}`);
    return skillView(parts, skill, await waitingFor(skill.name));
  });
  mount(app, adminApi.removeSkill, asAdmin, async ({ params, query }) => {
    const { name, version } = await remove(
      parts,
      `${params.namespace}/${params.name}`,
      query.data === 'true',
    );
    return { name, version };
  });

  mount(app, adminApi.install, asAdmin, async ({ body }) => {
    const { proposal, installed } = await install(parts, {
      name: body.name,
      range: body.range ?? '*',
      accept: body.accept,
    });
    return {
      ...(proposal === undefined ? {} : { approval: await approvalView(parts, proposal) }),
      ...(installed === undefined ? {} : { installed: await skillView(parts, installed, undefined) }),
    };
  });
  mount(app, adminApi.approvals, asAdmin, async () =>
    Promise.all((await waitingProposals(parts)).map((proposal) => approvalView(parts, proposal))),
  );
  mount(app, adminApi.approval, asAdmin, async ({ params }) =>
    approvalView(parts, await proposalOf(parts, params.id)),
  );
  mount(app, adminApi.approve, asAdmin, async ({ params, body }) =>
    skillView(parts, await approve(parts, params.id, body), undefined),
  );
  mount(app, adminApi.deny, asAdmin, async ({ params, body }) =>
    approvalView(parts, await deny(parts, params.id, body.reason)),
  );

  mount(app, adminApi.grants, asAdmin, ({ query }) =>
    parts.installed
      .list()
      .filter(
        (skill) => query.skill === undefined || skill.name === query.skill || skill.alias === query.skill,
      )
      .flatMap((skill) => skill.grants.map((grant) => grantOf(skill.name, grant))),
  );
  mount(app, adminApi.revoke, asAdmin, async ({ params }) => revoke(parts, params.id));

  mount(app, adminApi.clients, asAdmin, () => parts.clients.list().map(clientView));
  mount(app, adminApi.addClient, asAdmin, async ({ body }) => {
    const { client, token } = await parts.clients.add(body.name, body.expiresInDays, body.shown);
    return { name: client.name, token, mcp: parts.urls().mcp };
  });
  mount(app, adminApi.showClient, asAdmin, async ({ params, body }) => {
    const { client, before } = await parts.clients.expose(params.client, body);
    return { client: clientView(client), before };
  });
  mount(app, adminApi.removeClient, asAdmin, async ({ params }) =>
    clientView(await parts.clients.remove(params.client)),
  );

  mountProfiles(app, parts);

  mount(app, adminApi.beginSignIn, asAdmin, async ({ params, body }) => {
    const skill = installedOr404(parts, `${params.namespace}/${params.name}`);
    const begun = await parts.signingIn.begin(skill, LOCAL_USER, body.client);
    return { skill: skill.name, ...begun };
  });
  mount(app, adminApi.finishSignIn, asAdmin, async ({ params, body }) =>
    parts.signingIn.finish(params.id, new URLSearchParams(body.answer)),
  );
  mount(app, adminApi.forgetSignIn, asAdmin, async ({ params }) => {
    const skill = installedOr404(parts, `${params.namespace}/${params.name}`);
    return { skill: skill.name, forgotten: await parts.signingIn.forget(skill, LOCAL_USER) };
  });

  mount(app, adminApi.call, asAdmin, async ({ body, signal }) => {
    const skill = parts.installed.find(body.skill);
    if (skill === undefined) throw notInstalled(body.skill);
    return parts.gateway.request(
      { user: LOCAL_USER, client: CLI_CLIENT },
      { kind: 'skill', name: skill.name },
      { method: 'tools/call', params: { name: body.tool, arguments: body.arguments }, signal },
    );
  });

  mount(app, adminApi.audit, asAdmin, async ({ query }) => {
    await parts.audit.settle();
    return auditEntries(parts.db, query);
  });
  mount(app, adminApi.auditRecord, asAdmin, async ({ params }) => {
    await parts.audit.settle();
    return auditEntry(parts.db, params.seq);
  });
  mount(app, adminApi.verifyAudit, asAdmin, async () => {
    await parts.audit.settle();
    return verifyStoredAudit(parts.db, parts.auditKeys, parts.audit.head);
  });
}

function installedOr404(parts: AdminParts, name: string): InstalledSkill {
  const skill = parts.installed.get(name);
  if (skill === undefined) throw notInstalled(name);
  return skill;
}
