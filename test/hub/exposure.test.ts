import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openAuditLog } from '../../hub/audit/audit-log.ts';
import { buildCatalog } from '../../hub/catalog.ts';
import { openClients } from '../../hub/clients.ts';
import { systemClock } from '../../hub/clock.ts';
import { exposingGateway } from '../../hub/exposure.ts';
import type { InstalledSkill } from '../../hub/installed.ts';
import { createChangeNotices } from '../../hub/mcp/changes.ts';
import type { GatewayRequest, Principal, Scope } from '../../hub/mcp/gateway.ts';
import { openProfiles } from '../../hub/profiles.ts';
import { hubMigrations } from '../../hub/store/migrations/migrations.ts';
import type { HubTables } from '../../hub/store/schema.ts';
import { buildToolIndex } from '../../hub/tool-search.ts';
import { openDatabase } from '../../protocol/node/database.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { callPath } from '../support/call-path.ts';
import { expectCode } from '../support/expect-code.ts';
import { installedSkill, tool } from '../support/installed-skill.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

const ALL: Scope = { kind: 'all' };
const NOTES: Scope = { kind: 'skill', name: 'local.test/notes' };
const MAIL: Scope = { kind: 'skill', name: 'local.test/mail' };
const who = (client: string): Principal => ({ user: 'owner', client });

/** A SKILL.md as the hub holds it. */
const written = (name: string) => ({
  files: { 'SKILL.md': 'a'.repeat(64) },
  agentSkill: { frontmatter: { name, description: 'How to.' }, sizes: { 'SKILL.md': 7 } },
});

const notes = installedSkill({
  ...written('notes'),
  name: 'local.test/notes',
  surface: {
    instructions: 'Keep notes short.',
    tools: [
      tool('add', { description: 'Write down a note' }),
      tool('erase', { description: 'Throw a note away' }),
      tool('off', { description: 'Switched off' }),
    ],
    prompts: [{ name: 'recall' }],
    resources: [{ uri: 'memo://one', name: 'one' }],
    resourceTemplates: [{ uriTemplate: 'memo://{id}', name: 'memo' }],
    capabilities: { completions: true },
  },
  answers: { add: 'allow', erase: 'allow', off: 'deny' },
});
const mail = installedSkill({
  ...written('mail'),
  name: 'local.test/mail',
  surface: {
    instructions: 'Mail is slow.',
    tools: [
      tool('send', {
        description: 'Send an email',
        inputSchema: { type: 'object', required: ['to'], properties: { to: {} } },
      }),
    ],
    prompts: [{ name: 'greet' }],
    resources: [{ uri: 'box://in', name: 'in' }],
    resourceTemplates: [{ uriTemplate: 'box://{id}', name: 'box' }],
  },
  answers: { send: 'allow' },
});

