import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SEARCH_TOOLS, searchInstructions } from '../../hub/search-tools.ts';
import { buildToolIndex } from '../../hub/tool-search.ts';
import { estimatedTokens, labelledQueries, publicTools, recallAt } from '../support/tool-search-data.ts';
import { verifies } from '../support/verifies.ts';

const tools = publicTools();
const index = buildToolIndex(tools);
const names = (query: string, limit = 5) => index.search(query, limit).map((tool) => tool['name']);

describe('the search for tools', () => {
  it('is measured with enough tools and queries', () => {
    const { tune, heldOut } = labelledQueries();
    expect(tools.length).toBeGreaterThanOrEqual(200);
    expect(tune.length + heldOut.length).toBeGreaterThanOrEqual(150);
    const known = new Set(tools.map((tool) => tool['name']));
    expect(known.size).toBe(tools.length);
    for (const { tools: right } of [...tune, ...heldOut])
      for (const tool of right) expect(known).toContain(tool.replace('/', '__'));
    expect(new Set([...tune, ...heldOut].map(({ query }) => query)).size).toBe(tune.length + heldOut.length);
  });

  it.each(['tune', 'heldOut'] as const)(
    'finds a right tool among the first five for 95 of 100 queries (%s)',
    verifies('search.recall'),
    (half) => {
      expect(recallAt(5, index, labelledQueries()[half])).toBeGreaterThanOrEqual(0.95);
    },
  );

  it('lists three tools and a sentence in the place of all', verifies('search.small'), () => {
    const listed = estimatedTokens(SEARCH_TOOLS) + estimatedTokens(searchInstructions(tools));
    expect(listed).toBeLessThanOrEqual(1000);
    const hundredfold = Array.from({ length: 100 * tools.length }, (_, n) => ({ name: `skill-${n}__tool` }));
    expect(
      estimatedTokens(SEARCH_TOOLS) + estimatedTokens(searchInstructions(hundredfold)),
    ).toBeLessThanOrEqual(1000);
  });

  it('reads names in every spelling, and knows a proper name from its parts', () => {
    const spelled = buildToolIndex([
      { name: 'one__createIssue' },
      { name: 'one__close_pull-request' },
      { name: 'github__stars' },
      { name: 'git__log' },
    ]);
    const first = (query: string) => spelled.search(query, 1)[0]?.['name'];
    expect(first('create an issue')).toBe('one__createIssue');
    expect(first('createIssue')).toBe('one__createIssue');
    expect(first('closing pull requests')).toBe('one__close_pull-request');
    expect(spelled.search('GitHub', 5).map((tool) => tool['name'])).toEqual(['github__stars']);
  });

  it('answers the same for the same question, and nothing where nothing fits', () => {
    expect(names('send an email')).toEqual(names('send an email'));
    expect(names('the of and')).toEqual([]);
    expect(names('')).toEqual([]);
    expect(names('zyxwvut')).toEqual([]);
    expect(buildToolIndex([]).search('send an email', 5)).toEqual([]);
  });

  it('takes any tool and any question', verifies('search.bounded'), () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: fc.string(), title: fc.anything(), inputSchema: fc.object() }), {
          maxLength: 5,
        }),
        fc.string({ maxLength: 300 }),
        (odd, query) => {
          expect(buildToolIndex(odd).search(query, 3).length).toBeLessThanOrEqual(3);
        },
      ),
    );
    expect(names('constructor __proto__ hasOwnProperty')).not.toContain(undefined);
    expect(index.search('send email '.repeat(100_000), 5).length).toBe(5);
  });
});
