import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aliasFor, buildCatalog, exposedName } from '../../hub/catalog.ts';
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

  it('leads a URI to the template that says most about it', verifies('catalog.resource-collision'), () => {
    const greedy = installedSkill({
      name: 'local.test/greedy',
      surface: { resourceTemplates: [{ uriTemplate: '{+anything}', name: 'all' }] },
      installedAt: '2025-01-01T00:00:00.000Z',
    });
    const catalog = buildCatalog([greedy, notes]);
    expect(catalog.find(ALL, 'resources/read', { uri: 'memo://seven' }).skill).toBe(notes);
    expect(catalog.find(ALL, 'resources/read', { uri: 'other://seven' }).skill).toBe(greedy);
  });

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

  it(
    'gives a URI that two skills offer to the one installed first',
    verifies('catalog.resource-collision'),
    () => {
      const catalog = buildCatalog([other, notes]);
      expect(catalog.view(ALL).resources).toEqual([{ uri: 'memo://one', name: 'one' }]);
      expect(catalog.find(ALL, 'resources/read', { uri: 'memo://one' }).skill).toBe(notes);
      const own = { kind: 'skill', name: 'local.test/other' } as const;
      expect(catalog.find(own, 'resources/read', { uri: 'memo://one' }).skill).toBe(other);
    },
  );

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

describe('names', () => {
  it(
    'fit every client and stay unique, whatever a skill calls its tools',
    verifies('catalog.name-form'),
    () => {
      const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 128 }), { maxLength: 30 });
      fc.assert(
        fc.property(names, (tools) => {
          const taken = new Set<string>();
          for (const name of tools) {
            const exposed = exposedName('alias', name, taken);
            expect(exposed).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
            expect(taken).not.toContain(exposed);
            taken.add(exposed);
          }
        }),
      );
    },
  );

  it('of aliases are the shortest that is free', () => {
    expect(aliasFor('dev.berth/files', new Set())).toBe('files');
    expect(aliasFor('dev.berth/files', new Set(['files']))).toBe('berth-files');
    expect(aliasFor('dev.berth/files', new Set(['files', 'berth-files']))).toBe('files-2');
    expect(aliasFor(`a.b/${'x'.repeat(80)}`, new Set())).toHaveLength(24);
  });
});
