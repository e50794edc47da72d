import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { REQUIREMENTS } from './requirements.ts';

const here = import.meta.dirname;
const tests = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => ({ path, text: readFileSync(`${here}/${path}`, 'utf8') }));

describe('the list of promises', () => {
  it('has a test for every promise', () => {
    const cited = new Set(
      tests.flatMap(({ text }) =>
        [...text.matchAll(/verifies\(([^)]*)\)/g)].flatMap((call) =>
          [...(call[1] ?? '').matchAll(/'([^']+)'/g)].map((id) => id[1]),
        ),
      ),
    );
    expect(Object.keys(REQUIREMENTS).filter((id) => !cited.has(id))).toEqual([]);
  });

  it('is proven by tests that run: none is skipped, focused or left to be written', () => {
    const idle = /\b(?:it|test|describe)\.(?:skip|only|todo)\b/;
    expect(tests.filter(({ text }) => idle.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
