import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { pageOf } from '../../../hub/mcp/lists.ts';
import { createPages, type PageAsked } from '../../../hub/mcp/pages.ts';
import { skillsAnswer } from '../../../hub/mcp/skills.ts';
import { capture } from '../../support/fixture-skills.ts';
import { verifies } from '../../support/verifies.ts';
import { CLIENTS, endpointRig, exchange, modernRequest, type Surfaces } from './rig.ts';

const key = Buffer.alloc(32, 1);
const LIMITS = { pageEntries: 3, pageBytes: 400 };
const asked = (more: Partial<PageAsked> = {}): PageAsked => ({
  principal: { user: 'ada', client: 'editor' },
  scope: { kind: 'all' },
  method: 'tools/list',
  entries: Array.from({ length: 10 }, (_none, at) => ({ name: `tool${at}` })),
  cursor: undefined,
  ...more,
});

describe('pages of a list', () => {
  it('are the list, in order, nothing lost and nothing twice', verifies('mcp.pages'), () => {
    const entries = fc.array(fc.record({ name: fc.string({ maxLength: 300, unit: 'grapheme' }) }));
    fc.assert(
      fc.property(entries, (list) => {
        const pages = createPages(LIMITS, key);
        const walked: unknown[] = [];
        let cursor: string | undefined;
        do {
          // As it is when each request looks for itself.
          const page = pages.find(asked({ entries: [...list], cursor }));
          const shown = page?.entries ?? [];
          expect(shown.length).toBeLessThanOrEqual(LIMITS.pageEntries);
          const bytes = shown.map((entry) => Buffer.byteLength(JSON.stringify(entry)));
          if (shown.length > 1)
            expect(bytes.reduce((sum, more) => sum + more)).toBeLessThanOrEqual(LIMITS.pageBytes);
          expect(shown.length > 0 || list.length === 0).toBe(true);
          walked.push(...shown);
          cursor = page?.nextCursor;
        } while (cursor !== undefined);
        expect(walked).toEqual(list);
      }),
    );
  });

  it('go on for whoever has the key and asks for the same', verifies('mcp.pages'), () => {
    const cursor = createPages(LIMITS, key).find(asked())?.nextCursor;
    const next = createPages(LIMITS, key).find(asked({ cursor }));
    expect(next?.entries.map(({ name }) => name)).toEqual(['tool3', 'tool4', 'tool5']);
    // A client in its next session, with a token that opens more of something else.
    const principal = { user: 'ada', client: 'editor', agent: 'other', scopes: ['more'] };
    expect(createPages(LIMITS, key).find(asked({ cursor, principal }))).toEqual(next);
  });

  it.each<[string, Partial<PageAsked>]>([
    ['another user', { principal: { user: 'bob', client: 'editor' } }],
    ['another client', { principal: { user: 'ada', client: 'terminal' } }],
    ['another door', { scope: { kind: 'skill', name: 'local.test/echo' } }],
    ['another list', { method: 'prompts/list' }],
    ['the list without an entry', { entries: asked().entries.slice(1) }],
    ['the list with an entry that is another now', { entries: asked().entries.with(9, { name: 'new' }) }],
  ])('have no cursor for %s', verifies('mcp.cursors'), (_what, other) => {
    const pages = createPages(LIMITS, key);
    const { nextCursor: cursor } = pages.find(asked()) ?? {};
    expect(pages.find(asked({ ...other, cursor }))).toBeUndefined();
    expect(pages.find(asked({ cursor }))).toBeDefined();
  });

  it('have no cursor that was altered, made up, or signed by another hub', verifies('mcp.cursors'), () => {
    const pages = createPages(LIMITS, key);
    const cursors = [pages.find(asked())?.nextCursor ?? ''];
    const second = pages.find(asked({ cursor: cursors[0] }));
    cursors.push(second?.nextCursor ?? '');
    fc.assert(
      fc.property(fc.constantFrom(...cursors), fc.nat(47), fc.base64String(), (cursor, at, text) => {
        const letter = cursor[at] === 'A' ? 'B' : 'A';
        const altered = `${cursor.slice(0, at)}${letter}${cursor.slice(at + 1)}`;
        for (const wrong of [altered, text, `${cursor}=`, `${cursor} `, cursor.slice(1), `${cursor}A`])
          expect(pages.find(asked({ cursor: wrong }))).toBeUndefined();
      }),
    );
    // The index of one page with the signature of another.
    const [one = '', other = ''] = cursors.map((cursor) => Buffer.from(cursor, 'base64url').toString('hex'));
    const mixed = Buffer.from(other.slice(0, 8) + one.slice(8), 'hex').toString('base64url');
    expect(pages.find(asked({ cursor: mixed }))).toBeUndefined();
    expect(createPages(LIMITS, Buffer.alloc(32, 2)).find(asked({ cursor: cursors[0] }))).toBeUndefined();
  });
});

