import { SEARCH_TOOLS } from '../../hub/search-tools.ts';
import { buildToolIndex } from '../../hub/tool-search.ts';
import { estimatedTokens, labelledQueries, publicTools, recallAt } from '../support/tool-search-data.ts';
import { percent, table } from './table.ts';

const ROUNDS = 5;

/** What a search finds among public tools, how long it takes, and what listing them all would cost instead. */
export function benchToolSearch(): void {
  const tools = publicTools();
  const began = performance.now();
  const index = buildToolIndex(tools);
  const buildMs = performance.now() - began;
  const { tune, heldOut } = labelledQueries();
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { query } of [...tune, ...heldOut]) {
      const start = performance.now();
      index.search(query, 5);
      took.push(performance.now() - start);
    }
  }
  took.sort((a, b) => a - b);
  const at = (share: number) => (took[Math.floor(took.length * share)] ?? 0).toFixed(2);
  table(
    `Search over ${tools.length} tools; built in ${buildMs.toFixed(0)} ms, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
    ['', 'queries', 'recall@1', 'recall@5'],
    Object.entries({ 'tuned on': tune, 'held out': heldOut }).map(([half, queries]) => [
      half,
      String(queries.length),
      percent(recallAt(1, index, queries), 1),
      percent(recallAt(5, index, queries), 1),
    ]),
  );
  const all = estimatedTokens(tools);
  const listed = estimatedTokens(SEARCH_TOOLS);
  table(
    'Tokens of tools/list (a quarter of the bytes of its JSON)',
    ['', 'tools', 'tokens', 'of all'],
    [
      ['mode all (baseline)', String(tools.length), String(all), '100 %'],
      ['mode search', String(SEARCH_TOOLS.length), String(listed), percent(listed, all)],
    ],
  );
}
