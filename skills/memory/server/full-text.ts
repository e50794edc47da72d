import MiniSearch, { type SearchResult } from 'minisearch';
import { cut, type Note } from './note.ts';

/** Characters shown round the first match. */
const SNIPPET_CHARS = 240;
const SHORTEST_PREFIX = 3;
const SHORTEST_FUZZY = 5;
/** Part of a word's length that may differ. */
const FUZZINESS = 0.2;

/** One note found, best first. */
interface Hit {
  readonly id: string;
  readonly score: number;
  readonly terms: readonly string[];
}

/** The words of the notes that are alive. */
export interface FullText {
  put(note: Note): void;
  drop(id: string): void;
  find(query: string, filter: (id: string) => boolean): Hit[];
}

/** An empty index. Titles weigh most, then tags, then text. */
export function fullText(): FullText {
  const segmenter = new Intl.Segmenter('und', { granularity: 'word' });
  const index = new MiniSearch<Pick<Note, 'id' | 'title' | 'tags' | 'text'>>({
    fields: ['title', 'tags', 'text'],
    extractField: (note, field) => {
      const value = note[field as keyof typeof note];
      return typeof value === 'string' ? value : value.join(' ');
    },
    tokenize: (text) => words(text, segmenter),
    processTerm: fold,
    searchOptions: {
      boost: { title: 3, tags: 2 },
      prefix: (term) => term.length >= SHORTEST_PREFIX,
      fuzzy: (term) => (term.length >= SHORTEST_FUZZY ? FUZZINESS : false),
    },
  });
  return {
    put: (note) => (index.has(note.id) ? index.replace(note) : index.add(note)),
    drop: (id) => {
      if (index.has(id)) index.discard(id);
    },
    find: (query, filter) => {
      const accept = ({ id }: SearchResult): boolean => filter(id as string);
      // All words first; any of them only when no note has all.
      const all = index.search(query, { combineWith: 'AND', filter: accept });
      const found = all.length > 0 ? all : index.search(query, { combineWith: 'OR', filter: accept });
      return found.map(({ id, score, terms }) => ({ id: id as string, score, terms }));
    },
  };
}

/** Splits at everything that is no letter or digit; scripts without spaces are cut by the rules of Unicode. */
function words(text: string, segmenter: Intl.Segmenter): string[] {
  return text
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((word) => word !== '')
    .flatMap((word) =>
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u.test(word)
        ? [...segmenter.segment(word)].map(({ segment }) => segment)
        : [word],
    );
}

/** One spelling for search: `Café`, `café` and `cafe` are the same. */
function fold(word: string): string {
  return word.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}

/** The text round the first word that was found. */
export function snippet(text: string, terms: readonly string[]): string {
  // Character by character, so that places in the folded text are places in the text.
  const folded = text.replace(/[^a-z0-9\s]/g, (char) => (fold(char).length === 1 ? fold(char) : char));
  const places = terms.map((term) => folded.indexOf(term)).filter((at) => at >= 0);
  const first = places.length === 0 ? 0 : Math.min(...places);
  const from = Math.max(0, first - SNIPPET_CHARS / 4);
  const part = cut(text, from, SNIPPET_CHARS).replace(/\s+/g, ' ').trim();
  return `${from > 0 ? '…' : ''}${part}${from + SNIPPET_CHARS < text.length ? '…' : ''}`;
}