async function rig() {
  const path = join(await tempFolder(), 'hub.db');
  const database = await openDatabase<HubTables>(path, { migrations: hubMigrations });
  const { query: db, close } = database;
  onTestFinished(close);
  const audit = await openAuditLog({ database, key: createKey(), clock: systemClock });
  const clients = await openClients({ db, audit, clock: systemClock });
  const profiles = await openProfiles({ db, audit, clock: systemClock });
  let skills: InstalledSkill[] = [notes, mail];
  let catalog = buildCatalog(skills);
  const listeners = new Set<() => void>();
  const passed: { principal: Principal; scope: Scope; request: GatewayRequest }[] = [];
  let built = 0;
  const gateway = exposingGateway({
    whole: {
      view: (_principal, scope) => catalog.view(scope),
      find: (...asked) => catalog.find(...asked),
      async request(principal, scope, request) {
        catalog.find(scope, request.method, request.params);
        passed.push({ principal, scope, request });
        return { content: [{ type: 'text', text: 'done' }] };
      },
      async subscribe(_principal, scope, uri) {
        catalog.find(scope, 'resources/subscribe', { uri });
        return () => undefined;
      },
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    installed: { list: () => skills },
    clients,
    profiles,
    buildIndex(tools) {
      built += 1;
      return buildToolIndex(tools);
    },
  });
  const request = (
    client: string,
    scope: Scope,
    params: Record<string, unknown>,
    method: GatewayRequest['method'] = 'tools/call',
  ) => gateway.request(who(client), scope, { method, params, signal: AbortSignal.any([]) });
  return {
    db,
    audit,
    clients,
    profiles,
    gateway,
    passed,
    request,
    built: () => built,
    listening: () => listeners.size,
    install(next: InstalledSkill[]) {
      skills = next;
      catalog = buildCatalog(skills);
      for (const listener of listeners) listener();
    },
    toolNames: (client: string, scope = ALL) =>
      gateway.view(who(client), scope).tools.map(({ name }) => String(name)),
    async use(name: string, args: Record<string, unknown>): Promise<string> {
      const result = await request('finder', ALL, { name, arguments: args });
      return (result['content'] as { text: string }[])[0]?.text ?? '';
    },
  };
}

describe('a client in mode all', () => {
  it('sees what there is, like one that the hub does not know by name', async () => {
    const { clients, gateway, toolNames, use, request } = await rig();
    await clients.add('agent', undefined);
    expect(toolNames('agent')).toEqual(['notes__add', 'notes__erase', 'mail__send']);
    expect(gateway.view(who('agent'), ALL)).toBe(gateway.view(who('stranger'), ALL));
    await expectCode(
      request('agent', ALL, { name: 'search_tools', arguments: { query: 'x' } }),
      'tool-not-found',
    );
    await expectCode(use('search_tools', { query: 'x' }), 'tool-not-found');
  });
});

describe('a client in search mode', () => {
  async function searching() {
    const all = await rig();
    await all.clients.add('finder', undefined, { mode: 'search' });
    return all;
  }

  it(
    'lists three tools, finds the others, looks them up and calls them',
    verifies('exposure.search'),
    async () => {
      const { gateway, toolNames, use, passed } = await searching();
      expect(toolNames('finder')).toEqual(['search_tools', 'describe_tools', 'call_tool']);
      expect(gateway.view(who('finder'), ALL).instructions).toContain('notes, mail');
      expect(gateway.view(who('finder'), ALL).prompts).toHaveLength(2);

      expect(await use('search_tools', { query: 'send an email' })).toMatch(
        /^mail__send\(to\*\): Send an email/,
      );
      expect(await use('search_tools', { query: 'something else entirely' })).toContain('No tool fits');
      expect(await use('search_tools', { query: 'switched off' })).not.toContain('notes__off');

      const described = JSON.parse(
        await use('describe_tools', { names: ['mail__send', 'notes__off', 'mail__send'] }),
      );
      expect(described).toEqual({
        tools: [
          {
            ...tool('send', { description: 'Send an email', inputSchema: expect.anything() }),
            name: 'mail__send',
          },
        ],
        instructions: { mail: 'Mail is slow.' },
        missing: ['notes__off'],
      });

      expect(passed).toEqual([]);
      expect(await use('call_tool', { name: 'mail__send', arguments: { to: 'ana' } })).toBe('done');
      expect(passed[0]?.request.params).toEqual({ name: 'mail__send', arguments: { to: 'ana' } });
    },
  );

  it(
    'finds and calls no tool that is for apps alone, which an app still calls',
    verifies('mcp.apps'),
    async () => {
      const { use, passed, install } = await searching();
      const hidden = tool('forward', {
        description: 'Forward an email',
        _meta: { ui: { resourceUri: 'ui://mail/app.html', visibility: ['app'] } },
      });
      install([
        installedSkill({
          name: 'local.test/mail',
          surface: { tools: [hidden] },
          answers: { forward: 'allow' },
        }),
      ]);
      expect(await use('search_tools', { query: 'forward an email' })).toContain('No tool fits');
      await expectCode(use('describe_tools', { names: ['mail__forward'] }), 'arguments-invalid');
      await expectCode(use('call_tool', { name: 'mail__forward' }), 'arguments-invalid');
      expect(passed).toEqual([]);
      expect(await use('mail__forward', {})).toBe('done');
    },
  );

  it('is told what is wrong with its arguments, and which names there are not', async () => {
    const { use, passed } = await searching();
    for (const [name, args] of [
      ['search_tools', {}],
      ['search_tools', { query: ' ' }],
      ['search_tools', { query: 'x', limit: 1000 }],
      ['describe_tools', { names: [] }],
      ['describe_tools', { names: ['nothing__here'] }],
      ['call_tool', { arguments: {} }],
      ['call_tool', { name: 'mail__send', arguments: 'to ana' }],
      ['call_tool', { name: 'nothing__here' }],
      ['call_tool', { name: 'search_tools', arguments: { query: 'x' } }],
      ['call_tool', { name: 'call_tool', arguments: { name: 'mail__send' } }],
    ] as const)
      await expectCode(use(name, args), 'arguments-invalid');
    expect(passed).toEqual([]);
  });

  it('hands everything else of the request on as it came', async () => {
    const { gateway, passed } = await searching();
    const request = {
      method: 'tools/call' as const,
      params: { name: 'call_tool', arguments: { name: 'mail__send' }, _meta: { traceparent: 'x' } },
      signal: new AbortController().signal,
      onProgress: () => undefined,
      somethingNew: 1,
    };
    await gateway.request(who('finder'), ALL, request);
    expect(passed[0]?.request).toStrictEqual({
      ...request,
      params: { name: 'mail__send', arguments: {}, _meta: { traceparent: 'x' } },
    });
    expect(passed[0]?.request.signal).toBe(request.signal);
  });

  it('sees a single skill at its own door as it is', async () => {
    const { toolNames } = await searching();
    expect(toolNames('finder', MAIL)).toEqual(['send']);
  });

  it('has one index until what it sees changes', verifies('exposure.once'), async () => {
    const { use, built, install, clients, profiles, request } = await searching();
    await clients.add('other', undefined, { mode: 'search' });
    await use('search_tools', { query: 'email' });
    await use('search_tools', { query: 'note' });
    await request('other', ALL, { name: 'search_tools', arguments: { query: 'note' } });
    expect(built()).toBe(1);
    install([notes]);
    expect(await use('search_tools', { query: 'send an email' })).not.toContain('mail__send');
    await use('search_tools', { query: 'note' });
    expect(built()).toBe(2);
    await profiles.set('short', [{ skill: 'local.test/notes', tools: ['add'] }]);
    await clients.expose('finder', { mode: 'search', profile: 'short' });
    await use('search_tools', { query: 'note' });
    await use('search_tools', { query: 'note' });
    expect(built()).toBe(3);
  });

  it(
    'calls on the one path: policy decides about the tool, and the record names it',
    verifies('exposure.same-path'),
    async () => {
      const { clients, profiles } = await searching();
      const path = await callPath({});
      const gateway = exposingGateway({
        whole: path.gateway,
        installed: path.installed,
        clients,
        profiles,
      });
      const call = (name: string, args: unknown = {}) =>
        gateway.request(who('finder'), ALL, {
          method: 'tools/call',
          params: { name: 'call_tool', arguments: { name, arguments: args } },
          signal: AbortSignal.any([]),
        });
      await call('echo__say');
      await expectCode(call('echo__wipe'), 'call-needs-approval');
      await expectCode(call('echo__off'), 'call-denied');
      await expectCode(call('echo__say', 7), 'arguments-invalid');
      const decided = (await path.records()).filter(({ event }) => event === 'call.decided');
      expect(decided.map(({ name, answer }) => [name, answer])).toEqual([
        ['say', 'allow'],
        ['wipe', 'ask'],
        ['off', 'deny'],
      ]);
      expect(path.performed.map(({ params }) => params['name'])).toEqual(['say']);
      await path.close();
    },
  );
});

describe('a profile', () => {
  async function profiled(mode: 'profile' | 'search' = 'profile') {
    const all = await rig();
    await all.profiles.set('short', [{ skill: 'local.test/notes', tools: ['add'] }]);
    await all.clients.add('finder', undefined, { mode, profile: 'short' });
    return all;
  }

  it(
    'hides what it does not have from lists and from requests, at every door',
    verifies('exposure.profile'),
    async () => {
      const { gateway, toolNames, request, passed } = await profiled();
      const view = gateway.view(who('finder'), ALL);
      expect(toolNames('finder')).toEqual(['notes__add']);
      expect(view.prompts.map(({ name }) => name)).toEqual(['notes__recall']);
      expect(view.resources.map(({ uri }) => uri)).toEqual([
        'skill://local.test/notes/SKILL.md',
        'memo://one',
      ]);
      expect(view.skills.map(({ uri }) => uri)).toEqual(['skill://local.test/notes/SKILL.md']);
      expect(JSON.stringify(view)).not.toContain('erase');
      expect(view.resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual(['memo://{id}']);
      expect([view.instructions, view.completions]).toEqual(['## notes\nKeep notes short.', true]);
      expect(toolNames('finder', NOTES)).toEqual(['add']);
      expect(gateway.view(who('finder'), NOTES).instructions).toBe('Keep notes short.');
      expect(() => gateway.view(who('finder'), MAIL)).toThrow(
        'local.test/mail is not installed in this hub.',
      );

      for (const [scope, params] of [
        [ALL, { name: 'mail__send' }],
        [ALL, { name: 'notes__erase' }],
        [NOTES, { name: 'erase' }],
      ] as const)
        await expectCode(request('finder', scope, params), 'tool-not-found');
      await expectCode(request('finder', MAIL, { name: 'send' }), 'not-installed');
      await expectCode(request('finder', ALL, { name: 'mail__greet' }, 'prompts/get'), 'prompt-not-found');
      for (const uri of ['box://in', 'skill://local.test/mail/SKILL.md'])
        await expectCode(request('finder', ALL, { uri }, 'resources/read'), 'resource-not-found');
      const ref = (of: Record<string, string>) => ({ ref: of, argument: { name: 'id', value: '' } });
      await expectCode(
        request('finder', ALL, ref({ type: 'ref/prompt', name: 'mail__greet' }), 'completion/complete'),
        'prompt-not-found',
      );
      await expectCode(
        request('finder', ALL, ref({ type: 'ref/resource', uri: 'box://{id}' }), 'completion/complete'),
        'resource-not-found',
      );
      expect(passed).toEqual([]);
      await request('finder', ALL, { name: 'notes__add' });
      await request('finder', ALL, { uri: 'memo://one' }, 'resources/read');
      expect(passed).toHaveLength(2);
    },
  );

  it(
    'answers for what it hides in the words for what is not there',
    verifies('exposure.profile'),
    async () => {
      const { request, clients } = await profiled();
      await clients.add('free', undefined);
      const said = async (
        client: string,
        params: Record<string, unknown>,
        method?: GatewayRequest['method'],
      ) =>
        request(client, ALL, params, method).then(
          () => 'answered',
          (error: Error) => error.message.replaceAll(/there|send|greet|in\b/g, '…'),
        );
      expect(await said('finder', { name: 'mail__send' })).toBe(await said('free', { name: 'mail__there' }));
      expect(await said('finder', { name: 'mail__greet' }, 'prompts/get')).toBe(
        await said('free', { name: 'mail__there' }, 'prompts/get'),
      );
      const hidden = await said('finder', { uri: 'box://in' }, 'resources/read');
      expect(hidden).toBe(
        (await said('free', { uri: 'xob://there' }, 'resources/read')).replace('xob', 'box'),
      );
    },
  );

  it(
    'is what a search goes over, before it is searched',
    verifies('exposure.profile', 'exposure.search'),
    async () => {
      const { use, toolNames, passed } = await profiled('search');
      expect(toolNames('finder')).toEqual(['search_tools', 'describe_tools', 'call_tool']);
      expect(await use('search_tools', { query: 'send an email, throw away or write down a note' })).toBe(
        'notes__add(): Write down a note',
      );
      await expectCode(use('describe_tools', { names: ['mail__send'] }), 'arguments-invalid');
      await expectCode(use('call_tool', { name: 'mail__send', arguments: { to: 'x' } }), 'arguments-invalid');
      await expectCode(use('mail__send', { to: 'x' }), 'tool-not-found');
      expect(passed).toEqual([]);
    },
  );

  it('takes effect at once, and is told only to those who see by it', verifies('mcp.changes'), async () => {
    const { gateway, profiles, clients, toolNames, listening } = await profiled();
    await clients.add('free', undefined);
    const notices = createChangeNotices({ gateway, log: createLogger({ level: 'silent', name: 'test' }) });
    const heard: string[] = [];
    let told: () => void = () => undefined;
    const next = () => new Promise<void>((resolve) => (told = resolve));
    for (const client of ['finder', 'free'])
      notices.listen(who(client), ALL, (kind) => {
        heard.push(`${client} ${kind}`);
        told();
      });

    let waiting = next();
    await profiles.set('short', [{ skill: 'local.test/notes' }]);
    await waiting;
    expect(toolNames('finder')).toEqual(['notes__add', 'notes__erase']);
    expect(heard).toEqual(['finder tools']);

    waiting = next();
    await clients.expose('free', { mode: 'search' });
    await waiting;
    expect(heard).toEqual(['finder tools', 'free tools']);
    notices.close();
    expect(listening()).toBe(0);
  });
});

describe('what a client is shown', () => {
  it('is everything where a hub knew no modes yet', verifies('exposure.kept'), async () => {
    const path = join(await tempFolder(), 'hub.db');
    const old = await openDatabase<HubTables>(path, { migrations: hubMigrations.slice(0, 1) });
    await sql`insert into client (name, user, token_hash, created_at) values ('agent', 'owner', 'ab', '2026-01-01')`.execute(
      old.query,
    );
    await old.close();
    const database = await openDatabase<HubTables>(path, { migrations: hubMigrations });
    const { query: db, close } = database;
    onTestFinished(close);
    const audit = await openAuditLog({ database, key: createKey(), clock: systemClock });
    const clients = await openClients({ db, audit, clock: systemClock });
    expect(clients.list()).toMatchObject([{ name: 'agent', exposure: { mode: 'all' } }]);
  });

  it('is on record, and the same after a restart', verifies('exposure.kept'), async () => {
    const { db, audit, clients, profiles } = await rig();
    await profiles.set('short', [
      { skill: 'local.test/notes', tools: ['erase', 'add'] },
      { skill: 'local.test/notes', tools: ['add'] },
    ]);
    await clients.add('agent', undefined, { mode: 'profile', profile: 'short' });
    const { before } = await clients.expose('agent', { mode: 'search', profile: 'short' });
    expect(before).toEqual({ mode: 'profile', profile: 'short' });
    await profiles.set('gone', [{ skill: 'local.test/mail' }]);
    await profiles.remove('gone');

    const again = await openClients({ db, audit, clock: systemClock });
    const profilesAgain = await openProfiles({ db, audit, clock: systemClock });
    expect(again.exposureOf('agent')).toEqual({ mode: 'search', profile: 'short' });
    expect(profilesAgain.list()).toEqual([
      { name: 'short', entries: [{ skill: 'local.test/notes', tools: ['add', 'erase'] }] },
    ]);
    const { rows } = await db
      .selectFrom('audit')
      .select('record')
      .orderBy('seq')
      .execute()
      .then((all) => ({
        rows: all.map(({ record }) => (JSON.parse(record) as { event: string }).event),
      }));
    expect(rows).toEqual(['profile.set', 'client.added', 'client.shown', 'profile.set', 'profile.removed']);
  });

  it('is refused where it makes no sense, and nothing is changed', async () => {
    const { clients, profiles } = await rig();
    await expectCode(
      clients.add('agent', undefined, { mode: 'profile', profile: 'none' }),
      'profile-not-found',
    );
    expect(clients.list()).toEqual([]);
    await clients.add('agent', undefined);
    await expectCode(clients.expose('agent', { mode: 'profile' }), 'request-invalid');
    await expectCode(clients.expose('agent', { mode: 'all', profile: 'none' }), 'request-invalid');
    await expectCode(clients.expose('agent', { mode: 'search', profile: 'none' }), 'profile-not-found');
    await expectCode(clients.expose('nobody', { mode: 'search' }), 'client-not-found');
    expect(clients.exposureOf('agent')).toEqual({ mode: 'all' });
    await profiles.set('used', [{ skill: 'local.test/notes' }]);
    await clients.expose('agent', { mode: 'profile', profile: 'used' });
    await expectCode(profiles.remove('used'), 'profile-in-use');
    await clients.remove('agent');
    await profiles.remove('used');
    await expectCode(profiles.remove('used'), 'profile-not-found');
    await expectCode(async () => profiles.get('used'), 'profile-not-found');
  });
});
