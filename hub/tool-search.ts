import MiniSearch from 'minisearch';
import { stemmer } from 'stemmer';

/** A tool in wire form, as a list shows it. */
export type WireTool = Readonly<Record<string, unknown>>;

/** Finds tools by words. Immutable: made anew whenever the tools change. */
export interface ToolIndex {
  /** The tools that fit best, best first; no more than `limit`. Words that nothing knows count for nothing. */
  search(query: string, limit: number): WireTool[];
}

/** How much a word counts where it stands: what a tool is called says more of it than what it takes. */
const WEIGHTS = { name: 4, title: 2, skill: 4, description: 1.5, parameters: 0.5 };

/** BM25+: how soon a repeated word stops counting, how much long texts are held back, the least a hit counts. */
const BM25 = { k: 1.2, b: 0.8, d: 0.2 };

/** What of a schema is read; hostile ones have no end. */
const MAX_PARAMETERS = 100;
const MAX_TEXT_LETTERS = 4_000;
const MAX_QUERY_WORDS = 32;

/** How much a tool gains by having more of the words that were asked for. */
const COVERAGE = 2;

/** Words that stand in any sentence and say nothing about a tool. */
const EMPTY_WORDS = new Set(
  (
    'a about all am an and any are as at be by can did do does for from had has have how i if in into is it its ' +
    'me my of on one or our please s so some that the their them there these they this those to us was we what ' +
    'when where which who why will with you your'
  ).split(' '),
);

/** What another word for the same counts beside the word itself. */
const OTHER_WORD = 0.7;

/** Words that people use for one another when they speak of tools, a line each. */
const SAME_WORDS = [
  'create make new add open insert file start write',
  'delete remove drop erase cancel forget destroy clear purge',
  'update edit change modify set replace',
  'get read show view retrieve fetch display describe inspect see',
  'search find query look',
  'list every enumerate',
  'send post reply write',
  'run execute trigger launch invoke',
  'move rename transfer',
  'copy duplicate clone',
  'write save store',
  'get download',
  'put upload',
  'close resolve done complete',
  'create schedule book',
  'modify reschedule move',
  'share invite',
  'select choose pick',
  'push commit',
  'apply create',
  'issue ticket bug task story',
  'pull pr request',
  'repository repo',
  'directory folder',
  'email mail gmail inbox',
  'event meeting calendar appointment',
  'user person people member colleague teammate',
  'contact person people phone',
  'message dm chat',
  'image picture photo',
  'page website site web url',
  'document doc docs documentation wiki',
  'database db',
  'error exception crash failure',
  'comment reply discussion note',
  'thread discussion conversation',
  'sheet spreadsheet excel row cell',
  'pod container',
  'payment money charge',
  'refund money back',
  'coupon discount',
  'invoice bill',
  'price cost plan',
  'expiration ttl expire',
  'task todo reminder',
  'reaction react emoji',
  'dialog popup alert',
  'metadata info details modified',
  'current now today',
  'entity person memory remember knowledge',
  'url website link',
  'tree structure hierarchy',
  'documents records entries',
  'cycle sprint',
  'status state',
];

interface Entry {
  id: number;
  name: string;
  title: string;
  skill: string;
  description: string;
  parameters: string;
}

/** Builds the index of tools as they are named at `/mcp`, `<alias>__<tool>`: queries often name the service. */
export function buildToolIndex(tools: readonly WireTool[]): ToolIndex {
  const index = new MiniSearch<Entry>({
    fields: Object.keys(WEIGHTS),
    // A name in camel case is found whole and by its parts.
    tokenize: (text) => wordsOf(text).flatMap((word) => [...new Set([lower(word), ...partsOf(word)])]),
    processTerm: stemmer,
    searchOptions: { boost: WEIGHTS, bm25: BM25 },
  });
  index.addAll(tools.map(entryOf));
  const others = otherWords();
  const found = (word: string) => readings(index, stemmer(word), others.get(stemmer(word)));
  return {
    search(query, limit) {
      const hits = [...new Set(wordsOf(query).slice(0, MAX_QUERY_WORDS))].flatMap((word) => {
        const whole = found(lower(word));
        // `createIssue` is two words unless something is called so; `GitHub` is one, and has nothing to do with git.
        return whole.size > 0 ? [whole] : partsOf(word).map(found);
      });
      return ranked(hits)
        .slice(0, limit)
        .map((id) => tools[id])
        .filter((tool) => tool !== undefined);
    },
  };
}

/** Ids of what was found, best first: by what each word of the query found in it, and by how many found anything. */
function ranked(hits: readonly ReadonlyMap<number, number>[]): number[] {
  const total = new Map<number, { score: number; words: number }>();
  for (const hit of hits) {
    for (const [id, score] of hit) {
      const sum = total.get(id) ?? { score: 0, words: 0 };
      total.set(id, { score: sum.score + score, words: sum.words + 1 });
    }
  }
  const rank = ({ score, words }: { score: number; words: number }) => score * words ** COVERAGE;
  return [...total].toSorted(([a, one], [b, other]) => rank(other) - rank(one) || a - b).map(([id]) => id);
}

/** What one word of a query finds, itself or in another word for it: the better of both, for it was said once. */
function readings(
  index: MiniSearch<Entry>,
  word: string,
  others: ReadonlySet<string> = new Set(),
): Map<number, number> {
  const best = new Map<number, number>();
  const read = (term: string, weight: number, prefix: boolean): void => {
    for (const { id, score } of index.search(term, { processTerm: (same) => same, prefix }))
      best.set(id as number, Math.max(best.get(id as number) ?? 0, score * weight));
  };
  read(word, 1, word.length >= 4);
  for (const other of others) read(other, OTHER_WORD, false);
  return best;
}

function otherWords(): Map<string, Set<string>> {
  const others = new Map<string, Set<string>>();
  for (const line of SAME_WORDS) {
    const stems = line.split(' ').map(stemmer);
    for (const stem of stems) others.set(stem, new Set([...(others.get(stem) ?? []), ...stems]));
  }
  return others;
}

function entryOf(tool: WireTool, id: number): Entry {
  const [alias = '', ...rest] = textOf(tool['name']).split('__');
  return {
    id,
    name: rest.length === 0 ? alias : rest.join('__'),
    skill: rest.length === 0 ? '' : alias,
    title: textOf(tool['title']),
    description: textOf(tool['description']),
    parameters: parametersOf(tool)
      .map(({ name, description }) => `${name} ${description}`)
      .join(' '),
  };
}

/** What a tool takes, as its schema says on its first level; at most a hundred. */
export function parametersOf(tool: WireTool): { name: string; description: string; required: boolean }[] {
  const { properties = {}, required = [] } = (tool['inputSchema'] ?? {}) as {
    properties?: Record<string, { description?: unknown } | boolean | null>;
    required?: readonly string[];
  };
  return Object.entries(properties)
    .slice(0, MAX_PARAMETERS)
    .map(([name, schema]) => ({
      name,
      description: typeof schema === 'object' ? textOf(schema?.description) : '',
      required: required.includes(name),
    }));
}

function wordsOf(text: string): string[] {
  return text.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '' && !EMPTY_WORDS.has(lower(word)));
}

function partsOf(word: string): string[] {
  return lower(word.replaceAll(/([\p{Ll}\p{N}])(\p{Lu})/gu, '$1 $2')).split(' ');
}

function lower(word: string): string {
  return word.toLowerCase();
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_TEXT_LETTERS) : '';
}
