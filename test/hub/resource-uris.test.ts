import { UriTemplate } from '@modelcontextprotocol/server';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InstalledSkill } from '../../hub/installed.ts';
import { ownUris, sharedUris } from '../../hub/resource-uris.ts';
import { installedSkill, tool } from '../support/installed-skill.ts';
import { verifies } from '../support/verifies.ts';

/** URIs that get in each other's way: whole, by templates, and by what looks like a mark. */
const URIS = [
  'memo://one',
  'memo://two',
  'memo://notes/one',
  'ui://weather/view.html',
  'https://example.com/page?q=1#part',
  'memo://one#berth~local.test~a',
  'memo://one#berth~local.test~b',
  'memo:opaque',
];
const TEMPLATES = [
  'memo://{id}',
  'memo://{name}',
  'memo://notes/{id}',
  'ui://{app}/view.html',
  'memo://{id}{#part}',
  'search://all{?q,page}',
  '{+anything}',
  'memo://one',
  'memo://{id}#berth~local.test~a',
];

const skillNamed = (name: string, installed: number, uris: string[], templates: string[], ui: string[]) =>
  installedSkill({
    name: `local.test/${name}`,
    installedAt: `2026-01-0${installed}T00:00:00.000Z`,
    surface: {
      tools: ui.map((resourceUri, at) => tool(`show${at}`, { _meta: { ui: { resourceUri } } })),
      resources: uris.map((uri) => ({ uri, name: uri })),
      resourceTemplates: templates.map((uriTemplate) => ({ uriTemplate, name: uriTemplate })),
    },
  });

