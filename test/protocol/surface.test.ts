import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EFFECTS, type Effect } from '../../protocol/effects.ts';
import { normalise, union } from '../../protocol/permissions.ts';
import {
  boundEffects,
  isEnforced,
  diffSurface,
  parseSurface,
  suggestAnswer,
  SURFACE_LIMITS,
  surfaceDigest,
  surfaceSchema,
  toolEffects,
  type Surface,
} from '../../protocol/surface.ts';
import { expectCode } from '../support/expect-code.ts';
import { anyPermissions } from '../support/permission-arbitraries.ts';
import { verifies } from '../support/verifies.ts';

const read = {
  name: 'read',
  description: 'Reads a note.',
  inputSchema: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] },
  annotations: { readOnlyHint: true },
};
const raw = {
  instructions: 'Ask before you delete.',
  tools: [{ name: 'write', inputSchema: { type: 'object' } }, read],
  prompts: [{ name: 'plan' }],
  resources: [{ uri: 'notes://all', name: 'All notes' }],
  resourceTemplates: [{ uriTemplate: 'notes://{id}', name: 'A note' }],
  capabilities: { logging: true },
};
const surface = surfaceSchema.parse(raw);
const changed = (changes: object): Surface => surfaceSchema.parse({ ...raw, ...changes });

