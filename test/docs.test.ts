import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../protocol/errors.ts';
import { generatedDocs } from './support/docs.ts';
import { verifies } from './support/verifies.ts';

const root = join(import.meta.dirname, '..');
const sources = ['protocol', 'registry', 'hub', 'cli']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) =>
      join(root, folder, path),
    ),
  )
  .filter((path) => path.endsWith('.ts'))
  .map((path) => readFileSync(path, 'utf8'));

describe('the documentation', () => {
  for (const [name, text] of Object.entries(generatedDocs())) {
    it(`${name} says what the code says`, verifies('docs.fresh'), () => {
      const written = readFileSync(join(root, 'docs', name), 'utf8');
      expect(written, `docs/${name} is out of date: npm run docs`).toBe(text);
    });
  }

  it('lists only errors that can happen', verifies('docs.fresh'), () => {
    // In the table itself a code is followed by a colon.
    const raised = new Set([...sources.join('\n').matchAll(/'([a-z-]+)'(?!:)/g)].map(([, code]) => code));
    expect(Object.keys(ERRORS).filter((code) => !raised.has(code))).toEqual([]);
  });

  it('names only files and commands that exist', verifies('docs.true'), () => {
    for (const page of ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md']) {
      const text = readFileSync(join(root, page), 'utf8');
      for (const [, path = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
        expect(() => readdirOrFile(join(root, path)), `${page} links to ${path}`).not.toThrow();
      }
      for (const [, path = ''] of text.matchAll(/`((?:test|hub|registry|protocol|docs|cli)\/[\w./-]+)`/g)) {
        expect(() => readdirOrFile(join(root, path)), `${page} names ${path}`).not.toThrow();
      }
    }
  });
});

function readdirOrFile(path: string): void {
  try {
    readFileSync(path);
  } catch {
    readdirSync(path);
  }
}
