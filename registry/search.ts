import type { Candidate, SkillRecord, Store } from './store/store.ts';

/** How many text hits are ranked; beyond, nobody reads on. */
const MAX_CANDIDATES = 200;
const MAX_NAMED = 50;
const MAX_WORDS = 8;

/** Finds skills: a bounded number by text and by name from the store, then ranked here, the same for every store. */
export async function search(
  { store, clock }: { store: Pick<Store, 'search' | 'named' | 'recent' | 'skill'>; clock: () => Date },
  { q, limit }: { q: string; limit: number },
): Promise<SkillRecord[]> {
  const asked = q.trim().toLowerCase();
  const found = asked === '' ? await store.recent(MAX_CANDIDATES) : await matching(store, asked);
  const ranked = rank(found, asked, clock()).slice(0, limit);
  const skills = await Promise.all(ranked.map(({ name }) => store.skill(name)));
  return skills.filter((skill) => skill !== undefined);
}

async function matching(store: Pick<Store, 'search' | 'named'>, asked: string): Promise<Candidate[]> {
  const byText = await store.search(wordsOf(asked), MAX_CANDIDATES);
  const known = new Set(byText.map(({ name }) => name));
  const byName = await store.named(asked, MAX_NAMED);
  return [...byText, ...byName.filter(({ name }) => !known.has(name))];
}

/** The words of a question, without anything a search engine could take for syntax. */
function wordsOf(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).slice(0, MAX_WORDS);
}

const DAY_MS = 86_400_000;
/** After this many days without a release, freshness counts half. */
const HALF_LIFE_DAYS = 180;

/**
 * Orders candidates: whoever bears the asked name first, then whose name starts so, then the others;
 * among these by how well the text fits, how often it was downloaded (10 times as often counts like
 * a tenth of the best text score), and how fresh it is. Names settle the rest, so the order is total.
 */
export function rank(candidates: readonly Candidate[], asked: string, now: Date): Candidate[] {
  const best = Math.max(...candidates.map(({ textScore }) => textScore), Number.MIN_VALUE);
  const scored = candidates.map((candidate) => {
    const ageDays = Math.max(0, (now.getTime() - Date.parse(candidate.updatedAt)) / DAY_MS);
    const freshness = 2 ** (-ageDays / HALF_LIFE_DAYS);
    const score = candidate.textScore / best + Math.log10(1 + candidate.downloads) / 10 + freshness / 10;
    return { candidate, kinship: kinship(candidate.name, asked), score };
  });
  return scored
    .toSorted(
      (a, b) => b.kinship - a.kinship || b.score - a.score || (a.candidate.name < b.candidate.name ? -1 : 1),
    )
    .map(({ candidate }) => candidate);
}

function kinship(name: string, asked: string): number {
  if (asked === '') return 0;
  const last = name.slice(name.indexOf('/') + 1);
  const wanted = asked.replaceAll(' ', '-');
  if (name === asked) return 4;
  if (last === wanted) return 3;
  return name.startsWith(asked) || last.startsWith(wanted) ? 2 : 0;
}