describe('a surface', () => {
  it('does not depend on the order in which a server answers', verifies('surface.change-named'), () => {
    const other = changed({ tools: raw.tools.toReversed() });
    expect(other).toEqual(surface);
    expect(other.tools.map(({ name }) => name)).toEqual(['read', 'write']);
    expect(surfaceDigest({ ...surface, tools: surface.tools.toReversed() })).toBe(surfaceDigest(surface));
  });

  it(
    'keeps what it does not know, so that it is hashed and compared, too',
    verifies('surface.change-named'),
    () => {
      const extended = changed({ tools: [{ ...read, 'x-vendor': { level: 1 } }] });
      const changedExtension = changed({ tools: [{ ...read, 'x-vendor': { level: 2 } }] });
      expect(surfaceDigest(extended)).not.toBe(surfaceDigest(changedExtension));
      expect(diffSurface(extended, changedExtension)).toEqual([
        { path: 'tools.read.x-vendor.level', before: 1, after: 2 },
      ]);
    },
  );

  it('reads back from its file as it was', () => {
    expect(parseSurface(JSON.stringify(surface))).toEqual(surface);
    expect(surfaceSchema.parse(surface)).toEqual(surface);
  });

  it('leaves out what is undefined, as it would be on the wire', () => {
    const loose = surfaceSchema.parse({
      ...raw,
      instructions: undefined,
      tools: [{ ...read, title: undefined }],
    });
    expect(surfaceDigest(loose)).toBe(surfaceDigest(surfaceSchema.parse(JSON.parse(JSON.stringify(loose)))));
    expect(Object.keys(loose)).not.toContain('instructions');
  });

  it.each([
    [
      'the description of a tool',
      { tools: [{ ...read, description: 'Reads it and mails it.' }] },
      'tools.read.description',
    ],
    [
      'a parameter',
      {
        tools: [
          {
            ...read,
            inputSchema: { type: 'object', properties: { id: { type: 'number' } }, required: ['id'] },
          },
        ],
      },
      'tools.read.inputSchema.properties.id.type',
    ],
    [
      'a hint',
      { tools: [{ ...read, annotations: { readOnlyHint: false } }] },
      'tools.read.annotations.readOnlyHint',
    ],
    ['the instructions', { instructions: 'Never ask.' }, 'instructions'],
    [
      'a resource',
      { resources: [{ uri: 'notes://all', name: 'Every note' }] },
      'resources["notes://all"].name',
    ],
    ['a prompt', { prompts: [{ name: 'plan', title: 'Plan' }] }, 'prompts.plan.title'],
    ['a template', { resourceTemplates: [] }, 'resourceTemplates["notes://{id}"]'],
    ['a capability', { capabilities: {} }, 'capabilities.logging'],
    [
      'the head of SKILL.md',
      { skill: { frontmatter: { name: 'x' }, digest: `sha256:${'0'.repeat(64)}` } },
      'skill',
    ],
  ])('that changes in %s is told by its path', verifies('surface.change-named'), (_, changes, path) => {
    const after = changed(changes);
    expect(surfaceDigest(after)).not.toBe(surfaceDigest(surface));
    expect(diffSurface(surface, after).map((change) => change.path)).toContain(path);
  });

  it('tells what was added, removed and replaced', verifies('surface.change-named'), () => {
    const extra = { name: 'zap', inputSchema: { type: 'object' } };
    const after = changed({ tools: [{ ...read, description: 'Reads.' }, extra] });
    expect(diffSurface(surface, after)).toEqual([
      { path: 'tools.read.description', before: 'Reads a note.', after: 'Reads.' },
      { path: 'tools.write', before: { name: 'write', inputSchema: { type: 'object' } } },
      { path: 'tools.zap', after: extra },
    ]);
  });

  it('differs exactly when its digest does', verifies('surface.change-named'), () => {
    const tool = fc.record({
      name: fc.constantFrom('a', 'b', 'a.b'),
      inputSchema: fc.record({
        type: fc.constant('object'),
        properties: fc.dictionary(fc.constantFrom('x', 'y.z'), fc.jsonValue({ maxDepth: 2 }), {
          noNullPrototype: true,
        }),
      }),
      extra: fc.jsonValue({ maxDepth: 2 }),
    });
    const any = fc
      .uniqueArray(tool, { maxLength: 3, selector: ({ name }) => name })
      .map((tools) => surfaceSchema.safeParse({ ...raw, tools }))
      .filter((parsed) => parsed.success)
      .map((parsed) => parsed.data);
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(diffSurface(a, b).length === 0).toBe(surfaceDigest(a) === surfaceDigest(b));
        expect(diffSurface(a, structuredClone(a))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a hostile surface', () => {
  const nested = (depth: number): unknown =>
    Array.from({ length: depth }).reduce((inner) => ({ a: inner }), {});
  const tools = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ name: `t${index}`, inputSchema: { type: 'object' } }));

  it.each([
    ['too many tools', { tools: tools(SURFACE_LIMITS.tools + 1) }],
    ['a tool twice', { tools: [read, { ...read, description: 'Other.' }] }],
    ['a prompt twice', { prompts: [{ name: 'a' }, { name: 'a' }] }],
    [
      'a resource twice',
      {
        resources: [
          { uri: 'a:b', name: 'a' },
          { uri: 'a:b', name: 'b' },
        ],
      },
    ],
    ['a name with a line break', { tools: [{ ...read, name: 'a\nb' }] }],
    ['a name that every object has', { tools: [{ ...read, name: '__proto__' }] }],
    ['a tool without an input schema', { tools: [{ name: 'a' }] }],
    ['an input schema that is no object', { tools: [{ name: 'a', inputSchema: { type: 'array' } }] }],
    ['a hint that is no boolean', { tools: [{ ...read, annotations: { readOnlyHint: 'yes' } }] }],
    ['too long instructions', { instructions: 'a'.repeat(SURFACE_LIMITS.instructions + 1) }],
    ['too many bytes', { tools: [{ ...read, description: 'a'.repeat(SURFACE_LIMITS.bytes) }] }],
    [
      'too deep a schema',
      { tools: [{ ...read, inputSchema: { type: 'object', properties: nested(100_000) } }] },
    ],
    ['half a surrogate pair', { tools: [{ ...read, description: '\ud800' }] }],
    ['what JSON cannot say', { tools: [{ ...read, 'x-big': 1n }] }],
    ['a number that is none', { tools: [{ ...read, 'x-nan': Number.NaN }] }],
    ['an unknown member', { extra: true }],
  ])('with %s is refused', verifies('surface.bounded'), (_, changes) => {
    expect(surfaceSchema.safeParse({ ...raw, ...changes }).success).toBe(false);
  });

  it.each([
    ['no JSON', '{', ''],
    ['a name twice', '{"tools":[],"tools":[]}', 'tools'],
    ['a reserved name', `{"__proto__":{},${JSON.stringify(raw).slice(1)}`, '__proto__'],
    ['an unknown member', `{"toolz":[],${JSON.stringify(raw).slice(1)}`, 'toolz'],
    ['a bad tool', JSON.stringify({ ...raw, tools: [{ name: '' }] }), 'tools[0].name'],
  ])('in a file with %s is refused with its place', verifies('surface.bounded'), async (_, text, path) => {
    const error = await expectCode(() => parseSurface(text), 'surface-invalid');
    expect(error.data?.['faults']).toContainEqual(expect.objectContaining({ path }));
  });
});

