import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildCatalog } from '../../hub/catalog.ts';
import { aliasFor, exposedName } from '../../hub/exposed-names.ts';
import type { InstalledSkill } from '../../hub/installed.ts';
import { installedSkill, tool } from '../support/installed-skill.ts';
import { verifies } from '../support/verifies.ts';

const ALL = { kind: 'all' } as const;

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

  it('do not change when other skills come', verifies('catalog.name-form'), () => {
    // Letters that clients refuse and words that are too long, so that names have to be told apart by digest.
    const letters = fc.constantFrom('a', 'b', '.', '/', '_', '-', 'long'.repeat(9));
    const tools = fc.uniqueArray(
      fc.array(letters, { minLength: 1, maxLength: 3 }).map((word) => `x${word.join('')}`.slice(0, 128)),
      { maxLength: 20 },
    );
    const skillWith = (name: string, names: string[]) =>
      installedSkill({
        name: `local.test/${name}`,
        surface: { prompts: names.map((one) => ({ name: one })) },
      });
    fc.assert(
      fc.property(tools, tools, (ours, others) => {
        const skill = skillWith('ours', ours);
        const namesIn = (skills: InstalledSkill[]) =>
          buildCatalog(skills)
            .view(ALL)
            .prompts.map(({ name }) => String(name))
            .filter((name) => name.startsWith('ours__'));
        const alone = namesIn([skill]);
        expect(namesIn([skillWith('a', others), skill, skillWith('ours-too', others)])).toEqual(alone);
        expect(new Set(alone).size).toBe(ours.length);
      }),
    );
  });

  it('of a tool and a prompt of one skill may be the same', () => {
    const both = installedSkill({ surface: { tools: [tool('greet')], prompts: [{ name: 'greet' }] } });
    const view = buildCatalog([both]).view(ALL);
    expect([...view.tools, ...view.prompts].map(({ name }) => name)).toEqual(['echo__greet', 'echo__greet']);
  });

  it('of aliases are the shortest that is free', () => {
    expect(aliasFor('dev.berth/files', new Set())).toBe('files');
    expect(aliasFor('dev.berth/files', new Set(['files']))).toBe('berth-files');
    expect(aliasFor('dev.berth/files', new Set(['files', 'berth-files']))).toBe('files-2');
    expect(aliasFor(`a.b/${'x'.repeat(80)}`, new Set())).toHaveLength(24);
  });
});