/** Skills in order of name, as a hub lists them, of whatever age. */
const skillsArbitrary = fc
  .array(
    fc.tuple(
      fc.integer({ min: 1, max: 9 }),
      fc.subarray(URIS),
      fc.subarray(TEMPLATES),
      fc.subarray(['ui://weather/view.html', 'ui://hidden/app.html']),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((given) =>
    given.map(([age, uris, templates, ui], at) => skillNamed('abcd'[at] ?? '', age, uris, templates, ui)),
  );

const exposedBy = (skills: InstalledSkill[], skill: InstalledSkill) =>
  sharedUris(skills).rewriting(skill)?.exposed ?? ((uri: string) => uri);

describe('URIs of resources at the door to all skills', () => {
  it('are of one skill each, and lead back to what it calls them', verifies('catalog.uris'), () => {
    fc.assert(
      fc.property(skillsArbitrary, (skills) => {
        const uris = sharedUris(skills);
        const forms = new Map<string, string>();
        for (const skill of skills) {
          const exposed = exposedBy(skills, skill);
          for (const { uri } of skill.surface.resources) {
            const form = exposed(uri);
            expect(uris.find(form)).toEqual({ skill, uri });
            expect(forms.get(form)).toBeUndefined();
            forms.set(form, skill.name);
          }
        }
        expect(new Set(uris.resources.map(({ uri }) => uri))).toEqual(new Set(forms.keys()));
      }),
    );
  });

  it('stay URIs of their scheme, and templates keep their variables', verifies('catalog.uris'), () => {
    fc.assert(
      fc.property(skillsArbitrary, (skills) => {
        for (const skill of skills) {
          for (const { uri } of skill.surface.resources) {
            const form = exposedBy(skills, skill)(uri);
            expect(URL.canParse(form)).toBe(true);
            expect(new URL(form).protocol).toBe(new URL(uri).protocol);
            // A client that writes URIs in its own way reads the same.
            expect(sharedUris(skills).find(new URL(form).href)?.skill).toBe(skill);
          }
        }
        for (const entry of sharedUris(skills).templates) {
          const names = (template: unknown) => new UriTemplate(String(template)).variableNames;
          expect(names(entry['uriTemplate'])).toEqual(names(entry['name']));
        }
      }),
    );
  });

  it('that a template of the list makes lead to its skill', verifies('catalog.uris'), () => {
    const values = {
      id: '7',
      name: 'one',
      app: 'weather',
      part: 'p',
      q: 'x',
      page: '2',
      anything: 'memo://one',
    };
    fc.assert(
      fc.property(skillsArbitrary, (skills) => {
        const uris = sharedUris(skills);
        for (const { uriTemplate } of uris.templates) {
          const found = uris.findTemplate(String(uriTemplate));
          const made = new UriTemplate(String(uriTemplate)).expand(values);
          const own = new UriTemplate(found?.uri ?? '').expand(values);
          expect(uris.find(made)).toEqual({ skill: found?.skill, uri: own });
        }
        const all = skills.flatMap(({ surface }) => surface.resourceTemplates);
        expect(new Set(uris.templates.map(({ uriTemplate }) => uriTemplate)).size).toBe(all.length);
      }),
    );
  });

  it(
    'do not change when a skill comes, and marks hold when one goes',
    verifies('catalog.uris-stable'),
    () => {
      fc.assert(
        fc.property(skillsArbitrary, fc.nat(), (skills, pick) => {
          const byAge = skills.toSorted((a, b) =>
            `${a.installedAt} ${a.name}` < `${b.installedAt} ${b.name}` ? -1 : 1,
          );
          const before = byAge.slice(0, -1);
          const formsOf = (known: InstalledSkill[], of: InstalledSkill[]) =>
            of.map((skill) => skill.surface.resources.map(({ uri }) => exposedBy(known, skill)(uri)));
          expect(formsOf(skills, before)).toEqual(formsOf(before, before));

          const gone = skills[pick % skills.length];
          const left = skills.filter((skill) => skill !== gone);
          for (const skill of left) {
            for (const { uri } of skill.surface.resources) {
              const form = exposedBy(skills, skill)(uri);
              if (form !== uri) expect(sharedUris(left).find(form)).toEqual({ skill, uri });
            }
          }
        }),
      );
    },
  );

  it('are listed alike whatever order the skills come in', verifies('catalog.order'), () => {
    fc.assert(
      fc.property(skillsArbitrary, (skills) => {
        const [there, back] = [sharedUris(skills), sharedUris(skills.toReversed())];
        expect([there.resources, there.templates]).toEqual([back.resources, back.templates]);
      }),
    );
  });

  it.each([
    ['memo://{id}', 'memo://{name}', true],
    ['memo://notes/{id}', 'memo://{+path}', true],
    ['memo://{+path}', 'memo://notes/{id}', true],
    ['memo://one', 'memo://{id}', true],
    ['memo://{id}', 'memo://one', true],
    ['{+anything}', 'note://{id}', true],
    ['memo://{id}/text', 'memo://{id}/html', false],
    ['memo://{id}', 'note://{id}', false],
    ['memo://one', 'memo://two', false],
  ])(
    'of %s, and of %s of a later skill, are marked: %s',
    verifies('catalog.uris'),
    (first, later, marked) => {
      const [a, b] = [skillNamed('a', 1, [], [first], []), skillNamed('b', 2, [], [later], [])];
      expect(sharedUris([a, b]).templates.map(({ uriTemplate }) => uriTemplate)).toEqual([
        first,
        marked ? `${later}#berth~local.test~b` : later,
      ]);
    },
  );

  it('of skills that share nothing are their own, and nothing is rewritten', verifies('catalog.uris'), () => {
    const a = skillNamed('a', 1, ['memo://one'], ['memo://{id}'], []);
    const b = skillNamed('b', 2, ['note://one'], ['note://{id}'], ['ui://b/app.html']);
    const uris = sharedUris([a, b]);
    expect([uris.rewriting(a), uris.rewriting(b)]).toEqual([undefined, undefined]);
    expect(uris.resources.map(({ uri }) => uri)).toEqual(['memo://one', 'note://one']);
    expect(uris.find('ui://b/app.html')).toEqual({ skill: b, uri: 'ui://b/app.html' });
  });

  it('lead nowhere with the mark of a skill that does not offer them', verifies('catalog.uris'), () => {
    const a = skillNamed('a', 1, ['memo://one'], ['memo://{id}'], []);
    const b = skillNamed('b', 2, ['note://one'], [], []);
    const uris = sharedUris([a, b]);
    expect(uris.find('memo://one#berth~local.test~b')).toBeUndefined();
    expect(uris.find('memo://one#berth~local.test~gone')).toBeUndefined();
    expect(uris.findTemplate('memo://{id}#berth~local.test~b')).toBeUndefined();
  });
});

describe('URIs of resources at the door of one skill', () => {
  it('are its own, even those that look marked', verifies('catalog.uris'), () => {
    const a = skillNamed('a', 1, URIS, TEMPLATES, ['ui://hidden/app.html']);
    const uris = ownUris(a);
    expect(uris.resources).toEqual(a.surface.resources);
    expect(uris.templates).toEqual(a.surface.resourceTemplates);
    for (const uri of [...URIS, 'ui://hidden/app.html']) expect(uris.find(uri)).toEqual({ skill: a, uri });
    expect(uris.rewriting(a)).toBeUndefined();
  });
});
