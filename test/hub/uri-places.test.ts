import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GatewayRequest } from '../../hub/mcp/gateway.ts';
import { withArgumentUris, withResultUris, withToolUris } from '../../hub/uri-places.ts';
import { verifies } from '../support/verifies.ts';

const METHODS: GatewayRequest['method'][] = [
  'tools/call',
  'prompts/get',
  'resources/read',
  'resources/subscribe',
  'completion/complete',
];
const rewrite = (uri: string): string => (uri.startsWith('memo:') ? `${uri}#mark` : uri);
const members = fc.constantFrom(
  'content',
  'contents',
  'messages',
  'type',
  'uri',
  'resource',
  '_meta',
  'ui',
  'resourceUri',
  'text',
);
/** JSON of the members that count, in whatever shape a skill may put them. */
const said = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom('resource', 'resource_link', 'memo:a', 'other:a', null, 7),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc.dictionary(members, tie('value'), { maxKeys: 5 }),
})).object;

describe('URIs in what a skill says', () => {
  it('are all that is changed, whatever shape it has', verifies('catalog.uris'), () => {
    fc.assert(
      fc.property(said, fc.constantFrom(...METHODS), (result, method) => {
        const before = structuredClone(result);
        const told = withResultUris(method, result, rewrite);
        expect(result).toEqual(before);
        expect(withResultUris(method, result, (uri) => uri)).toEqual(result);
        expect(JSON.parse(JSON.stringify(told).replaceAll('#mark', ''))).toEqual(result);
        expect(JSON.parse(JSON.stringify(withToolUris(result, rewrite)).replaceAll('#mark', ''))).toEqual(
          result,
        );
      }),
    );
  });

  it('are those of links, embedded resources and what was read', verifies('catalog.uris'), () => {
    const link = (uri: string) => ({ type: 'resource_link', uri, name: 'a link' });
    const embedded = (uri: string) => ({ type: 'resource', resource: { uri, text: 'memo:a' } });
    const call = {
      content: [link('memo:a'), embedded('memo:b'), link('other:c'), { type: 'text', text: 'memo:a' }],
    };
    expect(withResultUris('tools/call', call, rewrite)).toEqual({
      content: [
        link('memo:a#mark'),
        embedded('memo:b#mark'),
        link('other:c'),
        { type: 'text', text: 'memo:a' },
      ],
    });
    const prompt = { messages: [{ role: 'user', content: embedded('memo:a') }] };
    expect(withResultUris('prompts/get', prompt, rewrite)).toEqual({
      messages: [{ role: 'user', content: embedded('memo:a#mark') }],
    });
    const read = { contents: [{ uri: 'memo:a', text: 'memo:a' }] };
    expect(withResultUris('resources/read', read, rewrite)).toEqual({
      contents: [{ uri: 'memo:a#mark', text: 'memo:a' }],
    });
  });

  it('are those by which a tool names its app, in each of its spellings', verifies('mcp.apps'), () => {
    const ui = { visibility: ['app'], csp: { connectDomains: ['memo:a'] } };
    const tool = {
      name: 'show',
      _meta: {
        ui: { ...ui, resourceUri: 'memo:a' },
        'ui/resourceUri': 'memo:a',
        'openai/outputTemplate': 'memo:b',
      },
    };
    expect(withToolUris(tool, rewrite)).toEqual({
      name: 'show',
      _meta: {
        ui: { ...ui, resourceUri: 'memo:a#mark' },
        'ui/resourceUri': 'memo:a#mark',
        'openai/outputTemplate': 'memo:b#mark',
      },
    });
  });

  it('are whole strings of arguments, and never parts of one', verifies('catalog.uris'), () => {
    expect(withArgumentUris({ of: ['memo:a', { 'memo:b': 'see memo:c' }, 1, null] }, rewrite)).toEqual({
      of: ['memo:a#mark', { 'memo:b': 'see memo:c' }, 1, null],
    });
  });
});
