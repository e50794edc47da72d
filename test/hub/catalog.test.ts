import { describe, expect, it } from 'vitest';
import { buildCatalog } from '../../hub/catalog.ts';
import { expectCode } from '../support/expect-code.ts';
import { installedSkill, tool } from '../support/installed-skill.ts';
import { verifies } from '../support/verifies.ts';

const ALL = { kind: 'all' } as const;
const notes = installedSkill({
  name: 'local.test/notes',
  surface: {
    instructions: 'Keep notes.',
    tools: [tool('add'), tool('secret-door')],
    prompts: [{ name: 'recall' }],
    resources: [{ uri: 'memo://one', name: 'one' }],
    resourceTemplates: [{ uriTemplate: 'memo://{id}', name: 'memo' }],
    capabilities: { completions: true },
  },
  answers: { add: 'allow', 'secret-door': 'deny' },
});
const other = installedSkill({
  name: 'local.test/other',
  surface: { tools: [tool('add')], resources: [{ uri: 'memo://one', name: 'impostor' }] },
  installedAt: '2026-02-01T00:00:00.000Z',
});
const MARKED = 'memo://one#berth~local.test~other';

describe('the catalog', () => {
  it('names tools after their skill, and leads each name back', verifies('catalog.names'), () => {
    const catalog = buildCatalog([notes, other]);
    expect(catalog.view(ALL).tools.map((entry) => entry['name'])).toEqual(['notes__add', 'other__add']);
    const target = catalog.find(ALL, 'tools/call', { name: 'other__add', arguments: { a: 1 } });
    expect([target.skill.name, target.name, target.params]).toEqual([
      'local.test/other',
      'add',
      { name: 'add', arguments: { a: 1 } },
    ]);
  });

  it(
    'lists each kind of thing in one order: of skills by name, within one as its surface has it',
    verifies('catalog.order'),
    () => {
      const view = buildCatalog([notes, other]).view(ALL);
      expect(view).toEqual(buildCatalog([notes, other]).view(ALL));
      expect(view.tools.map(({ name }) => name)).toEqual(['notes__add', 'other__add']);
      expect(view.resources.map(({ name }) => name)).toEqual(['one', 'impostor']);
    },
  );

  it('leaves the names of one skill as they are at its own endpoint', () => {
    const catalog = buildCatalog([notes, other]);
    const scope = { kind: 'skill', name: 'local.test/notes' } as const;
    expect(catalog.view(scope).tools.map((entry) => entry['name'])).toEqual(['add']);
    expect(catalog.view(scope).prompts.map((entry) => entry['name'])).toEqual(['recall']);
    expect(catalog.find(scope, 'prompts/get', { name: 'recall' }).skill).toBe(notes);
  });

  it('does not show a tool that is switched off, but knows it, so that a call can be explained', () => {
    const catalog = buildCatalog([notes]);
    expect(JSON.stringify(catalog.view(ALL))).not.toContain('secret-door');
    expect(catalog.find(ALL, 'tools/call', { name: 'notes__secret-door' }).tool?.answer).toBe('deny');
  });

  it('shows nothing of a skill that is quarantined or blocked', verifies('catalog.only-serving'), () => {
    for (const state of [{ quarantine: [{ path: 'tools.add' }] }, { blocked: 'no network' }]) {
      const view = buildCatalog([{ ...notes, ...state }]).view(ALL);
      expect([view.tools, view.prompts, view.resources, view.resourceTemplates, view.instructions]).toEqual([
        [],
        [],
        [],
        [],
        undefined,
      ]);
    }
  });

  it('marks a URI that two skills offer for the later one', verifies('catalog.uris'), () => {
    const catalog = buildCatalog([other, notes]);
    expect(catalog.view(ALL).resources).toEqual([
      { uri: 'memo://one', name: 'one' },
      { uri: MARKED, name: 'impostor' },
    ]);
    const read = (uri: string) => {
      const { skill, params } = catalog.find(ALL, 'resources/read', { uri });
      return [skill, params['uri']];
    };
    expect(read('memo://one')).toEqual([notes, 'memo://one']);
    expect(read(MARKED)).toEqual([other, 'memo://one']);
    const own = { kind: 'skill', name: 'local.test/other' } as const;
    expect(catalog.view(own).resources).toEqual([{ uri: 'memo://one', name: 'impostor' }]);
    expect(catalog.find(own, 'resources/read', { uri: 'memo://one' }).skill).toBe(other);
  });

  it(
    'tells of the URIs of a later skill as they lead to it, and sends it its own',
    verifies('catalog.uris'),
    () => {
      const catalog = buildCatalog([notes, other]);
      const target = catalog.find(ALL, 'tools/call', {
        name: 'other__add',
        arguments: { of: [MARKED, 'memo://two', `see ${MARKED}`] },
      });
      expect(target.params['arguments']).toEqual({ of: ['memo://one', 'memo://two', `see ${MARKED}`] });
      expect(['memo://one', 'memo://two'].map((uri) => target.exposed?.(uri))).toEqual([
        MARKED,
        'memo://two',
      ]);
      expect(catalog.find(ALL, 'tools/call', { name: 'notes__add' }).exposed).toBeUndefined();
    },
  );

  it('completes the arguments of a marked template at its skill', verifies('catalog.uris'), () => {
    const rival = installedSkill({
      name: 'local.test/rival',
      surface: { resourceTemplates: [{ uriTemplate: 'memo://{id}', name: 'rival' }] },
      installedAt: '2026-03-01T00:00:00.000Z',
    });
    const catalog = buildCatalog([notes, rival]);
    const uri = 'memo://{id}#berth~local.test~rival';
    expect(catalog.view(ALL).resourceTemplates.map((entry) => entry['uriTemplate'])).toEqual([
      'memo://{id}',
      uri,
    ]);
    const { skill, params } = catalog.find(ALL, 'completion/complete', {
      ref: { type: 'ref/resource', uri },
    });
    expect([skill, params['ref']]).toEqual([rival, { type: 'ref/resource', uri: 'memo://{id}' }]);
  });

  it('tells of a resource by the URI it was asked for by', verifies('catalog.uris'), () => {
    const alone = buildCatalog([other]);
    const { exposed, name } = alone.find(ALL, 'resources/read', { uri: MARKED });
    expect([name, exposed?.('memo://one'), exposed?.('memo://two')]).toEqual([
      'memo://one',
      MARKED,
      'memo://two',
    ]);
  });

  it('reads what a template may have made, and completes its arguments at the same skill', () => {
    const catalog = buildCatalog([notes]);
    expect(catalog.find(ALL, 'resources/read', { uri: 'memo://two' }).skill).toBe(notes);
    expect(
      catalog.find(ALL, 'completion/complete', { ref: { type: 'ref/resource', uri: 'memo://{id}' } }).skill,
    ).toBe(notes);
    const completion = catalog.find(ALL, 'completion/complete', {
      ref: { type: 'ref/prompt', name: 'notes__recall' },
      argument: { name: 'x', value: '' },
    });
    expect(completion.params['ref']).toEqual({ type: 'ref/prompt', name: 'recall' });
  });

  it('answers unknown names by code', async () => {
    const catalog = buildCatalog([notes]);
    await expectCode(() => catalog.find(ALL, 'tools/call', { name: 'add' }), 'tool-not-found');
    await expectCode(() => catalog.find(ALL, 'prompts/get', {}), 'prompt-not-found');
    await expectCode(
      () => catalog.find(ALL, 'resources/read', { uri: 'file:///etc/shadow' }),
      'resource-not-found',
    );
    await expectCode(() => catalog.view({ kind: 'skill', name: 'local.test/gone' }), 'not-installed');
  });
});