describe('the effects of a tool', () => {
  const says = (annotations?: Record<string, boolean>) =>
    toolEffects({ name: 't', annotations }, { tools: {} });
  const declares = (effects: Effect[], annotations?: Record<string, boolean>) =>
    toolEffects({ name: 't', annotations }, { tools: { t: { effects } } });

  it('nobody speaks of are the worst that MCP presumes', verifies('effects.author-raises'), () => {
    expect(says()).toEqual(['destroy', 'send']);
    expect(says({})).toEqual(['destroy', 'send']);
    expect(toolEffects({ name: 'constructor' }, { tools: {} })).toEqual(['destroy', 'send']);
  });

  it('follow the annotations where the manifest is silent', verifies('effects.author-raises'), () => {
    expect(says({ readOnlyHint: true })).toEqual(['read']);
    expect(says({ destructiveHint: false })).toEqual(['update']);
    expect(says({ destructiveHint: true, openWorldHint: false })).toEqual(['destroy']);
    expect(says({ openWorldHint: false })).toEqual(['destroy']);
    expect(says({ readOnlyHint: true, destructiveHint: true })).toEqual(['destroy', 'send']);
  });

  it('are what the manifest declares, and no hint takes any off', verifies('effects.author-raises'), () => {
    expect(declares(['read'])).toEqual(['read']);
    expect(declares(['destroy', 'create'], { readOnlyHint: true, destructiveHint: false })).toEqual([
      'create',
      'destroy',
    ]);
    expect(declares(['read'], { destructiveHint: true })).toEqual(['read', 'destroy']);
    expect(declares(['read'], { readOnlyHint: false })).toEqual(['read', 'update']);
    const hints = fc.record(
      { readOnlyHint: fc.boolean(), destructiveHint: fc.boolean(), openWorldHint: fc.boolean() },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.subarray([...EFFECTS], { minLength: 1 }), hints, (effects, annotations) => {
        expect(declares(effects, annotations)).toEqual(expect.arrayContaining(effects));
      }),
    );
  });

  it.each([
    ['no permission at all', {}, ['read']],
    ['reading files only', { filesystem: [{ path: '${workspace}', mode: 'r' }] }, ['read']],
    ['secrets and variables', { secrets: [{ name: 'K' }], env: ['TZ'], background: true }, ['read']],
    [
      'its own data',
      { filesystem: [{ path: '${data}', mode: 'rw' }] },
      ['read', 'create', 'update', 'destroy'],
    ],
    ['a network', { network: [{ host: 'x.org' }] }, [...EFFECTS]],
    ['a program', { subprocess: [{ exec: 'git' }] }, ['read', 'run']],
    ['sampling', { mcp: { sampling: true } }, ['read', 'spend']],
  ] as const)('with %s are bounded', verifies('effects.bounded'), (_, permissions, expected) => {
    expect(boundEffects(EFFECTS, normalise(permissions as Parameters<typeof normalise>[0]))).toEqual(
      expected,
    );
  });

  it('are never nothing', verifies('effects.bounded'), () => {
    expect(boundEffects(['destroy', 'send'], normalise({}))).toEqual(['read']);
    expect(boundEffects([], normalise({}))).toEqual(['read']);
  });

  it(
    'are the sandbox’s word only where nothing can be written or sent',
    verifies('folders.read-only-tools'),
    () => {
      const writes = normalise({ filesystem: [{ path: '${workspace}', mode: 'rw' }] });
      const reads = normalise({
        filesystem: [{ path: '${workspace}', mode: 'r' }],
        subprocess: [{ exec: 'git' }],
      });
      const sends = normalise({ network: [{ host: 'x.org' }] });
      const spends = normalise({ mcp: { sampling: true } });
      expect(isEnforced(['read'], writes, true)).toBe(true);
      expect(isEnforced(['read'], writes, undefined)).toBe(false);
      expect(isEnforced(['read'], reads, undefined)).toBe(true);
      expect(isEnforced(['read'], sends, true)).toBe(false);
      expect(isEnforced(['read'], spends, true)).toBe(false);
      expect(isEnforced(['read', 'update'], reads, true)).toBe(false);
      expect(isEnforced([], reads, true)).toBe(false);
    },
  );

  it('never become fewer, or less to ask about, with more permissions', verifies('effects.bounded'), () => {
    fc.assert(
      fc.property(
        anyPermissions,
        anyPermissions,
        fc.subarray([...EFFECTS], { minLength: 1 }),
        (a, b, effects) => {
          const [less, more] = [boundEffects(effects, a), boundEffects(effects, union(a, b))];
          const graver = less.filter((effect) => effect !== 'read');
          expect(more).toEqual(expect.arrayContaining(graver));
          if (suggestAnswer(less) === 'ask') expect(suggestAnswer(more)).toBe('ask');
          for (const effect of more) expect(effect === 'read' || effects.includes(effect)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('decide what is suggested: only reading goes without asking', () => {
    expect(suggestAnswer(['read'])).toBe('allow');
    expect(suggestAnswer(['read', 'create'])).toBe('ask');
    expect(suggestAnswer(['run'])).toBe('ask');
    expect(suggestAnswer([])).toBe('ask');
  });
});