describe('the list of skills', () => {
  it('comes in pages, too', verifies('mcp.pages'), () => {
    const skills = Array.from({ length: 4 }, (_none, at) => ({
      uri: `skill://local.test/s${at}/SKILL.md`,
      frontmatter: { name: `s${at}`, description: 'How to.' },
      resources: [],
      _meta: {},
    }));
    const pages = createPages(LIMITS, key);
    const visitor = { ...asked(), era: 'modern', session: { subscriptions: new Map() } } as const;
    const pageAt = (cursor?: string) => pageOf({ pages }, visitor, 'skills/list', skills, cursor);
    const first = skillsAnswer(skills, pageAt, 'skills/list', {});
    const { nextCursor: cursor } = first;
    const last = skillsAnswer(skills, pageAt, 'skills/list', { cursor });
    expect([first['skills'], last]).toEqual([skills.slice(0, 3), { skills: skills.slice(3) }]);
    expect(() => skillsAnswer(skills, pageAt, 'skills/list', { cursor: 'x' })).toThrow(/List again/);
  });
});

let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  surfaces = { modern, legacy };
});

describe.each(Object.entries(CLIENTS))('the %s client', (_name, { connect }) => {
  it('walks through a long list', verifies('mcp.pages'), async () => {
    const rig = await endpointRig(surfaces, { limits: { pageEntries: 3 } });
    const client = await connect(`${rig.url}/mcp`);
    const names: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page = await client.listTools(...(cursor === undefined ? [] : [{ cursor }]));
      names.push(...page.tools.map(({ name }) => name));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    const whole = await endpointRig(surfaces);
    const { tools } = await (await connect(`${whole.url}/mcp`)).listTools();
    expect(names).toEqual(tools.map(({ name }) => name));
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('a cursor', () => {
  it(
    'of a list that has changed meanwhile, or of somebody else, is refused in words',
    verifies('mcp.cursors'),
    async () => {
      const rig = await endpointRig(surfaces, { limits: { pageEntries: 3 } });
      const list = async (token: string, cursor?: string) => {
        const { headers, body } = modernRequest('tools/list', cursor === undefined ? {} : { cursor });
        const authorization = `Bearer ${token}`;
        return (await exchange(rig, { headers: { ...headers, authorization }, body })).json() as {
          result?: { nextCursor: string };
          error?: unknown;
        };
      };
      const refused = { code: -32602, message: expect.stringMatching(/List again from the start/) };
      const cursor = (await list('token-of-ada')).result?.nextCursor ?? '';
      expect((await list('token-of-ada', cursor)).result).toBeDefined();
      expect((await list('token-of-ada-too', cursor)).error).toMatchObject(refused);
      expect((await list('token-of-bob', cursor)).error).toMatchObject(refused);
      rig.hide('ada', 'modern__fail');
      expect((await list('token-of-ada', cursor)).error).toMatchObject(refused);
      expect(
        (await list('token-of-ada', (await list('token-of-ada')).result?.nextCursor)).result,
      ).toBeDefined();
    },
  );

  it('is needed by nobody who lists the tools of fifty skills', verifies('mcp.pages'), async () => {
    const tools = Array.from({ length: 200 }, (_none, at) => ({
      name: `tool${at}`,
      description: 'x'.repeat(500),
      inputSchema: { type: 'object' as const, properties: { of: { type: 'string' } } },
    }));
    const rig = await endpointRig({
      modern: { ...surfaces.modern, tools },
      legacy: { ...surfaces.legacy, tools },
    });
    const { result } = (await exchange(rig, modernRequest('tools/list'))).json() as {
      result: { tools: unknown[]; nextCursor?: string };
    };
    expect([result.tools.length, result.nextCursor]).toEqual([400, undefined]);
  });
});
