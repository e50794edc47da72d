import { describe, expect, it } from 'vitest';
import { callRoute } from '../../protocol/node/http-client.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { rank } from '../../registry/search.ts';
import type { Candidate } from '../../registry/store/store.ts';
import { expectCode } from '../support/expect-code.ts';
import { publishNew, testRegistry } from '../support/registry.ts';
import { greetTool } from '../support/skill-package.ts';
import { verifies } from '../support/verifies.ts';

const NOW = new Date('2026-06-01T00:00:00.000Z');

function candidate(name: string, more: Partial<Candidate> = {}): Candidate {
  return { name, textScore: 1, downloads: 0, updatedAt: NOW.toISOString(), ...more };
}

describe('rank', () => {
  const order = (asked: string, ...candidates: Candidate[]) =>
    rank(candidates, asked, NOW).map(({ name }) => name);

  it(
    'puts the exact name first, then names that start so, then text',
    verifies('registry.search-rank'),
    () => {
      const names = order(
        'files',
        candidate('a.b/best-text', { textScore: 100, downloads: 1e6 }),
        candidate('a.b/files-plus', { textScore: 0 }),
        candidate('a.b/files', { textScore: 0 }),
      );
      expect(names).toEqual(['a.b/files', 'a.b/files-plus', 'a.b/best-text']);
      expect(order('c.d/files', candidate('a.b/files'), candidate('c.d/files', { textScore: 0 }))[0]).toBe(
        'c.d/files',
      );
    },
  );

  it('then lets text, downloads and freshness count, and is a total order', () => {
    expect(order('x', candidate('a.b/one'), candidate('a.b/two', { textScore: 2 }))).toEqual([
      'a.b/two',
      'a.b/one',
    ]);
    expect(order('x', candidate('a.b/one'), candidate('a.b/two', { downloads: 1_000 }))).toEqual([
      'a.b/two',
      'a.b/one',
    ]);
    expect(
      order('x', candidate('a.b/one', { updatedAt: '2020-01-01T00:00:00.000Z' }), candidate('a.b/two')),
    ).toEqual(['a.b/two', 'a.b/one']);
    expect(order('x', candidate('a.b/two'), candidate('a.b/one'))).toEqual(['a.b/one', 'a.b/two']);
    expect(order('')).toEqual([]);
  });
});

describe('search', () => {
  it(
    'finds by name, title, description, keywords and tool names, and tells what a skill may do',
    verifies('registry.search'),
    async () => {
      const registry = await testRegistry();
      const key = createKey();
      const publishOne = (name: string, manifest: Record<string, unknown>, tool = 'greet') =>
        publishNew(registry, { key, name, manifest, surface: { tools: [greetTool(tool)] } });
      await publishOne('local.me/weather', {
        title: 'Forecasts',
        description: 'Asks the sky.',
        keywords: ['Regen'],
      });
      await publishOne(
        'local.me/tides',
        { title: 'Café times', description: 'High and low water.' },
        'next_high_tide',
      );
      await publishOne('local.me/weather-maps', { title: 'Maps', description: 'Forecasts as pictures.' });
      const find = async (q: string) =>
        (await callRoute(registryApi.search, { baseUrl: registry.url, query: { q } })).hits.map(
          ({ name }) => name,
        );

      expect(await find('weather')).toEqual(['local.me/weather', 'local.me/weather-maps']);
      expect(await find('weat')).toHaveLength(2);
      expect(await find('local.me/tides')).toContain('local.me/tides');
      expect(await find('sky')).toEqual(['local.me/weather']);
      expect(await find('REGEN')).toEqual(['local.me/weather']);
      expect(await find('cafe')).toEqual(['local.me/tides']);
      expect(await find('high tide')).toEqual(['local.me/tides']);
      expect(await find('forecasts water')).toHaveLength(3);
      expect(await find('')).toHaveLength(3);
      expect(await find('nothing-like-it')).toEqual([]);

      const { hits } = await callRoute(registryApi.search, {
        baseUrl: registry.url,
        query: { q: 'tides', limit: 1 },
      });
      expect(hits[0]).toMatchObject({
        tools: [{ name: 'next_high_tide', effects: ['read'] }],
        kind: 'node',
        version: '1.0.0',
      });
      expect(hits[0]?.permissions.cannot.length).toBeGreaterThan(0);
    },
  );

  it('takes nothing that people type for a command', verifies('registry.search'), async () => {
    const registry = await testRegistry();
    await publishNew(registry);
    for (const q of [
      '"',
      '*',
      'name:hello',
      'hello AND',
      'hello OR (',
      'NEAR(hello)',
      '^hello',
      '-hello',
      "'; drop table skill; --",
      '%',
      '\u0000',
      '_',
    ]) {
      const { hits } = await callRoute(registryApi.search, { baseUrl: registry.url, query: { q } });
      expect(hits.length, q).toBeLessThanOrEqual(1);
    }
    await expectCode(
      callRoute(registryApi.search, { baseUrl: registry.url, query: { q: 'x'.repeat(201) } }),
      'request-invalid',
    );
    await expectCode(
      callRoute(registryApi.search, { baseUrl: registry.url, query: { q: 'x', limit: 1_000 } }),
      'request-invalid',
    );
  });
});
